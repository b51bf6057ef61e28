"""The registry of a signer: no other than what its officers ordered …"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from custody.signer import checks, requests
from custody.signer.refusals import Refused
from fixtures.authenticator import Authenticator
from kernel import canonical
from kernel.approval import SignedApproval, Verb
from kernel.intent import WITHDRAWAL, Intent, time_text
from kernel.money import Amount
from kernel.registry import DELAY_S_MIN, Registry
from tests import vault as vaults
from tests.messages import approvals, coin, order, request, withdrawal
from tests.registries import DELAY, RIA, SAM, patient, succession
from tests.softtoken import TOKENS, Desk, SoftToken, hot_registry
from tests.vault import ANA, BEN, CY, DOT, Message


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "state")


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
    ("changes", "how", "expected"),
    [
        ({"version": 1}, {}, "SIGNER_REGISTRY_CHANGED"),
        ({"deployment": "other"}, {}, "SIGNER_REGISTRY_CHANGED"),
        ({}, {"officers": [BEN]}, "SIGNER_BELOW_QUORUM"),
        ({}, {"officers": [BEN, DOT]}, "SIGNER_BELOW_QUORUM"),
        ({}, {"verb": Verb.APPROVE}, "SIGNER_WRONG_VERB"),
        ({}, {"digest": "00" * 32}, "SIGNER_BAD_ORDER"),
        ({}, {"version": 3}, "SIGNER_BAD_ORDER"),
        ({}, {"keys": ["0" * 32 + " Ana"]}, "SIGNER_BAD_ORDER"),
        ({}, {"v": 1}, "SIGNER_BAD_ORDER"),
    ],
)
def test_takes_up_no_registry_without_that(
    desk: Desk, changes: dict[str, Any], how: dict[str, Any], expected: str
) -> None:
    new, members = succession(desk, **changes)
    with pytest.raises(Refused, match=expected):
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


def test_announces_a_registry_that_may_be_taken_up_after_its_delay(tmp_path: Path) -> None:
    desk = patient(tmp_path)
    new, members = succession(desk)
    assert desk.code(order("signer.registry", **members)) == "obeyed"
    desk.now += DELAY - 11 * 60
    # It has listened for as long as it must, and still waits: in that hour officers may yet object.
    assert desk.restart(registry=new).listen(10).spend() == "SIGNER_REGISTRY_CHANGED"
    assert desk.listen(1).spend() == "SIGNER_FEE_ABOVE_LIMIT"


@pytest.mark.parametrize(("file", "said"), [(1, 1), (2, 3), (2, 1)])
def test_follows_no_order_back_nor_one_that_names_another_version_than_the_file_has(
    tmp_path: Path, file: int, said: int
) -> None:
    """The socket brings an order without the file, so only who takes the file up can compare the two."""
    desk = patient(tmp_path)
    new, members = succession(desk, version=file)
    assert desk.code(order("signer.registry", **{**members, "version": said})) == "obeyed"
    desk.now += DELAY
    assert desk.restart(registry=new).listen().spend() == "SIGNER_REGISTRY_CHANGED"


def test_announces_at_the_start_as_well(tmp_path: Path) -> None:
    desk = patient(tmp_path)
    new, members = succession(desk)
    desk.restart(registry=new, order=requests.order(order("signer.registry", **members)))
    assert desk.spend() == "SIGNER_REGISTRY_CHANGED"
    desk.now += DELAY
    assert desk.restart().listen().spend() == "SIGNER_FEE_ABOVE_LIMIT"


def test_stands_with_the_registry_whose_line_is_written_though_its_token_was_not_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it runs, too: whoever was replaced is not heard any more, and the next start finds the copy."""
    desk = patient(tmp_path)
    new, members = succession(desk)
    assert desk.code(order("signer.registry", **members)) == "obeyed"
    desk.now += DELAY
    desk.restart(registry=new).listen(9)

    def failing(token: SoftToken, value: bytes) -> None:
        raise Refused("SIGNER_TOKEN_FAILED", "on purpose")

    with monkeypatch.context() as patch:
        patch.setattr(SoftToken, "write", failing)
        desk.now += 60
        assert desk.code({"v": 1, "type": "health"}) == "SIGNER_TOKEN_FAILED"
    assert desk.signer.believed is desk.signer.registry
    assert Registry.parse((desk.state / "registry.json").read_bytes()) == new
    assert desk.restart().spend() == "SIGNER_FEE_ABOVE_LIMIT"


def test_keeps_a_whole_copy_of_a_registry_whatever_ends_it_in_the_middle(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    new, members = succession(desk)

    def torn(path: Path, data: bytes) -> int:
        with path.open("wb") as file:
            file.write(data[:100])
        raise OSError("the power failed")

    ordered = requests.order(order("signer.registry", **members))
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", torn)
        with pytest.raises(OSError, match="the power failed"):
            desk.restart(registry=new, order=ordered)
    assert Registry.parse((desk.state / "registry.json").read_bytes()).version == 1


def test_takes_up_no_file_with_other_passkeys_than_its_officers_read(tmp_path: Path) -> None:
    desk = patient(tmp_path)
    new, members = succession(desk)
    shown = [f"{'0' * 32} {line.partition(' ')[2]}" for line in new.keys]
    assert desk.code(order("signer.registry", **{**members, "keys": shown})) == "obeyed"
    desk.now += DELAY
    assert desk.restart(registry=new).listen().spend() == "SIGNER_REGISTRY_CHANGED"
    desk.restart(registry=hot_registry(limits={"registry_delay_s": DELAY}))
    honest = {**members, "expires": time_text(desk.in_hours(1))}
    assert desk.code(order("signer.registry", nonce=b"\x09" * 32, **honest)) == "obeyed"
    desk.now += DELAY
    assert desk.restart(registry=new).listen().spend() == "SIGNER_FEE_ABOVE_LIMIT"


def test_takes_up_no_file_with_other_recovery_officers_than_its_officers_read(tmp_path: Path) -> None:
    """Two passkeys of the attacker's in their places would bring officers of the attacker's, days later."""
    desk = patient(tmp_path)

    def naming(*keys: Authenticator) -> tuple[Any, Message]:
        named = zip((RIA, SAM), ("Ria", "Sam"), keys, strict=True)
        people = {who: {"name": name, "public_key": key.public_key_hex} for who, name, key in named}
        return succession(desk, recovery={"officers": people, "quorum": 2, "delay_s": 3 * 86_400})

    _, read = naming(Authenticator(), Authenticator())
    assert [line.partition(" ")[2] for line in read["keys"][-2:]] == [
        "Ria, for a recovery",
        "Sam, for a recovery",
    ]
    bad, members = naming(Authenticator(), Authenticator())
    assert desk.code(order("signer.registry", **{**members, "keys": read["keys"]})) == "obeyed"
    desk.now += DELAY
    assert desk.restart(registry=bad).listen().spend() == "SIGNER_REGISTRY_CHANGED"


def test_counts_a_passkey_that_took_anothers_place_from_its_own_beginning(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert desk.spend() == "signed"
    another = Authenticator("77" * 32)
    officers = canonical.decode_object(desk.registry.encoded)["officers"]
    assert isinstance(officers, dict)
    changed = {**officers, BEN: {**officers[BEN], "public_key": another.public_key_hex}}
    new, members = succession(desk, officers=changed, limits={})
    desk.restart(registry=new, order=requests.order(order("signer.registry", **members)))
    # Long after the old one counted, the new one begins: at one, where many would begin.
    monkeypatch.setitem(vaults.KEYS, BEN, another)
    monkeypatch.setattr("fixtures.authenticator._COUNTS_SINCE", time.time())
    desk.now += 8 * 86_400
    assert desk.spend() == "signed"


def test_forgets_announcements_of_officers_who_were_replaced(desk: Desk) -> None:
    second, members = succession(desk)
    third, later = succession(desk, version=3)
    orders = [order("signer.registry", **announced) for announced in (members, later)]
    assert [desk.code(one) for one in orders] == ["obeyed"] * 2
    assert desk.restart(registry=second).spend() == "SIGNER_FEE_ABOVE_LIMIT"
    assert desk.restart(registry=third).spend() == "SIGNER_REGISTRY_CHANGED"
    # Nor does the same order bring it once more, with the file at the start.
    with pytest.raises(Refused, match="SIGNER_ORDER_USED"):
        desk.restart(order=requests.order(orders[1]))


def test_takes_up_nothing_by_an_order_from_before_a_reopening(desk: Desk) -> None:
    new, members = succession(desk)
    kept = requests.order(order("signer.registry", **members))
    standing = desk.health["journal"]["standing"]
    assert desk.code(order("signer.reopen", token="hot-1", standing=standing)) == "obeyed"
    with pytest.raises(Refused, match="SIGNER_INTENT_BEFORE_REOPENING"):
        desk.restart(registry=new, order=kept)


def test_hears_no_officers_of_a_copy_that_somebody_put_in_its_folder(desk: Desk) -> None:
    """Whoever writes on the host, and does not hold the PIN, names officers of their own as the old ones."""
    assert desk.spend() == "signed"
    mine = {one: Authenticator() for one in (ANA, BEN, CY)}
    officers = canonical.decode_object(desk.registry.encoded)["officers"]
    assert isinstance(officers, dict)
    for one, key in mine.items():
        officers[one] = {**officers[one], "public_key": key.public_key_hex}
    (desk.state / "registry.json").write_bytes(hot_registry(officers=officers).encoded)
    new, members = succession(desk, officers=officers)
    honest = dict(vaults.KEYS)
    try:
        vaults.KEYS.update(mine)
        ordered = requests.order(order("signer.registry", **members))
    finally:
        vaults.KEYS.update(honest)
    with pytest.raises(Refused, match="the kept copy of the old registry was changed"):
        desk.restart(registry=new, order=ordered)


def real() -> Registry:
    return hot_registry(network="mainnet", limits={"registry_delay_s": DELAY_S_MIN})


def on_mainnet(tmp_path: Path, **how: Any) -> Desk:
    registry = real()
    members = {"version": 1, "digest": registry.digest.hex(), "keys": list(registry.keys)}
    members |= {"maker": RIA, "officers": [ANA, BEN, CY, DOT]}
    members |= how
    return Desk(
        tmp_path / "main", registry=registry, order=requests.order(order("signer.registry", **members))
    )


def test_begin_a_signer_for_real_money(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="SIGNER_GENESIS_UNSIGNED"):
        Desk(tmp_path / "unsigned", registry=real())
    for code, wrong in (
        ("SIGNER_BELOW_QUORUM", {"officers": [BEN]}),
        ("SIGNER_GENESIS_UNSIGNED", {"officers": [ANA, BEN, CY]}),
        ("SIGNER_BAD_ORDER", {"digest": "00" * 32}),
        ("SIGNER_WRONG_VERB", {"verb": Verb.APPROVE}),
        ("SIGNER_BAD_ORDER", {"version": 2}),
    ):
        with pytest.raises(Refused) as refused:
            on_mainnet(tmp_path, **wrong)
        assert (refused.value.code, wrong) == (code, wrong)
    assert on_mainnet(tmp_path).health["state"] == "ready"


def test_pin_nothing_while_the_keys_are_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*args: Any, **kwargs: Any) -> None:
        raise Refused("SIGNER_KEY_MISSING", "on purpose")

    with monkeypatch.context() as patch:
        patch.setattr("tests.softtoken.SoftToken.check_key", missing)
        with pytest.raises(Refused, match="SIGNER_KEY_MISSING"):
            Desk(tmp_path / "state")
    assert (tmp_path / "state" / "journal.jsonl").read_bytes() == b""


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


@pytest.mark.parametrize("asset", ["BTC", "ETH"])
@pytest.mark.parametrize("fact", ["kind", "asset", "amount", "source", "destination"])
def test_judge_by_each_fact_as_what_was_signed_says_it(fact: str, asset: str) -> None:
    """One officer is enough for exactly this payment, and three would be for every other."""
    intent = withdrawal(amount=Amount(25_000_000, asset), fee_cap=Amount(0, asset))
    intent = replace(intent, source=f"{asset}-wallet", destination=f"to-{asset}")
    exact = (
        ["amount", "at_least", "25000000"] if fact == "amount" else [fact, "is", getattr(intent, fact, asset)]
    )
    one = {"name": "one", "when": [exact], "teams": {"treasury": 1}, "rejections": 1}
    rules = [one, rule("rest", 10**9, {"treasury": 2, "audit": 1})]
    registry = hot_registry(rules={"v": 1, "version": 1, "rules": rules})
    payload = intent.encoded()
    given = approvals(payload, kind=WITHDRAWAL, officers=[BEN])
    signed = requests.Signed(payload, tuple(map(SignedApproval.from_json, given)))
    assert checks.approved(intent, signed, registry=registry, teams={"treasury": 3}, confirmed=False)


def test_that_only_some_follow_says_which_of_them_sign_what(tmp_path: Path) -> None:
    """Three are asked for one payment, two of them on version 1: a refusal names both numbers."""
    desks = [Desk(tmp_path / name, token=SoftToken(name)) for name in TOKENS]
    policies = {WITHDRAWAL: {"version": 2, "source": "hot", "teams": {"treasury": 2}}}
    new, said = succession(desks[0], policies=policies, limits={})
    ahead = desks[2].restart(registry=new, order=requests.order(order("signer.registry", **said)))
    mine = coin(desks[0].registry, "hot", 1, 150_000_000)
    before = withdrawal(expires=ahead.in_hours(1))

    def codes(intent: Intent) -> list[str]:
        return [desk.spend(intent, coins=[mine]) for desk in desks]

    # What was approved under the old policy is paid by those who have it still, and by nobody else.
    assert codes(before) == ["signed", "signed", "SIGNER_WRONG_POLICY"]
    answer = ahead.ask(request(new, [before], coins=[mine]))
    assert answer["detail"] == "approved under policy 1, not 2"
    # Approved anew, it is refused by those; signatures of both approvals are of one transaction.
    anew = replace(before, policy=2)
    assert codes(anew) == ["SIGNER_WRONG_POLICY", "SIGNER_WRONG_POLICY", "signed"]
    assert [desk.health["registry"]["version"] for desk in desks] == [1, 1, 2]
