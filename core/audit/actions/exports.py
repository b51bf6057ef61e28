"""Taking events out of the log, which is itself an act."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from core import audit
from core.action import action
from core.actor import Actor
from core.audit import exporting, witnesses
from core.audit.events import Event


@action(Event.EXPORTED)
def export_log(
    *,
    since: datetime | None,
    until: datetime | None,
    form: str,
    reason: str,
    among: Sequence[witnesses.Witness] = (),
    actor: Actor,
    now: datetime,
) -> exporting.Span:
    """Which events the export takes, once it is on record who takes them and why. Write it after this."""
    span = exporting.span(since=since, until=until, among=among)
    audit.record(
        Event.EXPORTED,
        "audit.log",
        actor=actor,
        now=now,
        after={"form": form, "first": span.first, "end": span.end, "since": since, "until": until},
        reason=reason,
    )
    return span
