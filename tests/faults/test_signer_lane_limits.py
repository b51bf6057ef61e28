"""Within the limits of its lane, a signer without officers …"""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from custody.signer.checks import Plan
from custody.signer.counters import Memory
from custody.signer.refusals import Refused
from kernel import canonical, script
from kernel import lane as lanes
from kernel.entry import Entry
from kernel.money import Amount
from kernel.wallet import Wallet
from tests import vault as vaults
from tests.customers import DAY, TOM, Customer, payout, unattended
from tests.desks import attest, desk_with_lane, outstanding, pay, seasoned_desk
from tests.messages import coin, request
from tests.softtoken import Desk, hot_registry

ATTENDED = hot_registry().limits


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return seasoned_desk(tmp_path)


def test_keeps_each_limit_of_the_lane(desk: Desk) -> None:
    limit = Amount(3_000_000 - 2_000, "BTC")
    assert pay(desk, amount=Amount(limit.units + 1, "BTC")) == "SIGNER_PAYMENT_ABOVE_LIMIT"
    assert pay(desk, amount=limit) == "signed"
    # Two thirds of 0.06 BTC for one destination.
    assert pay(desk, amount=Amount(1_002_001, "BTC")) == "SIGNER_DESTINATION_FULL"
    assert pay(desk, amount=Amount(1_002_000, "BTC")) == "signed"
    assert pay(desk) == "SIGNER_DESTINATION_FULL"
    desk.now += 1
    attest(desk, spent=outstanding(desk))
    desk.now += DAY
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
    memory.add(Entry(0, now, "spend", details, ""))
    return True


Payment = tuple[list[int], int, int, int, bool, bool]


@st.composite
def sieges(draw: st.DrawFn) -> tuple[int, int, list[Payment]]:
    """m of n, and payments: whom the attacker asks in which order, how much, to whom, after how long, whether
    all that is complete is sent before, and whether what was sent is attested.
    """
    tokens = draw(st.integers(1, 7))
    threshold = draw(st.integers(tokens // 2 + 1, tokens))
    payment = st.tuples(
        *(st.permutations(range(tokens)), st.integers(1, 400), st.integers(0, 2), st.integers(0, 40)),
        *(st.booleans(), st.booleans()),
    )
    return threshold, tokens, draw(st.lists(payment, max_size=40))


@settings(max_examples=150, deadline=None)
@given(sieges())
def test_cannot_be_brought_beyond_the_limit_by_any_choice_of_quorums(
    siege: tuple[int, int, list[Payment]],
) -> None:
    """Every payment that m signers let through is lost once it is sent; within no window, by the chain's
    clock, is that more than the limit, however long signatures were kept back before.
    """
    threshold, tokens, payments = siege
    wallet = Wallet("hot", "regtest", threshold, tuple(f"t{n}" for n in range(tokens)), ())
    section = lanes.Lane(300, 500, 1_000, 100, 1, 1, {})
    memories, now, lost = [Memory() for _ in range(tokens)], 1_000_000, list[tuple[int, int, int]]()
    kept, sent = list[tuple[str, int, int]](), dict[str, canonical.Value]()
    for number, (asked, units, to, wait, sends, attests) in enumerate(payments):
        now += wait * 1_000
        if sends:
            lost += [(now, destination, paid) for _, destination, paid in kept]
            sent |= {f"coin{name}": f"tx{name}" for name, _, _ in kept}
            kept.clear()
        for memory in memories if attests else []:
            memory.add(Entry(0, now, "final", {"spent": sent}, ""))
        plan = Plan(
            wallet=wallet,
            account=wallet.name,
            key_indexes=(),
            txid=f"tx{number}",
            coins=frozenset({f"coin{number}"}),
            intent=f"intent{number}",
            payment=(str(to), units),
            slot=f"slot{number}",
            fee=3,
            lane=section,
        )
        signed = 0
        for signer in asked:
            if signed < threshold and let_through(memories[signer], plan, now):
                signed += 1
        if signed == threshold:
            kept.append((str(number), to, units))
    lost += [(now, destination, paid) for _, destination, paid in kept]
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
    clock = max(desk.now for desk in desks.values())  # put back, even by a second, one would sign nothing
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
