"""How often a password may be guessed at, per account and not only per address.

Guesses are counted for an account in the network that they come from, so that whoever guesses in one keeps
nobody out in another; and for an account in all networks together, so that many of them give no more guesses,
except in those from which the right password came lately: its owner's own stay open. Right ones count as
well, or two guesses at once would be one. An e-mail that nobody has is counted alike.
"""

from __future__ import annotations

import hashlib
import ipaddress
from datetime import datetime, timedelta
from typing import Final

from rest_framework.request import Request

from customers import queries as customers
from trader_api import limits, store
from trader_api.errors import ApiError
from trader_api.limits import Limit, address_of
from trader_api.turning_away import on_record

IN_A_NETWORK: Final = Limit("guess-network", 10, window_ms=15 * 60_000)
ANYWHERE: Final = Limit("guess-anywhere", 40, window_ms=60 * 60_000)
KNOWN_FOR: Final = timedelta(days=90)
TOO_MANY: Final = "customer.too_many_guesses"


def count(email: str, request: Request, *, now: datetime) -> None:
    """Count one guess, whether it will be right or not; 50011 where there were too many."""
    who, network = _digest(email), network_of(address_of(request))
    try:
        limits.count_by_name(IN_A_NETWORK, f"{who}:{network}", now=now)
        if not store.is_known(who, network):
            limits.count_by_name(ANYWHERE, who, now=now)
    except ApiError as error:
        customer = customers.named(email)
        if customer is not None:
            actor = request._request.actor  # type: ignore[attr-defined]
            on_record(f"customers.customer/{customer}", TOO_MANY, "too many passwords", actor=actor)
        sentence = (
            f"Too many passwords were tried for this account. Wait {error.retry_after_s // 60} minutes, come "
            "from where you came before, or ask for a new password."
        )
        raise ApiError(error.code, sentence, retry_after_s=error.retry_after_s) from None


def was_right(email: str, request: Request) -> None:
    """Remember where the right password came from."""
    store.know(_digest(email), network_of(address_of(request)), for_ms=int(KNOWN_FOR.total_seconds() * 1000))


def network_of(address: str) -> str:
    """What one person has at home: one IPv4 address, or the /64 of an IPv6 one."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(found if found.version == 4 else ipaddress.ip_network(f"{address}/64", strict=False))


def _digest(email: str) -> str:
    return hashlib.sha256(email.strip().lower().encode()).hexdigest()
