"""Officers' orders to a signer …"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from custody.signer import requests
from custody.signer.refusals import Refused
from fixtures.authenticator import Authenticator
from kernel import canonical
from kernel.approval import Verb
from kernel.intent import time_text
from kernel.money import Amount
from kernel.registry import Registry
from tests import vault as vaults
from tests.softtoken import Desk, hot_registry
from tests.vault import ANA, BEN, CY, DOT, Message, order, request, withdrawal


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
    desk = Desk(tmp_path / "hasty", registry=hot_registry(limits={"intent_life_s": 3_600}))
    freeze = order("signer.freeze", officers=[BEN], verb=Verb.APPROVE, wallet="hot")
    assert [desk.code(sent) for sent in (freeze, order("signer.release", wallet="hot"))] == ["obeyed"] * 2


def test_keeps_a_freeze_by_the_host_after_its_file_is_gone(desk: Desk) -> None:
    (desk.state / "FREEZE").touch()
    assert desk.spend() == "SIGNER_FROZEN"
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


# The registry.


def succession(desk: Desk, **changes: Any) -> tuple[Any, Message]:
    new = hot_registry(**{"version": 2, "limits": {"fee_sats_max": "1"}, **changes})
    return new, {"version": new.version, "digest": new.digest.hex()}


def test_signs_no_kind_of_act_that_the_registry_has_no_policy_for(desk: Desk) -> None:
    refill = withdrawal(kind="custody.refill", customer=None, expires=desk.in_hours(1))
    assert desk.spend(intent=refill) == "SIGNER_UNKNOWN_KIND"


def test_refuses_another_registry_that_nobody_ordered(desk: Desk) -> None:
    assert desk.spend() == "signed"
    new, _ = succession(desk)
    desk.restart(registry=new)
    assert desk.spend() == "SIGNER_REGISTRY_CHANGED"
    assert desk.code(order("signer.release", wallet="hot")) == "SIGNER_REGISTRY_CHANGED"
    desk.restart(registry=hot_registry())
    assert desk.spend() == "signed"


def test_takes_up_the_registry_that_officers_of_the_old_one_ordered(desk: Desk) -> None:
    old = desk.registry
    new, members = succession(desk)
    desk.restart(registry=new, order=requests.order(order("signer.registry", **members)))
    assert desk.spend() == "SIGNER_FEE_ABOVE_LIMIT"
    # Back to the old one, even with its file untouched: versions only grow.
    desk.restart(registry=old, order=None)
    assert desk.spend() == "SIGNER_REGISTRY_CHANGED"


@pytest.mark.parametrize(
    ("changes", "how"),
    [
        ({"version": 1}, {}),
        ({"deployment": "other"}, {}),
        ({}, {"officers": [BEN]}),
        ({}, {"officers": [BEN, DOT]}),
        ({}, {"verb": Verb.APPROVE}),
        ({}, {"digest": "00" * 32}),
        ({}, {"version": 3}),
    ],
)
def test_takes_up_no_registry_without_that(desk: Desk, changes: dict[str, Any], how: dict[str, Any]) -> None:

    new, members = succession(desk, **changes)
    with pytest.raises(Refused):
        desk.restart(registry=new, order=requests.order(order("signer.registry", **{**members, **how})))


def test_lets_no_new_officers_order_their_own_registry(desk: Desk) -> None:
    """The attacker writes a registry with keys of their own and signs it with these."""

    honest, bad = dict(vaults.KEYS), {officer: Authenticator() for officer in (BEN, CY)}
    try:
        vaults.KEYS.update(bad)
        new, members = succession(desk)
        forged = requests.order(order("signer.registry", **members))
    finally:
        vaults.KEYS.update(honest)
    with pytest.raises(Refused, match="SIGNER_ASSERTION_SIGNATURE"):
        desk.restart(registry=new, order=forged)


DELAY = 3_600


def patient(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "patient", registry=hot_registry(limits={"registry_delay_s": DELAY}))


def test_announces_a_registry_that_may_be_taken_up_after_its_delay(tmp_path: Path) -> None:
    desk = patient(tmp_path)
    new, members = succession(desk)
    assert desk.code(order("signer.registry", **members)) == "obeyed"
    desk.restart(registry=new)
    assert desk.spend() == "SIGNER_REGISTRY_CHANGED"
    desk.now += DELAY - 1
    assert desk.restart().spend() == "SIGNER_REGISTRY_CHANGED"
    desk.now += 2
    assert desk.restart().spend() == "SIGNER_FEE_ABOVE_LIMIT"


def test_announces_at_the_start_as_well(tmp_path: Path) -> None:
    desk = patient(tmp_path)
    new, members = succession(desk)
    desk.restart(registry=new, order=requests.order(order("signer.registry", **members)))
    assert desk.spend() == "SIGNER_REGISTRY_CHANGED"
    desk.now += DELAY
    assert desk.restart().spend() == "SIGNER_FEE_ABOVE_LIMIT"


def test_lets_any_one_officer_veto_a_registry_within_its_delay(tmp_path: Path) -> None:
    desk = patient(tmp_path)
    new, members = succession(desk)
    assert desk.code(order("signer.registry", **members)) == "obeyed"
    veto = order("signer.veto", maker=DOT, officers=[DOT], verb=Verb.APPROVE, digest=members["digest"])
    assert desk.code(veto) == "obeyed"
    desk.now += DELAY + 1
    assert desk.restart(registry=new).spend() == "SIGNER_REGISTRY_CHANGED"
    again = requests.order(order("signer.registry", nonce=b"\x09" * 32, **members))
    assert desk.restart(order=again).spend() == "SIGNER_REGISTRY_CHANGED"


def test_forgets_announcements_of_officers_who_were_replaced(desk: Desk) -> None:
    second, members = succession(desk)
    third, later = succession(desk, version=3)
    for announced in (members, later):
        assert desk.code(order("signer.registry", **announced)) == "obeyed"
    assert desk.restart(registry=second).spend() == "SIGNER_FEE_ABOVE_LIMIT"
    assert desk.restart(registry=third).spend() == "SIGNER_REGISTRY_CHANGED"


def test_distrusts_orders_from_before_a_reopening(desk: Desk) -> None:
    release = order("signer.release", wallet="hot")
    assert desk.code(reopening(damaged(desk))) == "obeyed"
    assert desk.code(release) == "SIGNER_INTENT_BEFORE_REOPENING"
    freeze = order("signer.freeze", officers=[BEN], verb=Verb.APPROVE, wallet="hot")
    assert desk.code(freeze) == "obeyed"


def on_mainnet(tmp_path: Path, **how: Any) -> Desk:
    registry = hot_registry(network="mainnet")
    members = {"version": 1, "digest": registry.digest.hex(), "maker": RIA, "officers": [ANA, BEN, CY, DOT]}
    members |= how
    return Desk(
        tmp_path / "main", registry=registry, order=requests.order(order("signer.registry", **members))
    )


def test_begin_a_signer_for_real_money(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="SIGNER_GENESIS_UNSIGNED"):
        Desk(tmp_path / "unsigned", registry=hot_registry(network="mainnet"))
    for wrong in (
        {"officers": [BEN]},
        {"officers": [ANA, BEN, CY]},
        {"digest": "00" * 32},
        {"verb": Verb.APPROVE},
        {"version": 2},
    ):
        with pytest.raises(Refused):
            on_mainnet(tmp_path, **wrong)
    assert on_mainnet(tmp_path).health["state"] == "ready"


def test_pin_nothing_while_the_keys_are_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*args: Any, **kwargs: Any) -> None:
        raise Refused("SIGNER_KEY_MISSING", "on purpose")

    with monkeypatch.context() as patch:
        patch.setattr("tests.softtoken.SoftToken.check_key", missing)
        with pytest.raises(Refused, match="SIGNER_KEY_MISSING"):
            Desk(tmp_path / "state")
    assert (tmp_path / "state" / "journal.jsonl").read_bytes() == b""


# Rules.


def rule(name: str, most: int, teams: dict[str, int]) -> dict[str, Any]:
    when = [["kind", "is", "custody.withdrawal"], ["amount", "at_most", str(most)]]
    return {"name": name, "when": when, "teams": teams, "rejections": 1}


def test_leave_the_teams_to_the_registrys_rules_where_it_has_some(tmp_path: Path) -> None:
    rules = [
        rule("small", 25_000_000, {"treasury": 1}),
        rule("large", 30_000_000, {"treasury": 2, "audit": 1}),
    ]
    document = {"v": 1, "version": 1, "rules": rules}
    desk = Desk(tmp_path / "rules", registry=hot_registry(rules=document))

    def pay(units: int, *officers: str) -> str:
        intent = withdrawal(amount=Amount(units, "BTC"), expires=desk.in_hours(1))
        return desk.spend(intent, officers=officers)

    assert pay(25_000_000, BEN) == "signed"
    assert pay(25_000_001, BEN, CY) == "SIGNER_BELOW_QUORUM"
    assert pay(25_000_001, BEN, CY, DOT) == "signed"
    assert pay(30_000_001, BEN, CY, DOT) == "SIGNER_NO_RULE"


def test_refuse_what_a_rule_of_the_registry_denies_whatever_stands_below_it(tmp_path: Path) -> None:
    deny = {"name": "huge", "when": [["amount", "above", "25000000"]], "deny": "Nobody pays that at once."}
    document = {"v": 1, "version": 1, "rules": [deny, rule("rest", 10**9, {"treasury": 1})]}
    desk = Desk(tmp_path / "denied", registry=hot_registry(rules=document))
    said = [
        desk.spend(withdrawal(amount=Amount(units, "BTC"), expires=desk.in_hours(1)), officers=(BEN, CY))
        for units in (25_000_000, 25_000_001)
    ]
    assert said == ["signed", "SIGNER_NO_RULE"]


# The way back from a lost quorum.

RIA, SAM = "01900000-0000-7000-8000-0000000000e5", "01900000-0000-7000-8000-0000000000f6"
DAYS_S = 30 * 86_400


def recovering(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Desk, Any]:
    """A desk whose registry names Ria and Sam for a recovery, and the next one, with another Ben."""
    spare = {RIA: Authenticator("e5" * 32), SAM: Authenticator("f6" * 32)}
    people = {
        who: {"name": "Ria" if who == RIA else "Sam", "public_key": key.public_key_hex}
        for who, key in spare.items()
    }
    recovery = {"officers": people, "quorum": 2, "delay_s": DAYS_S}
    old = hot_registry(recovery=recovery)
    officers = canonical.decode_object(old.encoded)["officers"]
    assert isinstance(officers, dict)
    fresh = {**officers, BEN: {**officers[BEN], "public_key": Authenticator("77" * 32).public_key_hex}}
    new = hot_registry(recovery=recovery, officers=fresh, version=2)
    for who, key in spare.items():
        monkeypatch.setitem(vaults.KEYS, who, key)
    return Desk(tmp_path / "recovery", registry=old), new


def recovery_order(new: Any, **how: Any) -> Message:
    members = {"version": new.version, "digest": new.digest.hex()}
    return order("signer.recovery", **{"maker": RIA, "officers": [RIA, SAM], **members, **how})


def test_bring_new_officers_by_those_named_for_it_after_a_long_delay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, new = recovering(tmp_path, monkeypatch)
    assert desk.code(recovery_order(new, maker=ANA)) == "obeyed"
    desk.now += DAYS_S - 1
    assert desk.restart(registry=new).spend() == "SIGNER_REGISTRY_CHANGED"
    desk.now += 1
    assert desk.restart().health["state"] == "ready"
    assert desk.spend() == "SIGNER_ASSERTION_SIGNATURE"  # Ben's old passkey counts no more


@pytest.mark.parametrize(
    ("expected", "how"),
    [
        ("SIGNER_MAKER_APPROVES", {}),
        ("SIGNER_BELOW_QUORUM", {"maker": ANA, "officers": [RIA]}),
        ("SIGNER_UNKNOWN_OFFICER", {"maker": ANA, "officers": [RIA, BEN]}),
        ("SIGNER_WRONG_VERB", {"maker": ANA, "verb": Verb.APPROVE}),
    ],
)
def test_bring_none_by_anybody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expected: str, how: dict[str, Any]
) -> None:
    desk, new = recovering(tmp_path, monkeypatch)
    assert desk.code(recovery_order(new, **how)) == expected


def test_let_recovery_officers_do_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without = Desk(tmp_path / "without")
    desk, new = recovering(tmp_path, monkeypatch)
    assert desk.spend(officers=[RIA, SAM]) == "SIGNER_UNKNOWN_OFFICER"
    members = {"version": 2, "digest": new.digest.hex()}
    assert desk.code(order("signer.registry", officers=[RIA, SAM], **members)) == "SIGNER_UNKNOWN_OFFICER"
    assert without.code(recovery_order(new, maker=ANA)) == "SIGNER_UNKNOWN_KIND"


@pytest.mark.parametrize("who", [DOT, SAM])
def test_let_any_officer_of_either_kind_veto_a_recovery(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    desk, new = recovering(tmp_path, monkeypatch)
    assert desk.code(recovery_order(new, maker=ANA)) == "obeyed"
    veto = order("signer.veto", maker=who, officers=[who], verb=Verb.APPROVE, digest=new.digest.hex())
    assert desk.code(veto) == "obeyed"
    desk.now += DAYS_S
    assert desk.restart(registry=new).spend() == "SIGNER_REGISTRY_CHANGED"


def test_move_nothing_but_officers_by_a_recovery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk, new = recovering(tmp_path, monkeypatch)
    document = canonical.decode_object(new.encoded)
    document["limits"] = {**document["limits"], "fee_sats_max": "900000"}  # type: ignore[dict-item]
    richer = Registry.parse(canonical.encode(document))
    # At the start the file is at hand, so it is refused at once.
    with pytest.raises(Refused, match="a recovery changes officers and nothing else"):
        desk.restart(registry=richer, order=requests.order(recovery_order(richer, maker=ANA)))
    # Over the socket only its digest is announced; it is refused when it is to be taken up.
    desk.order, desk.registry = None, Registry.parse((desk.state / "registry.json").read_bytes())
    desk.signer = desk._start()
    assert desk.code(recovery_order(richer, maker=ANA)) == "obeyed"
    desk.now += DAYS_S
    with pytest.raises(Refused, match="a recovery changes officers and nothing else"):
        desk.restart(registry=richer)
