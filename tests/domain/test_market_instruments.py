"""An instrument's scale ..."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine_bridge.domain.instruments import (
    LARGEST_LOTS,
    LARGEST_TICKS,
    BadScale,
    NotOnGrid,
    OutOfRange,
    Scale,
)
from kernel.money import Amount, BadAmount

BTC_USDT = Scale("BTC-USDT", base="BTC", quote="USDT", tick_units=100_000, lot_units=1_000)


def test_makes_one_tick_times_one_lot_one_quote_unit() -> None:
    assert BTC_USDT.ticklot_units == 1
    assert (BTC_USDT.tick_size, BTC_USDT.lot_size) == ("0.1", "0.00001")


def test_refuses_a_grid_whose_products_are_no_whole_units() -> None:
    with pytest.raises(BadScale):
        Scale("BTC-USDT", base="BTC", quote="USDT", tick_units=1, lot_units=1)


@pytest.mark.parametrize(
    ("text", "ticks"), [("0.1", 1), ("40000", 400_000), ("40000.0", 400_000), ("63999.9", 639_999)]
)
def test_reads_prices_in_ticks(text: str, ticks: int) -> None:
    assert BTC_USDT.ticks(text) == ticks


@pytest.mark.parametrize("text", ["40000.05", "0.01", "1.0000001", "0.0000000000000000001"])
def test_refuses_prices_between_two_ticks(text: str) -> None:
    with pytest.raises(NotOnGrid):
        BTC_USDT.ticks(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "NaN",
        "Infinity",
        "1e5",
        "1e400",
        "-1",
        "+1",
        " 1",
        "1 ",
        "01",
        "1.",
        ".5",
        "١",
        "1,5",
        "0x10",
        "9" * 60,
    ],
)
def test_refuses_what_is_no_plain_decimal(text: str) -> None:
    with pytest.raises(BadAmount):
        BTC_USDT.ticks(text)


@pytest.mark.parametrize("text", ["0", "0.0", "99999999999999999"])
def test_refuses_nothing_and_too_much(text: str) -> None:
    with pytest.raises(OutOfRange):
        BTC_USDT.ticks(text)


@given(st.integers(1, LARGEST_TICKS))
def test_reads_back_every_price_that_it_writes(ticks: int) -> None:
    assert BTC_USDT.ticks(BTC_USDT.price(ticks)) == ticks


@given(st.integers(1, LARGEST_LOTS))
def test_reads_back_every_size_that_it_writes(lots: int) -> None:
    assert BTC_USDT.lots(BTC_USDT.size(lots)) == lots


@given(st.integers(1, 10**9), st.integers(1, 10**9))
def test_values_a_trade_in_whole_units_that_agree_with_the_decimals(ticks: int, lots: int) -> None:
    price = Amount.parse(BTC_USDT.price(ticks), "USDT").units
    size = Amount.parse(BTC_USDT.size(lots), "BTC").units
    assert BTC_USDT.quote_amount(ticks * lots).units * 10**8 == price * size


def test_averages_prices_rounding_down() -> None:
    assert BTC_USDT.average_price(400_000 * 1 + 400_001 * 2, 3) == "40000.066666"
    assert BTC_USDT.average_price(0, 0) == ""
