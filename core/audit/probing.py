"""Whether the log is sealed and witnessed, for the health screen."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from core.audit import queries
from core.health import Reading, Status

SEALED_WITHIN: Final = timedelta(minutes=2)
WITNESSED_WITHIN: Final = timedelta(minutes=10)


def read_log(now: datetime) -> Reading:
    """Sealed lately, or nothing to seal; and no event that lies."""
    last, waiting, faults = queries.newest_checkpoint(), queries.waiting(), queries.faults().count()
    facts: dict[str, str | int | None] = {
        "sealed": last.size if last else 0,
        "waiting": waiting,
        "faulty events": faults,
    }
    if faults:
        return Reading(Status.DOWN, "Events stand in the log that the application did not write.", facts)
    if waiting and (last is None or last.sealed_at < now - SEALED_WITHIN):
        return Reading(Status.DOWN, "Events wait to be sealed: is the sealer, or the notary, down?", facts)
    return Reading(Status.UP, "Every event is sealed within moments.", facts)


def read_witnesses(now: datetime) -> Reading:
    """Every witness has seen every log lately."""
    found = queries.witnessed()
    late = sorted({f"{one.name} on {one.log}" for one in found if one.at < now - WITNESSED_WITHIN})
    facts: dict[str, str | int | None] = {"cosigned heads": len(found), "late": len(late)}
    if not found:
        return Reading(Status.DEGRADED, "No witness has cosigned anything yet.", facts)
    if late:
        return Reading(Status.DEGRADED, f"Not seen for a while: {late[0]}.", facts)
    return Reading(Status.UP, "Every witness has seen every log lately.", facts)
