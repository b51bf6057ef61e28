"""Setting a market's price band: joins the engine's administration to the audit log."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Final

from core.actor import Actor
from engine_bridge.actions.markets import note_band
from engine_bridge.adapters import administration
from engine_bridge.domain.instruments import NotOnGrid, OutOfRange
from engine_bridge.domain.markets import Band
from engine_bridge.models import Instrument
from kernel.money import BadAmount

PPM: Final = 10_000
"""In a hundredth."""


class BadBand(Exception):
    """Nothing was done: the sentence says what was wrong."""


def set_band(
    target: str, *, symbol: str, percent: str, reference: str, reason: str, actor: Actor, now: datetime
) -> Band:
    """The band as the engine has it then. BadBand, EngineAway, EngineRefused."""
    if not reason.strip():
        raise BadBand("Nothing was done: say why.")
    market = Instrument.objects.filter(symbol=symbol).first()
    before = administration.bands(target).get(market.pk) if market else None
    if market is None or before is None:
        raise BadBand(f"Nothing was done: no market {symbol} is listed here and in the engine.")
    try:
        band = Band(_ppm(percent), market.scale.ticks(reference) if reference else 0)
    except (NotOnGrid, OutOfRange, BadAmount) as error:
        raise BadBand(f"Nothing was done: {error}.") from None
    note_band(market=market, before=before, after=band, reason=reason, actor=actor, now=now)
    administration.set_band(target, instrument=market.pk, band=band)
    return administration.bands(target)[market.pk]


def _ppm(percent: str) -> int:
    try:
        ppm = Decimal(percent) * PPM
    except InvalidOperation:
        ppm = Decimal("NaN")
    if not ppm.is_finite() or ppm != int(ppm) or not 0 <= ppm <= 100 * PPM:
        raise BadBand("Nothing was done: a band has 0 to 100 per cent, with at most four decimals.")
    return int(ppm)
