"""Notes of orders: what a client said that the engine does not carry, kept in Redis until settlement stores
it.

A note lost with Redis costs an order its clOrdId and tag in lists, never its existence: the order can still
be found by its clOrdId, whose mark the engine itself carries.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Final, cast

import redis
from django.conf import settings
from django.db import connection

from core import redis_store
from engine_bridge.domain.events import Note
from engine_bridge.domain.orders import OrderType, Side, StpMode

KEPT: Final = timedelta(days=1)
"""Longer than settlement may ever lag."""

NotesDown = redis_store.Down


def store() -> redis.Redis:
    """This process's connection to Redis."""
    return redis_store.connected(settings.REDIS_URL)


def _key(order_id: int) -> str:
    return f"engine:{connection.settings_dict['NAME']}:note:{order_id}"


def leave(notes: Sequence[Note]) -> None:
    """Put the notes where settlement will look, before their orders are sent."""
    with store().pipeline(transaction=False) as pipe:
        for note in notes:
            body = {
                "account": note.account_id,
                "instrument": note.instrument_id,
                "client": note.client_id,
                "tag": note.tag,
                "side": note.side,
                "type": note.order_type,
                "price": note.price_ticks,
                "qty": note.qty_lots,
                "budget": note.budget_ticklots,
                "stp": note.stp,
            }
            pipe.set(_key(note.order_id), json.dumps(body), px=int(KEPT.total_seconds() * 1000))
        pipe.execute()


def find(order_ids: Iterable[int]) -> dict[int, Note]:
    """Those of the notes that are still there."""
    wanted = sorted(order_ids)
    if not wanted:
        return {}
    found = cast("list[bytes | None]", store().mget([_key(order_id) for order_id in wanted]))
    return {
        order_id: _note(order_id, body)
        for order_id, body in zip(wanted, found, strict=True)
        if body is not None
    }


def _note(order_id: int, body: bytes) -> Note:
    fields = json.loads(body)
    return Note(
        order_id=order_id,
        account_id=fields["account"],
        instrument_id=fields["instrument"],
        client_id=fields["client"],
        tag=fields["tag"],
        side=Side(fields["side"]),
        order_type=OrderType(fields["type"]),
        price_ticks=fields["price"],
        qty_lots=fields["qty"],
        budget_ticklots=fields["budget"],
        stp=StpMode(fields["stp"]),
    )
