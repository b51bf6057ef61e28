"""What a trader is told of an order at once: its row of the answer, and the order as it is known so far."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeAlias

from engine_bridge import gateway
from engine_bridge.domain.orders import OrderTerms
from engine_bridge.domain.results import CANCELED_AT_ONCE, Result
from engine_bridge.models import EngineAccount, Instrument, Order
from trader_api import rows

Ack: TypeAlias = dict[str, str]


def ack(fields: Mapping[str, Any], *, code: str, sentence: str, now: datetime, order_id: str = "") -> Ack:
    """The order's row of the answer."""

    def echoed(name: str) -> str:
        value = fields.get(name)
        return value[:40] if isinstance(value, str) else ""

    return {
        "ordId": order_id or (echoed("ordId") if code != "0" else ""),
        "clOrdId": echoed("clOrdId"),
        "tag": echoed("tag"),
        "ts": rows.ms(now),
        "sCode": code,
        "sMsg": sentence,
    }


def provisional(
    instrument: Instrument, account: EngineAccount, outcome: gateway.Placed, answer: Result
) -> rows.Row:
    """The order as its acknowledgement tells it, for the moment until settlement has written it."""
    terms = outcome.terms
    row = Order(
        id=outcome.order_id,
        account=account,
        instrument=instrument,
        side=terms.side,
        order_type=terms.order_type,
        price_ticks=terms.price_ticks,
        qty_lots=terms.qty_lots,
        budget_ticklots=terms.budget_ticklots,
        client_id=terms.client_id,
        tag=terms.tag,
        stp=terms.stp,
        state=_state(terms, answer),
        cancel_source=CANCELED_AT_ONCE.get(answer.code, ""),
        filled_lots=answer.filled_lots,
        created_at=answer.at,
        updated_at=answer.at,
    )
    told = rows.order(row)
    # How much was filled is known, at which prices is not.
    return told | {"avgPx": "", "fillPx": "", "fillSz": "", "tradeId": "", "fee": ""}


def _state(terms: OrderTerms, answer: Result) -> str:
    if answer.code in CANCELED_AT_ONCE:
        return "canceled"
    if answer.leaves_lots:
        return "partially_filled" if answer.filled_lots else "live"
    filled = answer.filled_lots >= max(1, terms.qty_lots)
    return "filled" if filled else "canceled"
