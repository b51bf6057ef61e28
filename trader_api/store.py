"""What the API remembers between requests, in Redis: seen signatures, request counts, newest
acknowledgements.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final, cast

import redis
from django.conf import settings
from django.db import connection

from core import redis_store

ACCEPTANCE: Final = timedelta(seconds=30)
"""How far a request's timestamp may lie from our clock, either way."""
REPLAY_MEMORY: Final = 2 * ACCEPTANCE + timedelta(seconds=30)
"""A signature stamped 30 s ahead stays acceptable for 60 s, so it is remembered for longer than that."""
ACK_MEMORY: Final = timedelta(seconds=120)
WINDOW_MS: Final = 2000

StoreDown = redis_store.Down


def _redis() -> redis.Redis:
    return redis_store.connected(settings.REDIS_URL)


def _key(*parts: str) -> str:
    """Keys are apart by database, so that two deployments or two test runs never meet in one Redis."""
    return ":".join(("trader", str(connection.settings_dict["NAME"]), *parts))


def first_use(*parts: bytes) -> bool:
    """Whether this signature is seen for the first time; the answer is yes to one caller only, ever in its
    window.
    """
    digest = hashlib.sha256(b"\0".join(parts)).hexdigest()
    key = _key("seen", digest)
    return bool(_redis().set(key, b"1", nx=True, px=int(REPLAY_MEMORY.total_seconds() * 1000)))


def count(bucket: str, *, weight: int, now_ms: int, window_ms: int = WINDOW_MS) -> int:
    """Add `weight` to the bucket's present window and say how full it is now."""
    key = _key("rate", bucket, str(now_ms // window_ms))
    with _redis().pipeline(transaction=False) as pipe:
        pipe.incrby(key, weight)
        pipe.pexpire(key, window_ms * 2)
        return int(pipe.execute()[0])


def know(who: str, network: str, *, for_ms: int) -> None:
    """Note that somebody was themselves in this network."""
    _redis().set(_key("known", who, network), b"1", px=for_ms)


def is_known(who: str, network: str) -> bool:
    """Whether that was noted, and lately."""
    return bool(_redis().exists(_key("known", who, network)))


def newest_ack(account_id: int) -> int:
    """The newest engine sequence that this account was told of lately; 0 if none."""
    return int(cast("bytes | None", _redis().get(_key("ack", str(account_id)))) or 0)


def remember_told(account_id: int, engine_seq: int, orders: Sequence[dict[str, Any]] = ()) -> None:
    """Note the newest engine sequence that this account was told of, and keep what was acknowledged of orders
    until settlement has written their rows.
    """
    ttl = int(ACK_MEMORY.total_seconds() * 1000)
    with _redis().pipeline(transaction=False) as pipe:
        pipe.set(_key("ack", str(account_id)), engine_seq, px=ttl)
        for row in orders:
            body = json.dumps(row)
            pipe.set(_key("order", str(account_id), row["ordId"]), body, px=ttl)
            if row["clOrdId"]:
                pipe.set(_key("client-order", str(account_id), row["clOrdId"]), body, px=ttl)
        pipe.execute()


def acknowledged_order(account_id: int, *, order_id: str = "", client_id: str = "") -> dict[str, Any] | None:
    """The order as it was acknowledged, if that was lately."""
    key = (
        _key("order", str(account_id), order_id)
        if order_id
        else _key("client-order", str(account_id), client_id)
    )
    found = cast("bytes | None", _redis().get(key))
    return None if found is None else json.loads(found)


def claim_name(account_id: int, claim: str) -> bool:
    """Whether this claim to a clOrdId is the first one. Two requests at once: one gets it."""
    key = _key("claim", str(account_id), claim)
    return bool(_redis().set(key, b"1", nx=True, px=int(ACK_MEMORY.total_seconds() * 1000)))


def release_name(account_id: int, claim: str) -> None:
    """Give the claim back: its order was refused."""
    _redis().delete(_key("claim", str(account_id), claim))
