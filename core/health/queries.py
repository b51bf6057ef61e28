"""Reads of health for the console."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from core.health import probes


@dataclass(frozen=True, slots=True)
class Part:
    """One line of the health screen."""

    name: str
    reading: probes.Reading


def parts(*, now: datetime) -> list[Part]:
    """Every registered part and its reading, what is down first."""
    order = {probes.Status.DOWN: 0, probes.Status.DEGRADED: 1, probes.Status.UP: 2}
    found = [Part(name, probes.read(name, now=now)) for name in probes.registered()]
    return sorted(found, key=lambda part: (order[part.reading.status], part.name))
