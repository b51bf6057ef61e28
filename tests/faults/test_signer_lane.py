"""Without officers, a signer …"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from custody.signer.checks import Plan
from custody.signer.counters import Memory
from custody.signer.journal import Entry
from custody.signer.refusals import Refused
from kernel import lane as lanes
from kernel import script
from kernel.approval import Verb
from kernel.intent import time_text
from kernel.money import Amount
from kernel.registry import Wallet
from tests import vault as vaults
from tests.customers import DAY, HOUR, SITE, TOM, Customer, Reconciler, payout, section, unattended
from tests.softtoken import Desk, SoftToken, hot_registry
from tests.vault import BEN, Message, coin, order, request

ATTENDED = hot_registry().limits
ELSEWHERE = "bcrt1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qzf4jry"


def desk_with_lane(folder: Path, *, token: str = "hot-1", **changes: Any) -> Desk:
    registry = hot_registry(lanes={"hot": section(**changes)}, customers=SITE)
    return Desk(folder / token, registry=registry, token=SoftToken(token))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A signer that has known Tom's key and destination for long, with fresh word that the books agree."""
    desk = desk_with_lane(tmp_path)
    assert desk.ask(Customer().key()) == {
        "v": 1,
        "type": "learnt",
        "token": "hot-1",
        "new": True,
        "alert": "",
    }
    assert desk.code(Customer().beneficiary()) == "learnt"
    desk.now += 2 * DAY
    assert attest(desk) == "attested"
    return desk


def attest(desk: Desk, **changes: Any) -> str:
    return desk.code(Reconciler().attests(desk.in_hours(0), **changes))


def pay(desk: Desk, coins: Any = None, fee: int = 2_000, **changes: Any) -> str:
    intent = payout(**{"expires": desk.in_hours(1), **changes})
    return desk.code(unattended(request(desk.registry, [intent], coins=coins, fee=fee)))


def test_pays_a_destination_that_the_customer_signed_and_that_it_has_known_for_long(desk: Desk) -> None:
    assert pay(desk) == "signed"
    # Counters of its own: what officers approve is not eaten up by what they never saw.
    assert desk.health["used"] == {"hot": "0"}
    assert desk.health["lanes"]["hot"]["used"] == "1002000"
    assert desk.restart().health["lanes"]["hot"]["used"] == "1002000"


def test_pays_nothing_where_the_registry_has_no_lane(tmp_path: Path) -> None:
    assert pay(Desk(tmp_path / "state")) == "SIGNER_NO_LANE"


def test_makes_no_refill(desk: Desk) -> None:
    intent = vaults.withdrawal(kind="custody.refill", customer=None, expires=desk.in_hours(1))
    assert desk.code(unattended(request(desk.registry, [intent]))) == "SIGNER_NO_LANE"


def test_pays_nobody_before_the_cooling_off_of_the_key_and_then_of_the_destination(tmp_path: Path) -> None:
    desk = desk_with_lane(tmp_path)
    attest(desk)
    assert pay(desk) == "SIGNER_UNKNOWN_BENEFICIARY"
    assert desk.code(Customer().beneficiary()) == "SIGNER_UNKNOWN_CUSTOMER"
    assert desk.code(Customer().key()) == "learnt"
    desk.now += DAY / 2
    assert desk.code(Customer().beneficiary()) == "learnt"
    # The key was half a day old: the destination's day begins when the key's is over.
    for wait, code in ((DAY, "SIGNER_COOLING_OFF"), (DAY / 2 - 1, "SIGNER_COOLING_OFF"), (1, "signed")):
        desk.now += wait
        attest(desk)
        assert pay(desk) == code


def test_counts_age_by_its_own_clock_and_not_by_what_the_statement_says(tmp_path: Path) -> None:
    desk = desk_with_lane(tmp_path)
    desk.ask(Customer().key(time="2020-01-01T00:00:00Z"))
    desk.ask(Customer().beneficiary(time="2020-01-01T00:00:00Z"))
    attest(desk)
    assert pay(desk) == "SIGNER_COOLING_OFF"


def test_learns_a_statement_once_and_keeps_its_age(desk: Desk) -> None:
    lines = desk.journal.lines
    again = [desk.ask(message)["new"] for message in (Customer().key(), Customer().beneficiary())]
    assert (again, desk.journal.lines) == ([False, False], lines)
    assert pay(desk.restart()) == "SIGNER_ATTESTATION_OLD"
    attest(desk)
    assert pay(desk) == "signed"


def test_stops_at_once_where_the_customer_removes_a_destination(desk: Desk) -> None:
    old = Customer().beneficiary()
    desk.now += 60
    removal = Customer().removal(time=time_text(desk.in_hours(0)))
    assert [desk.ask(removal)["new"] for _ in range(2)] == [True, False]
    assert pay(desk) == "SIGNER_UNKNOWN_BENEFICIARY"
    # What the customer had signed before does not bring it back, whoever kept it.
    assert desk.restart().code(old) == "SIGNER_BENEFICIARY_REMOVED"
    desk.now += 60
    assert desk.code(Customer().beneficiary(time=time_text(desk.in_hours(0)))) == "learnt"
    assert desk.ask(removal)["new"] is False
    attest(desk)
    assert pay(desk) == "SIGNER_COOLING_OFF"
    desk.now += DAY
    attest(desk)
    assert pay(desk, expires=desk.in_hours(1)) == "signed"
    # Somebody else's word removes nothing, nor does it from elsewhere.
    assert desk.code(Customer(seed=66).removal()) == "SIGNER_BAD_STATEMENT"


def test_begins_anew_with_a_customer_who_shows_another_key_and_says_so(desk: Desk) -> None:
    thief = Customer(seed=66)
    answer = desk.ask(thief.key())
    assert (answer["new"], answer["alert"]) == (True, "SIGNER_CUSTOMER_KEY_CHANGED")
    assert pay(desk) == "SIGNER_UNKNOWN_BENEFICIARY"
    assert desk.code(Customer().beneficiary()) == "SIGNER_BAD_STATEMENT"
    assert desk.code(thief.beneficiary(ELSEWHERE)) == "learnt"
    desk.now += 2 * DAY - 1
    attest(desk)
    assert pay(desk, destination=ELSEWHERE) == "SIGNER_COOLING_OFF"


def test_learns_from_passkeys_on_the_customers_site_only(tmp_path: Path) -> None:
    desk = desk_with_lane(tmp_path)
    holder = Customer(passkey=True)
    assert [desk.code(message) for message in (holder.key(), holder.beneficiary())] == ["learnt", "learnt"]
    away = hot_registry(
        lanes={"hot": section()}, customers={**SITE, "origin": "http://console.localhost:8000"}
    )
    other = Desk(tmp_path / "away", registry=away)
    assert other.code(holder.key()) == "SIGNER_BAD_STATEMENT"
    nowhere = Desk(tmp_path / "nowhere", registry=hot_registry(lanes={"hot": section()}))
    assert nowhere.code(holder.key()) == "SIGNER_BAD_STATEMENT"


def proof_of(message: Message, other: Message) -> Message:
    return {**message, "proof": other["proof"]}


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        ("SIGNER_BAD_STATEMENT", proof_of(Customer().beneficiary(), Customer(seed=66).beneficiary())),
        ("SIGNER_BAD_STATEMENT", proof_of(Customer().beneficiary(), Customer().beneficiary(ELSEWHERE))),
        ("SIGNER_BAD_STATEMENT", Customer().beneficiary(surprise="x")),
        ("SIGNER_BAD_STATEMENT", Customer().beneficiary(customer="Tom")),
        ("SIGNER_BAD_STATEMENT", Customer().key(algorithm="rsa")),
        ("SIGNER_BAD_STATEMENT", Customer().key(public_key="00" * 31)),
        ("SIGNER_BAD_STATEMENT", {**Customer().key(), "proof": {}}),
        ("SIGNER_BAD_STATEMENT", {**Customer().key(), "proof": "no"}),
        ("SIGNER_BAD_STATEMENT", {**Customer().key(), "payload": "e30"}),
        ("SIGNER_BAD_STATEMENT", {**Customer().key(), "payload": "!"}),
        ("SIGNER_BAD_REQUEST", {**Customer().key(), "payload": 7}),
        ("SIGNER_BAD_REQUEST", {**Customer().key(), "since": 0}),
        ("SIGNER_WRONG_DEPLOYMENT", Customer().beneficiary(deployment="production")),
        ("SIGNER_WRONG_NETWORK", Customer().beneficiary(network="mainnet")),
        ("SIGNER_WRONG_ASSET", Customer().beneficiary(asset="USDT")),
        ("SIGNER_WRONG_DESTINATION", Customer().beneficiary("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4")),
        ("SIGNER_WRONG_DESTINATION", Customer().beneficiary(vaults.DESTINATION.upper())),
    ],
)
def test_learns_nothing_else(desk: Desk, expected: str, message: Message) -> None:
    before = desk.journal.lines
    assert desk.code(message) == expected
    assert desk.journal.lines == before + 1


def test_learns_only_so_much_in_a_day(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("custody.signer.lanes.LEARNT_PER_DAY_MAX", 5)
    codes = [desk.code(Customer(str(uuid4()), seed=seed).key()) for seed in range(1, 8)]
    assert codes == ["learnt"] * 5 + ["SIGNER_LEARNT_ENOUGH"] * 2
    desk.now += DAY + 1
    assert desk.code(Customer(str(uuid4()), seed=9).key()) == "learnt"


def test_does_not_pay_one_customers_destination_for_another(desk: Desk) -> None:
    assert pay(desk, customer=UUID(int=9)) == "SIGNER_UNKNOWN_BENEFICIARY"


# Reconciliation.


def test_pays_only_while_it_has_fresh_word_that_chain_and_books_agree(desk: Desk) -> None:
    desk.now += HOUR
    assert pay(desk) == "signed"
    desk.now += 1
    assert pay(desk) == "SIGNER_ATTESTATION_OLD"
    # Yesterday's word, however well signed, is yesterday's.
    assert desk.code(Reconciler().attests(desk.in_hours(-2))) == "attested"
    assert pay(desk) == "SIGNER_ATTESTATION_OLD"
    attest(desk)
    assert pay(desk) == "signed"


def test_stops_at_a_break_until_a_later_word_mends_it(desk: Desk) -> None:
    good = Reconciler().attests(desk.in_hours(0))
    desk.now += 60
    assert attest(desk, on_chain="899999999") == "attested"
    assert pay(desk) == "SIGNER_BOOKS_BROKEN"
    assert desk.restart().code(good) == "attested"
    assert pay(desk) == "SIGNER_BOOKS_BROKEN"
    desk.now += 60
    attest(desk)
    assert pay(desk) == "signed"
    assert pay(desk.restart()) == "SIGNER_ATTESTATION_OLD"


@pytest.mark.parametrize(
    ("expected", "who", "changes"),
    [
        ("SIGNER_BAD_ATTESTATION", Reconciler(66), {}),
        ("SIGNER_BAD_ATTESTATION", Reconciler(), {"surprise": "x"}),
        ("SIGNER_BAD_ATTESTATION", Reconciler(), {"height": 0}),
        ("SIGNER_BAD_ATTESTATION", Reconciler(), {"time": "2099-01-01T00:00:00Z"}),
        ("SIGNER_NO_LANE", Reconciler(), {"wallet": "cold"}),
        ("SIGNER_WRONG_DEPLOYMENT", Reconciler(), {"deployment": "production"}),
        ("SIGNER_WRONG_DEPLOYMENT", Reconciler(), {"network": "mainnet"}),
    ],
)
def test_believes_no_other_word(
    tmp_path: Path, expected: str, who: Reconciler, changes: dict[str, Any]
) -> None:
    desk = desk_with_lane(tmp_path)
    assert desk.code(who.attests(desk.in_hours(0), **changes)) == expected
    assert desk.code({**who.attests(desk.in_hours(0)), "signature": "AA"}) == "SIGNER_BAD_ATTESTATION"


# Limits.


def test_keeps_each_limit_of_the_lane(desk: Desk) -> None:
    limit = Amount(3_000_000 - 2_000, "BTC")
    assert pay(desk, amount=Amount(limit.units + 1, "BTC")) == "SIGNER_PAYMENT_ABOVE_LIMIT"
    assert pay(desk, amount=limit) == "signed"
    # Two thirds of 0.06 BTC for one destination.
    assert pay(desk, amount=Amount(1_002_001, "BTC")) == "SIGNER_DESTINATION_FULL"
    assert pay(desk, amount=Amount(1_002_000, "BTC")) == "signed"
    assert pay(desk) == "SIGNER_DESTINATION_FULL"
    desk.now += DAY + 1
    attest(desk)
    assert pay(desk) == "signed"


def many(desk: Desk, count: int) -> list[str]:
    """Tom signs for so many destinations, and they grow old."""
    made = [script.address_of(b"\x00\x14" + bytes([n]) * 20, vaults.NETWORK) for n in range(1, count + 1)]
    assert {desk.code(Customer().beneficiary(destination)) for destination in made} == {"learnt"}
    desk.now += 2 * DAY
    attest(desk)
    return made


def test_drains_no_further_than_its_share_however_many_destinations_there_are(desk: Desk) -> None:
    *first, last = many(desk, 13)
    paid = [pay(desk, destination=destination, fee=500) for destination in first]
    assert paid == ["signed"] * 9 + ["SIGNER_WINDOW_FULL"] * 3  # 9 x 1,000,500 in two thirds of 0.15 BTC
    rest = 10_000_000 - 9 * 1_000_500
    assert pay(desk, destination=last, fee=500, amount=Amount(rest, "BTC")) == "SIGNER_WINDOW_FULL"
    assert pay(desk, destination=last, fee=500, amount=Amount(rest - 500, "BTC")) == "signed"


def test_lets_nobody_burn_more_in_fees_than_the_window_holds(desk: Desk) -> None:
    burnt = [pay(desk, fee=90_000, amount=Amount(1_000, "BTC"), fee_cap=Amount(10**8, "BTC"))] * 3
    assert set(burnt) == {"SIGNER_FEERATE_ABOVE_LIMIT"}
    assert pay(desk, fee=20_000, amount=Amount(1_000, "BTC"), fee_cap=Amount(10**8, "BTC")) == "signed"
    assert desk.health["lanes"]["hot"]["used"] == "21000"


def test_never_lets_an_intent_grow_after_it_was_counted(desk: Desk) -> None:
    """A thousand sats are counted, then the same intent asks for the limit over the same coin."""
    mine, reference = coin(desk.registry, "hot", 1, 90_000_000), uuid4()
    for amount, code in ((1_000, "signed"), (2_000_000, "SIGNER_INTENT_CHANGED")):
        assert pay(desk, [mine], reference=reference, amount=Amount(amount, "BTC")) == code
    assert pay(desk, [mine], reference=reference, amount=Amount(1_000, "BTC"), fee=4_000) == "signed"
    # Officers do not get around it by accident either.
    larger = payout(reference=reference, amount=Amount(2_000_000, "BTC"), expires=desk.in_hours(1))
    assert desk.code(request(desk.registry, [larger], coins=[mine])) == "SIGNER_INTENT_CHANGED"


def test_stops_when_officers_freeze_the_lane_alone(desk: Desk) -> None:
    freeze = order("signer.freeze", officers=[BEN], verb=Verb.APPROVE, wallet="hot/lane", expires=soon(desk))
    assert desk.code(freeze) == "obeyed"
    assert pay(desk) == "SIGNER_FROZEN"
    assert desk.spend() == "signed"
    assert desk.code(order("signer.release", wallet="hot/lane", expires=soon(desk))) == "obeyed"
    assert pay(desk) == "signed"


def soon(desk: Desk) -> str:
    return time_text(desk.in_hours(1))


def test_rests_for_a_window_after_its_memory_was_reopened(desk: Desk) -> None:
    assert pay(desk) == "signed"
    backup = desk.file.read_bytes()
    assert pay(desk) == "signed"
    desk.file.write_bytes(backup)
    desk.restart()
    attest(desk)
    assert pay(desk) == "SIGNER_STORE_RESTORED"
    standing = desk.health["journal"]["standing"]
    reopen = order("signer.reopen", token="hot-1", standing=standing, expires=soon(desk))
    assert desk.code(reopen) == "obeyed"
    desk.now += 60
    attest(desk)
    assert pay(desk, expires=desk.in_hours(24 * 7)) == "SIGNER_LANE_REOPENING"
    desk.now += DAY - 60
    attest(desk)
    assert pay(desk, expires=desk.in_hours(24 * 7)) == "signed"


def test_takes_the_cap_of_a_lane_as_a_cap_of_all_signers_together() -> None:
    assert lanes.worst_loss(15_000_000, threshold=2, tokens=3) == 15_000_000
    assert lanes.worst_loss(10_000_001, threshold=2, tokens=3) == 9_999_999 + 1
    assert lanes.worst_loss(15_000_000, threshold=2, tokens=3, hosts_lost=1) == 20_000_000
    assert lanes.worst_loss(15_000_000, threshold=2, tokens=3, hosts_lost=2) == -1


def let_through(memory: Memory, plan: Plan, now: int) -> bool:
    try:
        details = memory.check(plan, limits=ATTENDED, now_ms=now)
    except Refused:
        return False
    assert details is not None
    memory.add(Entry(len(memory.spends), now, "spend", details, ""))
    return True


@st.composite
def sieges(draw: st.DrawFn) -> tuple[int, int, list[tuple[list[int], int, int, int]]]:
    """m of n, and payments: whom the attacker asks in which order, how much, to whom, after how long."""
    tokens = draw(st.integers(1, 7))
    threshold = draw(st.integers(tokens // 2 + 1, tokens))
    payment = st.tuples(
        st.permutations(range(tokens)), st.integers(1, 400), st.integers(0, 2), st.integers(0, 40)
    )
    return threshold, tokens, draw(st.lists(payment, max_size=40))


@settings(max_examples=150, deadline=None)
@given(sieges())
def test_cannot_be_brought_beyond_the_limit_by_any_choice_of_quorums(
    siege: tuple[int, int, list[tuple[list[int], int, int, int]]],
) -> None:
    """Every payment that m signers let through counts as lost; within no window is it more than the limit."""
    threshold, tokens, payments = siege
    wallet = Wallet("hot", "regtest", threshold, tuple(f"t{n}" for n in range(tokens)), ())
    section = lanes.Lane(300, 500, 1_000, 100, 1, 1, {})
    memories, now, lost = [Memory() for _ in range(tokens)], 1_000_000, list[tuple[int, int, int]]()
    for number, (asked, units, to, wait) in enumerate(payments):
        now += wait * 1_000
        plan = Plan(
            wallet=wallet,
            key_indexes=(),
            txid=f"tx{number}",
            coins=frozenset({f"coin{number}"}),
            payments={f"intent{number}": (str(to), units)},
            fee=3,
            lane=section,
        )
        signed = 0
        for signer in asked:
            if signed < threshold and let_through(memories[signer], plan, now):
                signed += 1
        if signed == threshold:
            lost.append((now, to, units))
    for end, _, _ in lost:
        within = [(to, units) for at, to, units in lost if end - 100_000 < at <= end]
        assert sum(units + 3 for _, units in within) <= lanes.worst_loss(
            1_000, threshold=threshold, tokens=tokens
        )
        for destination in range(3):
            assert sum(units for to, units in within if to == destination) <= 500


@pytest.mark.parametrize("quorums", [["hot-1", "hot-2"], ["hot-1", "hot-2", "hot-3"]])
def test_gives_no_more_to_three_rotating_pairs_than_to_one(tmp_path: Path, quorums: list[str]) -> None:
    """The same with whole signers: pairs of three are asked in turn until nobody signs any more."""
    desks = {token: desk_with_lane(tmp_path, token=token) for token in ("hot-1", "hot-2", "hot-3")}
    clock = next(iter(desks.values())).now
    destinations: list[str] = []
    for desk in desks.values():
        desk.now = clock
        desk.ask(Customer().key())
        destinations = many(desk, 24)
    lost = 0
    for number, destination in enumerate(destinations):
        pair = [quorums[number % len(quorums)], quorums[(number + 1) % len(quorums)]]
        first = desks[pair[0]]
        message = unattended(
            request(first.registry, [payout(destination=destination, expires=first.in_hours(1))], fee=500)
        )
        lost += 1_000_500 if all(desks[token].code(message) == "signed" for token in pair) else 0
    assert 9_000_000 <= lost <= 15_000_000
    assert TOM in desks["hot-3"].signer.memory.lanes.customers
