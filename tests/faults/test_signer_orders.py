"""Officers' orders to a signer …"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from custody.signer import checks, requests
from kernel import canonical
from kernel.approval import Verb
from kernel.intent import time_text
from kernel.quorum import BadQuorum
from tests.messages import in_hours, order, request, withdrawal
from tests.softtoken import Desk, hot_registry
from tests.vault import ANA, BEN, CY, DOT, TEAMS, Message


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "state")


def test_freezes_on_one_officers_word_and_thaws_on_a_quorums(desk: Desk) -> None:
    freeze = order("signer.freeze", maker=DOT, officers=[DOT], verb=Verb.APPROVE, wallet="hot")
    assert desk.code(freeze) == "obeyed"
    assert desk.spend() == "SIGNER_FROZEN"
    assert desk.restart().code(request(desk.registry, [withdrawal()])) == "SIGNER_FROZEN"
    for officers in ([BEN], [BEN, BEN], [BEN, DOT], [BEN, ANA]):
        assert desk.code(order("signer.release", officers=officers, wallet="hot")) != "obeyed"
    approving = order("signer.release", verb=Verb.APPROVE, wallet="hot")
    assert desk.code(approving) == "SIGNER_WRONG_VERB"
    release = order("signer.release", wallet="hot")
    assert desk.code(release) == "obeyed"
    assert desk.spend() == "signed"


def released(desk: Desk, name: str, by: str, asker: str, officers: Sequence[str], n: int) -> str:
    """The answer to a release of what that officer froze just now."""
    desk.now += 86_400  # so that no release is older than the freeze
    freeze = order(
        "signer.freeze",
        officers=[by],
        verb=Verb.APPROVE,
        nonce=bytes([n]) * 32,
        wallet=name,
        expires=time_text(desk.in_hours(1)),
    )
    assert desk.code(freeze) == "obeyed"
    return desk.code(
        order(
            "signer.release",
            maker=asker,
            officers=officers,
            nonce=bytes([n + 1]) * 32,
            wallet=name,
            expires=time_text(desk.in_hours(24)),
        )
    )


def test_is_not_let_go_by_whoever_froze_it_where_others_can(tmp_path: Path) -> None:
    """Their own signers count them for nothing, whatever the web tier lets them sign; they may ask."""
    five = dict(TEAMS, **{DOT: ["makers", "treasury"]})
    desk = Desk(tmp_path / "five", registry=hot_registry(teams=five))
    for name in ("hot", "*", "hot/lane"):
        assert released(desk, name, BEN, DOT, [BEN, CY], 1) == "SIGNER_BELOW_QUORUM"
        assert desk.restart().health["uncounted"] == {name: [BEN]}
        again = order(
            "signer.release",
            maker=DOT,
            officers=[ANA, CY],
            nonce=b"\x03" * 32,
            wallet=name,
            expires=time_text(desk.in_hours(24)),
        )
        assert desk.code(again) == "obeyed"
        assert released(desk, name, DOT, DOT, [BEN, CY], 4) == "obeyed"
        assert desk.health["uncounted"] == {}


def test_take_the_quorum_that_the_registry_names_for_their_kind(desk: Desk) -> None:
    """Where it names none, that of withdrawals is enough; where it does, it is not."""
    policies = canonical.decode_object(desk.registry.encoded)["policies"]
    assert isinstance(policies, dict)
    stricter = {
        kind: {"teams": {"audit": 1, "treasury": 2}} for kind in ("signer.release", "signer.registry")
    }
    strict = Desk(desk.state.parent / "strict", registry=hot_registry(policies={**policies, **stricter}))
    for kind, members in (
        ("signer.release", {"wallet": "hot"}),
        ("signer.registry", {"version": 2, "digest": "ab" * 32, "keys": []}),
    ):
        two, three = (order(kind, officers=some, **members) for some in ([BEN, CY], [BEN, CY, DOT]))
        assert [desk.code(two), strict.code(two)] == ["obeyed", "SIGNER_BELOW_QUORUM"]
        assert strict.code(three) == "obeyed"


def test_are_not_obeyed_where_a_quorum_has_nobody(desk: Desk) -> None:
    """No registry names such a quorum. If one did, it would not be a freeze's, which any one gives."""
    policies = {kind: replace(policy, teams={}) for kind, policy in desk.registry.policies.items()}
    nobody = replace(desk.registry, policies=policies)
    release = requests.order(order("signer.release", wallet="hot"))
    with pytest.raises(BadQuorum):
        checks.judge_order(release, token="hot-1", registry=nobody, now=in_hours(0))
    intent, signed = requests.approved(request(desk.registry, [withdrawal()])["intents"][0])
    with pytest.raises(BadQuorum):
        checks.approved(intent, signed, registry=desk.registry, teams={}, confirmed=False)


def test_locks_nobody_out_where_officers_are_few(desk: Desk) -> None:
    """Only Ana asks here, and only Ben and Cy are left to agree: without Ben nobody ever could."""
    assert released(desk, "hot", BEN, ANA, [BEN, CY], 1) == "obeyed"
    # Of several who froze it, as many are not heard as the others can do without.
    desk = Desk(desk.state.parent / "six", registry=hot_registry(teams={**TEAMS, DOT: ["treasury"]}))
    for n, officer in enumerate((CY, BEN, DOT)):
        freeze = order(
            "signer.freeze", officers=[officer], verb=Verb.APPROVE, nonce=bytes([n]) * 32, wallet="hot"
        )
        assert desk.code(freeze) == "obeyed"
    assert desk.health["uncounted"] == {"hot": [CY]}
    kept = order("signer.release", officers=[CY, BEN], wallet="hot")
    assert desk.code(kept) == "SIGNER_BELOW_QUORUM"
    assert (
        desk.code(order("signer.release", officers=[BEN, DOT], nonce=b"\x09" * 32, wallet="hot")) == "obeyed"
    )


def test_obeys_each_order_once(desk: Desk) -> None:
    freeze = order("signer.freeze", officers=[BEN], verb=Verb.APPROVE, wallet="hot")
    release = order("signer.release", wallet="hot")
    assert [desk.code(sent) for sent in (freeze, release)] == ["obeyed", "obeyed"]
    assert desk.code(freeze) == "SIGNER_ORDER_USED"
    # The same words again are another order, by the nonce that the officers signed.
    again = order("signer.freeze", officers=[BEN], verb=Verb.APPROVE, nonce=b"\x08" * 32, wallet="hot")
    assert desk.code(again) == "obeyed"
    assert desk.code(release) == "SIGNER_ORDER_USED"
    assert desk.restart().code(release) == "SIGNER_ORDER_USED"
    assert desk.spend() == "SIGNER_FROZEN"


def test_obeys_none_that_was_kept_back_until_it_had_ended(desk: Desk) -> None:
    """Whoever carries orders brings them weeks later, when a release, a reopening or a registry does harm."""
    end = time_text(desk.in_hours(24))
    stop: dict[str, Any] = {"officers": [BEN], "verb": Verb.APPROVE, "expires": end}
    registry = {"version": 2, "digest": "ab" * 32, "keys": list(desk.registry.keys)}
    kept = [
        order("signer.release", wallet="hot", expires=end),
        order("signer.registry", **registry, expires=end),
        order("signer.veto", digest="cd" * 32, **stop),
        order("signer.freeze", wallet="hot", **stop),
        reopening(desk, expires=end),
    ]
    desk.now += 24 * 3_600
    assert [desk.code(one) for one in kept] == ["SIGNER_INTENT_EXPIRED"] * len(kept)
    assert (desk.health["frozen"], desk.signer.memory.announced) == ({}, {})
    desk.now -= 1
    # In time they hold; but a reopening is of the journal as it was found, and that has gone on.
    assert [desk.code(one) for one in kept] == [*(["obeyed"] * 4), "SIGNER_BAD_ORDER"]


def test_ends_no_freeze_by_a_release_that_was_signed_before_it(desk: Desk) -> None:
    """Officers signed it for another freeze; whoever carries orders kept it from this signer till now."""
    kept = order("signer.release", wallet="hot", expires=time_text(desk.in_hours(24)))
    desk.now += 3_600
    soon = time_text(desk.in_hours(1))
    freeze = order("signer.freeze", officers=[BEN], verb=Verb.APPROVE, wallet="hot", expires=soon)
    assert desk.code(freeze) == "obeyed"
    assert desk.code(kept) == "SIGNER_ORDER_BEFORE_FREEZE"
    assert desk.restart().code(kept) == "SIGNER_ORDER_BEFORE_FREEZE"
    assert desk.spend() == "SIGNER_FROZEN"
    release = order("signer.release", wallet="hot", expires=time_text(desk.in_hours(24)))
    assert desk.code(release) == "obeyed"


def test_lets_go_also_where_payments_live_shorter_than_a_release(tmp_path: Path) -> None:
    # Good for a day and no second more: the desk, whose clock stands, is made after it.
    release = order("signer.release", wallet="hot")
    desk = Desk(tmp_path / "hasty", registry=hot_registry(limits={"intent_life_s": 3_600}))
    freeze = order("signer.freeze", officers=[BEN], verb=Verb.APPROVE, wallet="hot")
    assert [desk.code(sent) for sent in (freeze, release)] == ["obeyed"] * 2


def test_keeps_a_freeze_by_the_host_after_its_file_is_gone(desk: Desk) -> None:
    (desk.state / "FREEZE").touch()
    assert [desk.spend() for _ in range(3)] == ["SIGNER_FROZEN"] * 3
    assert desk.file.read_bytes().count(b'"event":"frozen"') == 1, "it says so once"
    release = order("signer.release", wallet="*")
    assert desk.code(release) == "SIGNER_FROZEN"
    (desk.state / "FREEZE").unlink()
    assert desk.spend() == "SIGNER_FROZEN"
    assert desk.code(release) == "obeyed"
    assert desk.spend() == "signed"


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"wallet": "warm"}, "SIGNER_UNKNOWN_WALLET"),
        ({"wallet": "hot", "deployment": "production"}, "SIGNER_WRONG_DEPLOYMENT"),
        ({"wallet": "hot", "expires": "2020-01-01T00:00:00Z"}, "SIGNER_INTENT_EXPIRED"),
        ({"wallet": "hot", "expires": "2099-01-01T00:00:00Z"}, "SIGNER_INTENT_TOO_LONG"),
        ({"wallet": "hot", "surprise": "x"}, "SIGNER_BAD_ORDER"),
        ({"wallet": "hot", "v": True}, "SIGNER_BAD_ORDER"),
        ({"wallet": "hot", "maker": "Ana"}, "SIGNER_BAD_ORDER"),
        ({"wallet": ""}, "SIGNER_BAD_ORDER"),
        ({}, "SIGNER_BAD_ORDER"),
    ],
)
def test_refuses_an_order_of_another_shape(desk: Desk, members: dict[str, Any], expected: str) -> None:
    assert desk.code(order("signer.freeze", officers=[BEN], verb=Verb.APPROVE, **members)) == expected


def damaged(desk: Desk) -> Desk:
    assert desk.spend() == "signed"
    desk.journal.close()
    desk.file.unlink()
    desk.signer = desk._start()
    assert desk.health["state"] == "SIGNER_STORE_LOST"
    return desk


def reopening(desk: Desk, **changes: Any) -> Message:
    standing = desk.health["journal"]["standing"]
    return order("signer.reopen", **{"token": "hot-1", "standing": standing, **changes})


def test_is_reopened_by_a_quorum_and_then_distrusts_older_intents(desk: Desk) -> None:
    before = withdrawal(expires=desk.in_hours(24 * 7 - 1))
    damaged(desk)
    for wrong in ({"officers": [BEN]}, {"verb": Verb.APPROVE}, {"standing": "00" * 32}, {"token": "hot-2"}):
        assert desk.code(reopening(desk, **wrong)) not in ("obeyed", "signed")
    assert desk.code(reopening(desk)) == "obeyed"
    assert desk.let_go() == "obeyed"
    assert desk.health["state"] == "ready"
    assert desk.spend(intent=before) == "SIGNER_INTENT_BEFORE_REOPENING"
    desk.restart()
    assert desk.spend(intent=before) == "SIGNER_INTENT_BEFORE_REOPENING"
    desk.now += 3600
    assert desk.spend(intent=withdrawal(expires=desk.in_hours(24 * 7))) == "signed"
    assert desk.restart().health["state"] == "ready"


def test_cannot_be_reopened_twice_with_one_order(desk: Desk) -> None:
    assert desk.spend() == "signed"
    backup = desk.file.read_bytes()
    assert desk.spend() == "signed"
    desk.file.write_bytes(backup)
    desk.restart()
    once = reopening(desk)
    assert desk.code(once) == "obeyed"
    desk.file.write_bytes(backup)
    desk.restart()
    assert desk.health["state"] == "SIGNER_STORE_RESTORED"
    assert desk.code(once) == "SIGNER_BAD_ORDER"


def test_keeps_a_damaged_file_for_the_inquiry(desk: Desk) -> None:
    assert desk.spend() == "signed"
    desk.journal.close()
    desk.file.write_bytes(b"rubbish\n")
    desk.signer = desk._start()
    assert desk.code(reopening(desk)) == "obeyed"
    aside = list(desk.state.glob("journal.*.aside"))
    assert [path.read_bytes() for path in aside] == [b"rubbish\n"]


def test_is_reopened_after_the_clock_was_set_back_for_good(desk: Desk) -> None:
    desk.now += 10 * 365 * 86400
    assert desk.spend() == "signed"
    desk.now -= 10 * 365 * 86400
    assert desk.health["state"] == "SIGNER_CLOCK_BACK"
    assert desk.code(reopening(desk)) == "obeyed"
    desk.now += 3600
    assert desk.spend(intent=withdrawal(expires=desk.in_hours(24 * 7))) == "signed"


def test_lets_go_by_what_was_signed_since_a_reopening_that_kept_its_freeze(desk: Desk) -> None:
    def release(nonce: bytes) -> dict[str, Any]:
        return order("signer.release", wallet="hot", expires=time_text(desk.in_hours(24)), nonce=nonce)

    desk.now += 3_600
    soon = time_text(desk.in_hours(1))
    freeze = order("signer.freeze", officers=[BEN], verb=Verb.APPROVE, wallet="hot", expires=soon)
    assert desk.code(freeze) == "obeyed"
    backup = desk.file.read_bytes()
    desk.now += 60
    obeyed = release(b"\x09" * 32)
    assert desk.code(obeyed) == "obeyed"
    desk.file.write_bytes(backup)
    desk.now += 60
    kept = release(b"\x0a" * 32)
    assert desk.restart().health["state"] == "SIGNER_STORE_RESTORED"
    assert desk.code(reopening(desk, expires=time_text(desk.in_hours(1)))) == "obeyed"
    # What it obeyed and forgot, and what may have been signed before, by a clock that differs.
    for _ in range(2):
        assert desk.code(obeyed) == "SIGNER_INTENT_BEFORE_REOPENING"
        assert desk.code(kept) == "SIGNER_INTENT_BEFORE_REOPENING"
        assert desk.code(release(b"\x0b" * 32)) == "SIGNER_INTENT_BEFORE_REOPENING"
        desk.restart()
    assert desk.spend(intent=withdrawal(expires=desk.in_hours(24 * 7 - 1))) == "SIGNER_FROZEN"
    desk.now += 121
    desk.restart()
    assert desk.code(kept) == "SIGNER_INTENT_BEFORE_REOPENING"
    assert desk.code(release(b"\x0c" * 32)) == "obeyed"
    assert desk.let_go(nonce=b"\x0d" * 32) == "obeyed"
    desk.now += 3_600
    assert desk.spend(intent=withdrawal(expires=desk.in_hours(24 * 7))) == "signed"


def test_distrusts_orders_from_before_a_reopening(desk: Desk) -> None:
    release = order("signer.release", wallet="hot")
    assert desk.code(reopening(damaged(desk))) == "obeyed"
    assert desk.code(release) == "SIGNER_INTENT_BEFORE_REOPENING"
    freeze = order("signer.freeze", officers=[BEN], verb=Verb.APPROVE, wallet="hot")
    assert desk.code(freeze) == "obeyed"


def others(desk: Desk) -> list[str]:
    """What it says to orders that let something go, or bring a registry."""
    following: Message = {"version": 2, "digest": "ab" * 32, "keys": list(desk.registry.keys)}
    soon = time_text(desk.in_hours(1))
    return [
        desk.code(order("signer.release", wallet="hot", expires=time_text(desk.in_hours(24)))),
        desk.code(order("signer.registry", **following, expires=soon, nonce=b"\x0b" * 32)),
    ]


def test_do_nothing_but_reopen_it_while_its_journal_is_not_the_one_it_left(desk: Desk) -> None:
    """What it would remember of them would stand in a file that nobody vouches for."""
    damaged(desk)
    freeze = order("signer.freeze", officers=[BEN], verb=Verb.APPROVE, wallet="hot")
    seen = {"v": 1, "type": "log_cosigned", "note": "x"}
    assert [*others(desk), desk.code(freeze), desk.code(seen)] == ["SIGNER_STORE_LOST"] * 4
    assert desk.journal.lines == 0


def test_only_stop_it_while_its_clock_is_behind_what_it_wrote(desk: Desk) -> None:
    """By such a clock an order may be over long since, or its delay not."""
    desk.now += 3_600
    assert desk.spend() == "signed"
    desk.now -= 3_600
    assert others(desk) == ["SIGNER_CLOCK_BACK"] * 2
    freeze = order("signer.freeze", officers=[BEN], verb=Verb.APPROVE, wallet="hot")
    assert desk.code(freeze) == "obeyed"
