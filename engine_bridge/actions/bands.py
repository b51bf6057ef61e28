"""A market's price band: narrowed by one officer at once, widened by two who did not ask for it.

A narrower band keeps orders out, as a halt does. A wider one, none at all, or one about another price lets
prices run, so it is approved like the release of a market. What is wanted stands on the market's row; a
worker tells the engine whatever stands there by then. Whoever narrows a band makes void what was asked for
before, signed or not.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.conf import settings

from core import approvals, audit, outbox
from core.action import action
from core.actor import Actor
from core.approvals.kinds import Kind
from core.approvals.models import ApprovalRequest
from core.refusals import Refused
from engine_bridge.actions import alerts, entitled
from engine_bridge.domain.instruments import NotOnGrid, OutOfRange
from engine_bridge.domain.markets import BadPercent, Band, ppm
from engine_bridge.events import Event, MarketBandWanted
from engine_bridge.models import Instrument
from engine_bridge.permissions import Permission
from kernel import canonical
from kernel.money import BadAmount

TEAMS: Final = {"officers": 2}
_TO: Final = "set price bands"


class BadBand(Refused):
    """The width is no percentage, or the reference no price of this market."""

    code = "market.bad_band"
    status = 422


class SameBand(Refused):
    """The market has this band already."""

    code = "market.band_unchanged"


class NotNarrower(Refused):
    """It lets in what the present band keeps out, so two others must agree."""

    code = "market.band_not_narrower"


class BandUnknown(Refused):
    """Nobody has looked at the engine's band yet, so nobody knows whether this one is narrower."""

    code = "market.band_unknown"


class Overtaken(Refused):
    """Somebody narrowed the band after this one was asked for."""

    code = "market.band_overtaken"


@action(Event.MARKET_BAND_WANTED)
def narrow_band(
    *, symbol: str, percent: str, reference: str = "", reason: str, actor: Actor, now: datetime
) -> Instrument:
    """Have the engine hold orders against a narrower band as soon as it hears of it. NotNarrower.

    A wider one that waits for signatures is taken back.
    """
    target = entitled.target_of(symbol)
    if actor.kind != "system" or actor.identity is not None:  # whoever types the command has no role
        entitled.officer(actor, Permission.HALT_MARKETS, to=_TO, target=target, now=now)
    said = entitled.said(reason, target=target)
    row = entitled.market(symbol)
    before, after = _present(row, target), _read(row, percent, reference, target)
    if not after.narrows(before):
        raise NotNarrower(
            "Nothing was changed: this is no narrower than the present band. Ask two others to agree.",
            target=target,
        )
    approvals.take_back(KIND, row, actor=actor, now=now)
    _want(row, after, now=now)
    _record(row, before, after, reason=said, actor=actor, now=now)
    return row


@action(Event.MARKET_BAND_ASKED)
def ask_band(
    *, symbol: str, percent: str, reference: str = "", reason: str, actor: Actor, now: datetime
) -> ApprovalRequest:
    """Open the request on which two others decide. The present band holds until they have."""
    target = entitled.target_of(symbol)
    officer = entitled.officer(actor, Permission.HALT_MARKETS, to=_TO, target=target, now=now)
    said = entitled.said(reason, target=target)
    row = entitled.market(symbol)
    before, after = _present(row, target), _read(row, percent, reference, target)
    if after.ppm == before.ppm and not after.reference_ticks:
        raise SameBand("Nothing was asked: the market has this band already.", target=target)
    payload: dict[str, canonical.Value] = {
        "v": 1,
        "kind": KIND.name,
        "deployment": settings.DEPLOYMENT,
        "market": row.symbol,
        "band_ppm": after.ppm,
        "band_ppm_before": before.ppm,
        "reference_price": row.scale.price(after.reference_ticks) if after.reference_ticks else "last",
        "reason": said,
        "maker": str(officer.pk),
    }
    if row.band_request is None:
        # A signature that came at the moment of a narrowing may have kept an older one from being taken back.
        approvals.take_back(KIND, row, actor=actor, now=now)
    audit.record(Event.MARKET_BAND_ASKED, row, actor=actor, now=now, reason=said)
    request = approvals.open(
        KIND,
        payload,
        maker=officer,
        teams=TEAMS,
        subject=row,
        actor=actor,
        now=now,
        facts={"market": row.symbol, "band_ppm": after.ppm},
    )
    Instrument.objects.filter(pk=row.pk).update(band_request=request.pk)
    return request


def _set(request: ApprovalRequest, *, actor: Actor, now: datetime) -> None:
    """Want the band that was signed, in the transaction of the deciding signature."""
    number = int(request.subject.rpartition("/")[2])
    row = Instrument.objects.select_for_update().get(pk=number)
    before = _present(row, request.subject)
    if row.band_request != request.pk:
        raise Overtaken(
            "Nothing was changed: the band was narrowed since this was asked for. Ask for it anew.",
            target=request.subject,
        )
    members = canonical.decode_object(bytes(request.payload))
    width, price = members["band_ppm"], members["reference_price"]
    assert isinstance(width, int)
    after = Band(width, 0 if price == "last" else row.scale.ticks(str(price)))
    approvals.consume(request, now=now)
    _want(row, after, now=now)
    _record(row, before, after, request=request, actor=actor, now=now)


@action(Event.MARKET_BAND_WANTED)
def adopt_band(*, instrument: int, found: Band, actor: Actor, now: datetime) -> None:
    """Take over the band that the engine has, where none ever stood on the market's row."""
    row = Instrument.objects.select_for_update().get(pk=instrument)
    if row.band_ppm is None:
        changed = Instrument.objects.filter(pk=row.pk, band_ppm=None)
        changed.update(band_ppm=found.ppm, band_reference_ticks=found.reference_ticks, band_told_at=now)
        after = found._asdict()
        audit.record(
            Event.MARKET_BAND_WANTED, row, actor=actor, now=now, after=after, reason="as the engine has it"
        )


@action(Event.MARKET_BAND_TOLD)
def note_band_told(*, instrument: int, told: Band, actor: Actor, now: datetime) -> bool:
    """Write down that the engine has taken a band; False where another one is wanted by now."""
    row = Instrument.objects.select_for_update().get(pk=instrument)
    if row.band != told:
        return False
    if row.band_told_at is None:
        Instrument.objects.filter(pk=row.pk, band_told_at=None).update(band_told_at=now)
        audit.record(Event.MARKET_BAND_TOLD, row, actor=actor, now=now, after=told._asdict())
    return True


@action(Event.MARKET_BAND_DEVIATED)
def note_band_deviated(*, instrument: int, found: Band, actor: Actor, now: datetime) -> None:
    """Tell people that the engine, which had the band that is wanted, has another one; it is told anew."""
    row = Instrument.objects.select_for_update().get(pk=instrument)
    if row.band is None or row.band_told_at is None or row.band.ppm == found.ppm:
        return
    # The price that came with it has counted; told again it would put the band where the market was then.
    Instrument.objects.filter(pk=row.pk).update(band_told_at=None, band_reference_ticks=0)
    audit.record(
        Event.MARKET_BAND_DEVIATED,
        row,
        actor=actor,
        now=now,
        before=row.band._asdict(),
        after=found._asdict(),
    )
    alerts.band_deviates(row, found, now=now)


def _want(row: Instrument, band: Band, *, now: datetime) -> None:
    Instrument.objects.filter(pk=row.pk).update(
        band_ppm=band.ppm, band_reference_ticks=band.reference_ticks, band_told_at=None, band_request=None
    )
    row.band_ppm, row.band_reference_ticks = band
    row.band_told_at = row.band_request = None
    outbox.publish(MarketBandWanted(instrument=row.pk), now=now)


def _record(
    row: Instrument,
    before: Band,
    after: Band,
    *,
    request: ApprovalRequest | None = None,
    reason: str = "",
    actor: Actor,
    now: datetime,
) -> None:
    audit.record(
        Event.MARKET_BAND_WANTED,
        row,
        actor=actor,
        now=now,
        before=before._asdict(),
        after=after._asdict() | ({"request": request.pk} if request else {}),
        reason=reason,
    )


def _read(row: Instrument, percent: str, reference: str, target: str) -> Band:
    try:
        return Band(ppm(percent), row.scale.ticks(reference.strip()) if reference.strip() else 0)
    except (BadPercent, NotOnGrid, OutOfRange, BadAmount) as error:
        raise BadBand(f"Nothing was changed: {error}.", target=target) from None


def _present(row: Instrument, target: str) -> Band:
    if row.band is None:
        raise BandUnknown(
            "Nothing was changed: nobody has looked at the engine's band yet. It is seconds once it runs.",
            target=target,
        )
    return row.band


KIND: Final = Kind(
    name="engine.price_band",
    permission=Permission.APPROVE_BANDS,
    on_approved=_set,
    title="Price band of a market",
    floor=TEAMS,
    facts=frozenset({"market", "band_ppm"}),
)
