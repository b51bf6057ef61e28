"""How values look: money, moments, states, hashes. Each is formatted here and nowhere else."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from backoffice.console import payloads
from core.approvals.models import ApprovalRequest
from custody.models import Payment, PaymentVersion
from engine_bridge.models import Fill, Instrument
from kernel import registration
from kernel.money import Amount

register = template.Library()

WARM_AFTER: Final = timedelta(minutes=15)
OLD_AFTER: Final = timedelta(hours=4)

_TONES: Final = {
    "wait": "requested on_hold screened open proposed queued in_review pending submitted retry_required "
    "degraded new orphan exported",
    "move": "offered approved built signing signed broadcast confirmed in_progress seen",
    "good": "settled posted consumed credited resolved up completed active released done",
    "bad": "refused conflicted rejected failed rejected_final suspended down lapsed frozen poison halted",
}
TONES: Final = {state: tone for tone, states in _TONES.items() for state in states.split()}
"""The feeling of a state. What is not named here is over, and looks so."""


@register.filter
def money(amount: Amount | None) -> SafeString | str:
    """0.06 BTC, the digits apart from the asset's name."""
    if amount is None:
        return "–"
    whole, point, fraction = str(amount).partition(".")
    grouped = re.sub(r"(?<=\d)(?=(\d{3})+$)", "\u202f", whole)
    return format_html(
        '<span class="amount"><b>{}</b> <span class="asset">{}</span></span>',
        grouped + point + fraction,
        amount.asset,
    )


@register.filter
def feerate(paid: Payment | PaymentVersion) -> str:
    """What a transaction pays the network for each vbyte of it, to a tenth."""
    tenths = paid.fee_units * 10 // paid.vsize
    return f"{tenths // 10}.{tenths % 10} sats a vbyte"


@register.filter
def dollars(cents: int | None) -> str:
    """US cents as dollars; a dash where there is no limit or no value."""
    return "–" if cents is None else f"${int(cents) // 100:,}.{int(cents) % 100:02d}"


@register.filter
def percent(basis_points: int) -> str:
    """Basis points as a percentage."""
    return f"{basis_points / 100:.1f} %"


@register.filter
def percent_fine(basis_points: int) -> str:
    """The same with every basis point shown."""
    return f"{basis_points / 100:.2f} %"


@register.filter
def rate(ppm: int) -> str:
    """Millionths as a percentage, without zeros that say nothing."""
    return payloads.percent_of(ppm)


@register.filter
def hundredth(basis_points: int) -> str:
    """Basis points on a drawing that is 100 wide."""
    return f"{basis_points / 100:.2f}"


@register.filter
def moment(when: datetime | None) -> SafeString | str:
    """The moment in UTC, to the second in its title."""
    if when is None:
        return "–"
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        when.isoformat(),
        f"{when:%Y-%m-%d %H:%M:%S} UTC",
        f"{when:%Y-%m-%d %H:%M}",
    )


@register.simple_tag
def age(when: datetime | None, now: datetime) -> SafeString | str:
    """How long ago, warming up as it grows old."""
    if when is None:
        return "–"
    return format_html(
        '<time class="age" data-age="{}" datetime="{}" title="{}">{}</time>',
        warmth(when, now),
        when.isoformat(),
        f"{when:%Y-%m-%d %H:%M:%S} UTC",
        span(now - when),
    )


@register.simple_tag
def left(until: datetime | None, now: datetime) -> SafeString | str:
    """How much time is left until then, or that it is over."""
    if until is None:
        return "–"
    words = f"{span(until - now)} left" if until > now else f"over since {span(now - until)}"
    tone = "old" if until - now < WARM_AFTER else ""
    title = f"{until:%Y-%m-%d %H:%M:%S} UTC"
    return format_html(
        '<time class="age" data-age="{}" datetime="{}" title="{}">{}</time>',
        tone,
        until.isoformat(),
        title,
        words,
    )


@register.simple_tag
def warmth(when: datetime, now: datetime) -> str:
    """fresh, warm or old: how long somebody has been waiting."""
    waited = now - when
    return "old" if waited >= OLD_AFTER else "warm" if waited >= WARM_AFTER else "fresh"


def span(length: timedelta) -> str:
    """A length of time in its two largest units."""
    seconds = max(0, int(length.total_seconds()))
    days, hours, minutes = seconds // 86_400, seconds // 3600 % 24, seconds // 60 % 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{seconds} s"


@register.filter
def seconds(count: int) -> str:
    """So many seconds, in words."""
    return span(timedelta(seconds=count))


@register.filter
def state(value: StrEnum | str, tone: str = "") -> SafeString:
    """A state as a badge, with a colour for what it means to whoever looks."""
    felt = tone or TONES.get(str(value), "over")
    words = "acted upon" if value == "consumed" else spelled(value)
    return format_html('<span class="state" data-tone="{}">{}</span>', felt, words)


@register.filter
def market_state(value: str) -> SafeString:
    """The same for a market, which is well when it is open."""
    return state(
        value, {"open": "good", "halted": "bad", "cancel_only": "bad", "auction": "wait"}.get(value, "over")
    )


@register.filter
def within(microseconds: int | None) -> str:
    """A bound on a duration; None = beyond the longest that is told apart."""
    if microseconds is None:
        return "longer"
    return f"{microseconds} µs" if microseconds < 10_000 else f"{microseconds // 1000} ms"


@register.filter
def spelled(value: Any) -> str:
    """`on_hold` as people write it."""
    return str(value).replace("_", " ")


@register.filter
def short(identifier: object) -> str:
    """The last characters of an id or hash, which are the random ones; enough to tell two rows apart."""
    text = str(identifier)
    return f"…{text[-8:]}" if len(text) > 12 else text


@register.filter
def fact(value: object) -> str:
    """A probe's fact: numbers and words whole, hashes by their end."""
    return short(value) if len(str(value)) > 40 else str(value)


@register.filter
def groups(text: str, length: int = 8) -> SafeString:
    """A hash or address in groups. The gaps are drawn, so that a copy holds none."""
    parts = ((text[at : at + length],) for at in range(0, len(text), length))
    return format_html('<span class="groups">{}</span>', format_html_join("", "<span>{}</span>", parts))


@register.filter
def fingerprint(public_key: str) -> str:
    """By what people know a passkey again, from its public key in hex."""
    return registration.fingerprint(bytes.fromhex(public_key))


@register.filter
def headline(request: ApprovalRequest) -> str:
    """What a request asks for, in one line."""
    return payloads.headline(bytes(request.payload))


@register.filter
def clock(text: str) -> str:
    """The moment of an audit event, text there, to the second; a link to one that has none needs a name."""
    return text[:19].replace("T", " ") or "no time"


@register.filter
def hexed(value: Any) -> str:
    """Bytes as hex."""
    return bytes(value).hex()


@register.filter
def target(name: str) -> str:
    """The row that an audit event is about, with the end of its id."""
    table, slash, identifier = name.partition("/")
    return f"{table}{slash}{short(identifier)}"


@register.filter
def doer(actor: dict[str, Any]) -> str:
    """Whose act it was, for lists: a customer by the end of an id, since reading a name is put on record."""
    if actor["kind"] == "customer" and actor["identity"]:
        return f"customer/{short(actor['identity'])}"
    return str(actor["label"])


@register.simple_tag
def price(fill: Fill) -> str:
    """A trade's price in the market's decimals."""
    return fill.instrument.scale.price(fill.price_ticks)


@register.simple_tag
def price_of(market: Instrument, ticks: int) -> str:
    """A number of ticks in the market's decimals."""
    return f"{market.scale.price(ticks)} {market.quote}"


@register.simple_tag
def size(fill: Fill) -> SafeString | str:
    """A trade's size as money."""
    return money(fill.instrument.scale.base_amount(fill.qty_lots))
