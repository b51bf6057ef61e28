"""Whoever asks a signer for further versions of what it has signed …"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from kernel.intent import Intent
from kernel.money import Amount
from tests.customers import DAY, payout, unattended
from tests.desks import attest, outstanding, pay, seasoned_desk
from tests.messages import DESTINATION, coin, request, withdrawal
from tests.softtoken import Desk, hot_registry

CAP = 5_000
"""What the intents here allow for fees."""


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def intent_at(desk: Desk) -> Intent:
    return withdrawal(expires=desk.in_hours(1))


def used(desk: Desk) -> int:
    return int(desk.health["used"]["hot"])


def test_has_one_more_signed_within_the_cap_and_it_costs_the_window_its_fee(desk: Desk) -> None:
    intent, coins = intent_at(desk), [coin(desk.registry, "hot", 1, 150_000_000)]
    for fee in (2_000, 3_000, CAP):
        assert desk.spend(intent, coins=coins, fee=fee) == "signed"
    assert desk.spend(intent, coins=coins, fee=CAP + 1) == "SIGNER_FEE_ABOVE_CAP"
    assert used(desk) == intent.amount.units + 2_000 + 3_000 + CAP
    desk.restart()
    assert desk.spend(intent, coins=coins, fee=4_000) == "signed"
    assert used(desk) == intent.amount.units + 2_000 + 3_000 + CAP + 4_000


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    tries=some.lists(
        some.tuples(some.sets(some.integers(0, 3), min_size=1), some.integers(500, 9_000)), max_size=12
    )
)
def test_burns_no_more_than_one_fee_by_all_of_them(
    tmp_path_factory: pytest.TempPathFactory, tries: list[tuple[set[int], int]]
) -> None:
    """Whatever coins and fees: of all that was signed at most one can be confirmed, and it costs one cap."""
    desk = Desk(tmp_path_factory.mktemp("desk"))
    intent = intent_at(desk)
    known = [coin(desk.registry, "hot", 1, 60_000_000) for _ in range(4)]
    signed: list[tuple[set[int], int]] = []
    for chosen, fee in tries:
        if desk.spend(intent, coins=[known[place] for place in sorted(chosen)], fee=fee) == "signed":
            signed.append((chosen, fee))
    assert all(one & other for one, _ in signed for other, _ in signed)
    assert all(fee <= CAP for _, fee in signed)


def test_cannot_walk_from_coin_to_coin(desk: Desk) -> None:
    intent = intent_at(desk)
    one, other = (coin(desk.registry, "hot", 1, 60_000_000) for _ in range(2))
    assert desk.spend(intent, coins=[one, other]) == "signed"
    assert desk.spend(intent, coins=[one], fee=3_000) == "signed"
    assert desk.spend(intent, coins=[other], fee=4_000) == "SIGNER_REPLAY"


@pytest.mark.parametrize("change", ["amount", "destination"])
def test_pays_nobody_else_and_nothing_more(desk: Desk, change: str) -> None:
    intent, coins = intent_at(desk), [coin(desk.registry, "hot", 1, 150_000_000)]
    assert desk.spend(intent, coins=coins) == "signed"
    changed = {
        "amount": {"amount": Amount(intent.amount.units + 1, "BTC")},
        "destination": {"destination": desk.registry.wallets["hot"].address(2)},
    }[change]
    assert intent.destination == DESTINATION
    other = withdrawal(**{"reference": intent.reference, "expires": intent.expires, **changed})
    assert desk.spend(other, coins=coins, fee=3_000) == "SIGNER_INTENT_CHANGED"


def test_gets_nothing_once_the_intent_has_ended(desk: Desk) -> None:
    intent, coins = intent_at(desk), [coin(desk.registry, "hot", 1, 150_000_000)]
    assert desk.spend(intent, coins=coins) == "signed"
    desk.now += 3_601
    assert desk.spend(intent, coins=coins, fee=3_000) == "SIGNER_INTENT_EXPIRED"


def test_gets_no_more_than_the_window_fees_of_all_versions_included(tmp_path: Path) -> None:
    full = 3 * (25_000_000 + 2_000 + 3_000 + 1) // 2
    desk = Desk(tmp_path, registry=hot_registry(limits={"window_units_max": {"hot": str(full)}}))
    intent, coins = intent_at(desk), [coin(desk.registry, "hot", 1, 150_000_000)]
    assert desk.spend(intent, coins=coins, fee=2_000) == "signed"
    assert desk.spend(intent, coins=coins, fee=3_000) == "signed"
    assert desk.spend(intent, coins=coins, fee=4_000) == "SIGNER_WINDOW_FULL"


def test_has_the_lane_count_each_fee_until_one_version_is_final(tmp_path: Path) -> None:
    desk = seasoned_desk(tmp_path)
    intent, coins = payout(expires=desk.in_hours(1)), [coin(desk.registry, "hot", 1, 150_000_000)]

    def ask(fee: int) -> str:
        return desk.code(unattended(request(desk.registry, [intent], coins=coins, fee=fee)))

    assert (ask(2_000), ask(3_000), ask(CAP + 1)) == ("signed", "signed", "SIGNER_FEE_ABOVE_CAP")
    lane = desk.health["lanes"]["hot"]
    counted = str(intent.amount.units + 2_000 + 3_000)
    assert (lane["outstanding"], lane["used"]) == (counted, counted)
    desk.now += 1
    assert attest(desk, spent=outstanding(desk)) == "attested"
    assert desk.health["lanes"]["hot"]["outstanding"] == "0", "one coin spent makes every version final"
    desk.now += DAY
    assert attest(desk) == "attested"
    assert desk.health["lanes"]["hot"]["used"] == "0"
    assert pay(desk) == "signed"
