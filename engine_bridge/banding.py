"""Price bands: joins what officers decided to what the engine holds orders against.

The engine is asked for its own word, since ours is as old as settlement. A band is told until the engine has
taken it; one that changes there afterwards, and nobody wanted it, is told to people and set back.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from django.conf import settings

from core.actor import system
from engine_bridge.actions import bands as actions
from engine_bridge.adapters import administration
from engine_bridge.domain.markets import Band
from engine_bridge.models import Instrument

ACTOR: Final = system("price-bands")
STEPS_MAX: Final = 4
"""So often officers may change their mind while one worker tells the engine; then the next one goes on."""


def assert_bands(*, now: datetime) -> None:
    """Every market's, as far as the engine lists it; EngineAway. What a lost message left undone is done."""
    found = adopt_bands(now=now)
    for row in Instrument.objects.filter(pk__in=found):
        if row.band_told_at is None or found[row.pk].ppm != row.band_ppm:
            assert_band(instrument=row.pk, now=now)


def adopt_bands(*, now: datetime) -> Mapping[int, Band]:
    """The engine's bands, each taken over where none ever stood on its market's row; EngineAway."""
    found = administration.bands(settings.ENGINE_ADMIN_TARGET)
    for number in Instrument.objects.filter(pk__in=found, band_ppm=None).values_list("pk", flat=True):
        actions.adopt_band(instrument=number, found=found[number], actor=ACTOR, now=now)
    return found


def assert_band(*, instrument: int, now: datetime) -> None:
    """Tell the engine the band that is wanted of a market, if it has not taken it; EngineAway.

    The row is read again once the engine has been told: who set another band meanwhile may have been
    quicker, and then this one's word came last.
    """
    target, is_late = settings.ENGINE_ADMIN_TARGET, False
    for _ in range(STEPS_MAX):
        row = Instrument.objects.filter(pk=instrument).exclude(band_ppm=None).first()
        found = administration.bands(target).get(instrument)
        if row is None or row.band is None or found is None:
            return
        if row.band_told_at is not None and found.ppm == row.band.ppm:
            return
        if row.band_told_at is not None and not is_late:
            actions.note_band_deviated(instrument=instrument, found=found, actor=ACTOR, now=now)
            is_late = True
            continue
        administration.set_band(target, instrument=instrument, band=row.band)
        is_late = not actions.note_band_told(instrument=instrument, told=row.band, actor=ACTOR, now=now)
