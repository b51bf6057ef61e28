"""An order as a trader writes it ..."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine_bridge.domain.instruments import Scale
from engine_bridge.domain.orders import BadOrder, OrderType, Side, StpMode, read

BTC_USDT = Scale("BTC-USDT", base="BTC", quote="USDT", tick_units=100_000, lot_units=1_000)

CCXT = {
    "instId": "BTC-USDT",
    "side": "buy",
    "ordType": "limit",
    "sz": "0.001",
    "tdMode": "cash",
    "tgtCcy": "base_ccy",
    "px": "40000",
    "clOrdId": "6b9ad766b55dBCDE" * 2,
    "tag": "6b9ad766b55dBCDE",
}
PYTHON_OKX = {
    "instId": "BTC-USDT", "tdMode": "cash", "side": "sell", "ordType": "limit", "sz": "0.5", "ccy": "",
    "clOrdId": "", "tag": "", "posSide": "", "px": "40000.1", "reduceOnly": "", "tgtCcy": "", "stpMode": "",
    "attachAlgoOrds": None,
    "pxUsd": "", "pxVol": "", "banAmend": "",
}  # fmt: skip


def order(**changes: Any) -> dict[str, Any]:
    return {name: value for name, value in (CCXT | changes).items() if value is not ...}


def test_is_read_as_ccxt_sends_it() -> None:
    terms = read(CCXT, BTC_USDT)
    assert (terms.side, terms.order_type, terms.price_ticks, terms.qty_lots) == (
        Side.BUY,
        OrderType.LIMIT,
        400_000,
        100,
    )
    assert (terms.client_id, terms.tag, terms.stp) == (CCXT["clOrdId"], CCXT["tag"], StpMode.CANCEL_MAKER)


def test_is_read_as_python_okx_sends_it() -> None:
    terms = read(PYTHON_OKX, BTC_USDT)
    assert (terms.side, terms.price_ticks, terms.qty_lots, terms.client_id) == (
        Side.SELL,
        400_001,
        50_000,
        "",
    )


@pytest.mark.parametrize(
    ("changes", "lots", "budget"),
    [
        ({"ordType": "market", "tgtCcy": "base_ccy", "sz": "0.002"}, 200, 0),
        ({"ordType": "market", "tgtCcy": "quote_ccy", "sz": "25.000001"}, 0, 25_000_001),
        ({"ordType": "market", "tgtCcy": "", "sz": "25"}, 0, 25_000_000),
        ({"ordType": "market", "side": "sell", "tgtCcy": "", "sz": "0.002"}, 200, 0),
    ],
)
def test_sizes_a_market_order_by_its_unit(changes: dict[str, str], lots: int, budget: int) -> None:
    terms = read(order(**changes), BTC_USDT)
    assert (terms.qty_lots, terms.budget_ticklots, terms.price_ticks) == (lots, budget, 0)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"side": "hold"}, "51000"),
        ({"side": ...}, "51000"),
        ({"side": ["buy"]}, "51000"),
        ({"ordType": "optimal_limit_ioc"}, "51000"),
        ({"tdMode": ""}, "50014"),
        ({"tdMode": "cross"}, "51010"),
        ({"attachAlgoOrds": [{"tpTriggerPx": "1"}]}, "51010"),
        ({"sz": ...}, "51000"),
        ({"sz": "NaN"}, "51000"),
        ({"sz": "1e400"}, "51000"),
        ({"sz": "-1"}, "51000"),
        ({"sz": "1" * 41}, "51000"),
        ({"sz": "0"}, "51020"),
        ({"sz": "0.000001"}, "51020"),
        ({"sz": "0.00000999"}, "51020"),
        ({"sz": "0.000015"}, "51121"),
        ({"sz": "1.000001"}, "51121"),
        ({"sz": "999999999999999999"}, "51005"),
        ({"px": ...}, "51000"),
        ({"px": "40000.05"}, "51000"),
        ({"px": "Infinity"}, "51000"),
        ({"px": "0"}, "51006"),
        ({"clOrdId": "a" * 33}, "51000"),
        ({"clOrdId": "with-dash"}, "51000"),
        ({"tag": "a" * 17}, "51000"),
        ({"stpMode": "none"}, "51000"),
        ({"stpMode": "cancel_both", "ordType": "fok"}, "50016"),
        ({"ordType": "market", "side": "sell", "tgtCcy": "quote_ccy"}, "51000"),
        ({"ordType": "market", "tgtCcy": "quote_ccy", "sz": "0"}, "51020"),
        ({"sz": True}, "51000"),
        ({"sz": {"a": 1}}, "51000"),
    ],
)
def test_is_refused_with_the_code_that_clients_know(changes: dict[str, Any], code: str) -> None:
    with pytest.raises(BadOrder) as refused:
        read(order(**changes), BTC_USDT)
    assert refused.value.code == code


anything = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=50), st.lists(st.text(max_size=3))
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys((*CCXT, "stpMode", "attachAlgoOrds"), anything)))
def test_is_either_read_or_refused_whatever_comes(fields: dict[str, Any]) -> None:
    try:
        terms = read(CCXT | fields, BTC_USDT)
    except BadOrder as refused:
        code = refused.code
    else:
        code = ""
        assert (terms.qty_lots > 0) != (terms.budget_ticklots > 0)
    assert code in {"", "50014", "50016", "51000", "51005", "51006", "51010", "51020", "51121"}


@given(st.text("0123456789.", min_size=1, max_size=30))
def test_never_has_a_size_other_than_what_was_written(text: str) -> None:
    try:
        terms = read(order(sz=text), BTC_USDT)
    except BadOrder:
        return
    whole, _, fraction = text.partition(".")
    assert int(whole + fraction.ljust(8, "0")[:8]) == terms.qty_lots * 1_000
