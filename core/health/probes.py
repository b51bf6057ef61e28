"""The registry of probes. A probe is quick, changes nothing, and says in one sentence what it saw."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final, TypeAlias

log = logging.getLogger(__name__)


class Status(StrEnum):
    """`DEGRADED` works, but somebody should look."""

    UP = "up"
    DEGRADED = "degraded"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Reading:
    """What a probe saw. `facts` are for the table on the health screen."""

    status: Status
    sentence: str
    facts: Mapping[str, str | int | None] = field(default_factory=dict)


Probe: TypeAlias = Callable[[datetime], Reading]

_registered: Final[dict[str, Probe]] = {}


def register(name: str, probe: Probe) -> None:
    """Make a probe known, e.g. register("engine", read_engine); called from AppConfig.ready."""
    if _registered.setdefault(name, probe) is not probe:
        raise ValueError(f"probe {name} is registered twice")


def registered() -> Mapping[str, Probe]:
    """Every probe by its name."""
    return MappingProxyType(_registered)


def read(name: str, *, now: datetime) -> Reading:
    """Run one probe. One that raises is a part that is down, not an error of the screen that asks."""
    try:
        return _registered[name](now)
    except Exception as error:  # noqa: BLE001 - whatever a broken part raises, the others must still be shown
        log.warning("probe %s failed: %s", name, type(error).__name__)
        return Reading(Status.DOWN, f"The probe itself failed: {type(error).__name__}.")
