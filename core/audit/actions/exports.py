"""Taking events out of the log, which is itself an act."""

from __future__ import annotations

from datetime import datetime

from core import audit
from core.action import action
from core.actor import Actor
from core.audit import cosigned, exporting
from core.audit.events import Event
from core.refusals import Refused


class NoReason(Refused):
    """Nobody takes events out of the log without saying what for."""

    code = "no_reason"
    status = 400


@action(Event.EXPORTED)
def export_log(
    *,
    since: datetime | None,
    until: datetime | None,
    form: str,
    reason: str,
    by: cosigned.Cosigners = (),
    actor: Actor,
    now: datetime,
) -> exporting.Span:
    """Which events the export takes, once it is on record who takes them and why. Write it after this.

    NoReason; BadSpan and NotFound of `exporting.span`.
    """
    if not reason.strip():
        raise NoReason("Nothing was exported: say what it is for.", target="audit.log")
    span = exporting.span(since=since, until=until, by=by)
    audit.record(
        Event.EXPORTED,
        "audit.log",
        actor=actor,
        now=now,
        after={"form": form, "first": span.first, "end": span.end, "since": since, "until": until},
        reason=reason,
    )
    return span
