"""A withdrawal limit …"""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custody.domain import limits
from custody.domain.limits import LimitReached, PriceMissing, PriceStale, Quote, ViewOnly
from kernel.money import Amount
from tests.cast import NOW

QUOTE = Quote("BTC", 60_000_00, NOW)
SATS = st.integers(min_value=1, max_value=21_000_000 * 100_000_000)


@pytest.mark.parametrize(
    ("tier", "asked", "allowed"),
    [
        (0, 1, False),
        (1, 500_00, True),
        (1, 500_01, False),
        (2, 10_000_00, True),
        (2, 10_000_01, False),
        (3, 100_000_00, True),
        (3, 100_000_01, False),
        (4, 10**12, True),
        (5, 1, False),
        (-1, 1, False),
    ],
)
def test_is_what_the_tier_says_and_nothing_for_an_unknown_tier(tier: int, asked: int, allowed: bool) -> None:
    if allowed:
        limits.check(tier=tier, used=0, asked=asked)
    else:
        with pytest.raises(limits.OverLimit):
            limits.check(tier=tier, used=0, asked=asked)


def test_of_nothing_is_not_an_absent_one() -> None:
    with pytest.raises(ViewOnly):
        limits.check(tier=limits.VIEW_ONLY_TIER, used=0, asked=1)


def test_counts_what_the_window_has_used_and_says_what_is_left() -> None:
    limits.check(tier=1, used=400_00, asked=100_00)
    with pytest.raises(LimitReached) as refusal:
        limits.check(tier=1, used=400_00, asked=100_01)
    assert (refusal.value.limit, refusal.value.left) == (500_00, 100_00)


@given(st.sampled_from([1, 2, 3]), st.lists(st.integers(min_value=0, max_value=20_000_00), max_size=30))
def test_is_never_passed_by_any_sequence_of_requests(tier: int, asked: list[int]) -> None:
    used = 0
    for cents in asked:
        try:
            limits.check(tier=tier, used=used, asked=cents)
        except limits.OverLimit:
            continue
        used += cents
    limit = limits.limit_of(tier)
    assert limit is not None
    assert used <= limit


def test_values_by_the_quote_and_rounds_up() -> None:
    assert limits.value(Amount(100_000_000, "BTC"), QUOTE, now=NOW) == 60_000_00
    assert limits.value(Amount(1, "BTC"), QUOTE, now=NOW) == 1
    assert limits.value(Amount(1_000_000, "USDT"), Quote("USDT", 100, NOW), now=NOW) == 100


@pytest.mark.parametrize(
    "quote", [None, Quote("USDT", 100, NOW), Quote("BTC", 0, NOW), Quote("BTC", -1, NOW)]
)
def test_cannot_be_reckoned_without_a_price(quote: Quote | None) -> None:
    with pytest.raises(PriceMissing):
        limits.value(Amount(1, "BTC"), quote, now=NOW)


@pytest.mark.parametrize(
    ("age", "fresh"),
    [
        (timedelta(0), True),
        (limits.PRICE_AGE_MAX, True),
        (limits.PRICE_AGE_MAX + timedelta(microseconds=1), False),
        (-limits.PRICE_AHEAD_MAX, True),
        (-limits.PRICE_AHEAD_MAX - timedelta(microseconds=1), False),
    ],
)
def test_cannot_be_reckoned_with_a_stale_price(age: timedelta, fresh: bool) -> None:
    quote = Quote("BTC", 60_000_00, NOW - age)
    if fresh:
        limits.value(Amount(1, "BTC"), quote, now=NOW)
    else:
        with pytest.raises(PriceStale):
            limits.value(Amount(1, "BTC"), quote, now=NOW)


def test_is_told_a_price_when_it_changes_or_grows_old() -> None:
    again = Quote("BTC", QUOTE.cents, NOW + timedelta(seconds=30))
    assert limits.is_news(QUOTE, None)
    assert not limits.is_news(again, QUOTE)
    assert limits.is_news(Quote("BTC", QUOTE.cents + 1, again.quoted_at), QUOTE)
    assert limits.is_news(Quote("BTC", QUOTE.cents, NOW + limits.PRICE_AGE_MAX / 2), QUOTE)


@given(SATS, SATS, st.integers(min_value=1, max_value=10**9))
def test_gains_nothing_by_being_split(one: int, other: int, cents: int) -> None:
    quote = Quote("BTC", cents, NOW)

    def value(units: int) -> int:
        return limits.value(Amount(units, "BTC"), quote, now=NOW)

    assert value(one) + value(other) >= value(one + other)
