"""The price feed: one quote in US dollars per asset over HTTP, read as exact cents."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

import httpx

from core.certificates import authorities
from custody.domain.limits import Quote

TIMEOUT_S: Final = 5.0

_DOLLARS = re.compile(r"(0|[1-9][0-9]{0,11})(?:\.([0-9]{1,8}))?")


class NoQuote(Exception):
    """The feed gave no quote that can be used."""


def quote(url: str, asset: str, *, transport: httpx.BaseTransport | None = None) -> Quote:
    """What the feed says one coin costs now, rounded up to the cent: GET {url}/v1/prices/{asset}."""
    try:
        with httpx.Client(
            timeout=TIMEOUT_S, transport=transport, trust_env=False, verify=authorities()
        ) as client:
            answer = client.get(f"{url}/v1/prices/{asset}")
            answer.raise_for_status()
            document = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise NoQuote(f"{asset}: {error or type(error).__name__}") from error
    if not isinstance(document, dict) or document.get("asset") != asset or document.get("quote") != "USD":
        raise NoQuote(f"{asset}: the feed answered about something else")
    return Quote(asset, _cents(document.get("price")), _moment(document.get("at")))


def _cents(text: object) -> int:
    found = _DOLLARS.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise NoQuote("the price is no plain decimal")
    fraction = found.group(2) or ""
    cents = int(found.group(1) + fraction[:2].ljust(2, "0")) + (1 if fraction[2:].strip("0") else 0)
    if cents <= 0:
        raise NoQuote("the price is zero")
    return cents


def _moment(text: object) -> datetime:
    try:
        found = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        found = None
    if found is None or found.utcoffset() is None:
        raise NoQuote("the quote does not say when it was made")
    return found.astimezone(UTC)
