"""Storing what the price feed said."""

from __future__ import annotations

from datetime import datetime

from core import audit, outbox
from core.action import action
from core.actor import Actor
from core.refusals import Refused
from custody.domain import limits
from custody.domain.limits import Quote
from custody.events import Event, PriceReported
from custody.models import Price


class QuoteRefused(Refused):
    """The quote is from the future or not positive."""

    code = "price.refused"


@action(Event.PRICE_REPORTED)
def report_price(*, quote: Quote, source: str, actor: Actor, now: datetime) -> Price:
    """A quote, stored with where it came from; the same one again changes nothing."""
    if quote.cents <= 0 or quote.quoted_at > now + limits.PRICE_AHEAD_MAX:
        raise QuoteRefused(f"Nothing was stored: {quote.asset} at {quote.cents} cents, {quote.quoted_at}.")
    row, made = Price.objects.get_or_create(
        asset=quote.asset,
        source=source,
        quoted_at=quote.quoted_at,
        defaults={"cents": quote.cents, "fetched_at": now},
    )
    if made:
        audit.record(
            Event.PRICE_REPORTED,
            row,
            actor=actor,
            now=now,
            after={"asset": quote.asset, "cents": quote.cents},
        )
        outbox.publish(PriceReported(asset=quote.asset), now=now)
    return row
