"""The audit log: what happened, by whom, and the proof that it still says the same."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from backoffice.console import doers, frame, reading
from core import access, clock
from core.access import sessions
from core.access.actions.refusing import record_view_refusal
from core.access.postures import PostureMissing
from core.access.requirement import demanded
from core.audit import gaps, packing, probing, queries, witnesses
from core.audit.actions import export_log
from core.audit.events import Event
from core.audit.exporting import Span
from core.audit.models import AuditEvent
from core.audit.permissions import Permission
from core.refusals import Refused

SHOWN: Final = 50
NEWEST: Final = 2**63 - 1
LOOK_EVERY_S: Final = 5.0
"""How long an export goes on for somebody whose rights have ended, or whose device lacks what it takes."""
FILTERS: Final = ("action", "target", "actor", "until")
Form = Callable[[Span, datetime | None, datetime | None], Iterator[bytes]]
FORMS: Final[Mapping[str, Form]] = {"jsonl": packing.whole, "ocsf": packing.ocsf_lines}


class BadExport(Refused):
    """The form asks for something that there is not."""

    code = "bad_export"
    status = 400


class BadTime(BadExport):
    """A field holds no time."""

    code = "bad_time"


class BrokenOff(Refused):
    """Session or right ended while the export was on its way."""

    code = "export_broken_off"
    status = 403


def index(request: frame.StaffRequest) -> HttpResponse:
    """The newest events, filtered."""
    chosen = {name: request.GET.get(name, "").strip()[:200] for name in FILTERS}
    before, whose = _before(request), doers.meant(chosen["actor"])
    until = _moment(chosen["until"], undone="Nothing was looked for")
    rows = queries.events(
        action=chosen["action"],
        target=chosen["target"],
        actor=whose.label,
        identities=whose.identities,
        until=until,
        before_id=before,
        limit=SHOWN + 1,
    )
    values = {
        "rows": rows[:SHOWN],
        "older": rows[SHOWN - 1].id if len(rows) > SHOWN else None,
        "chosen": chosen,
        "namesakes": whose.fits(rows),
        "checkpoint": queries.newest_checkpoint(),
        "unlike": () if any(chosen.values()) else _unlike(rows, before),
        "census": _census(rows, before, until) if any(chosen.values()) else None,
    }
    return frame.page(request, "console/audit.html", values, now=clock.now())


def _before(request: frame.StaffRequest) -> int | None:
    """Where the page begins that was asked for."""
    text = request.GET.get("before", "")
    return int(text) if text.isdecimal() and len(text) < 19 else None


def _unlike(rows: Sequence[AuditEvent], before: int | None) -> list[gaps.Unlike]:
    """What is wrong with the batches that a page of everything covers."""
    first = rows[SHOWN - 1].id if len(rows) > SHOWN else 0
    return gaps.between(first, NEWEST if before is None else before)


def _census(
    rows: Sequence[AuditEvent], before: int | None, until: datetime | None = None
) -> gaps.Census | None:
    """Whether events are missing where a page of some looked: they may be of those that it asked for."""
    first = rows[SHOWN - 1].id if len(rows) > SHOWN else 0
    if before is None and until is not None:
        before = queries.sealed_behind(until)
    return gaps.counted(first, NEWEST if before is None else before)


def reads(request: frame.StaffRequest) -> HttpResponse:
    """Who read what of whom: by reader, by person read."""
    chosen = {name: request.GET.get(name, "").strip()[:300] for name in ("actor", "person")}
    before, whose = _before(request), doers.meant(chosen["actor"])
    rows = queries.events(
        actor=whose.label,
        identities=whose.identities,
        person=chosen["person"],
        reads=True,
        before_id=before,
        limit=SHOWN + 1,
    )
    older = rows[SHOWN - 1].id if len(rows) > SHOWN else None
    values = {
        "rows": rows[:SHOWN],
        "older": older,
        "chosen": chosen,
        "namesakes": whose.fits(rows),
        "census": _census(rows, before),
    }
    return frame.page(request, "console/reads.html", values, now=clock.now())


def seals(request: frame.StaffRequest, refusal: Refused | None = None) -> HttpResponse:
    """The newest checkpoint, how far each witness has come with each log, and the form that exports."""
    now = clock.now()
    checkpoint = queries.newest_checkpoint()
    sealed = checkpoint.size if checkpoint else 0
    values = {
        "checkpoint": checkpoint,
        "waiting": queries.waiting(),
        "witnessed": [
            (one, probing.is_late(one, now), sealed - one.size if one.log == settings.AUDIT_ORIGIN else 0)
            for one in queries.witnessed()
        ],
        "faults": queries.faults(limit=SHOWN),
        "may_export": access.allowed(request.identity, Permission.EXPORT_EVENTS, now),
    }
    return frame.page(request, "console/seals.html", values, refusal=refusal, now=now)


def export(request: frame.StaffRequest) -> HttpResponseBase:
    """An export as a stream, once it is on record who takes it and why."""
    form = request.POST.get("form", "")
    try:
        since, until = (_moment(request.POST.get(name, "")) for name in ("since", "until"))
        if form not in FORMS:
            raise BadExport("Nothing was exported: choose a form.")
        span = export_log(
            since=since,
            until=until,
            form=form,
            reason=request.POST.get("reason", ""),
            by=witnesses.keys(settings.AUDIT_WITNESSES_FILE),
            actor=request.actor,
            now=clock.now(),
        )
    except Refused as refusal:
        return seals(request, refusal)
    pieces = _while_allowed(request, FORMS[form](span, since, until))
    answer = StreamingHttpResponse(_for(request, pieces), content_type="application/octet-stream")
    name = f"audit-{span.first}-{span.end}.{'zip' if form == 'jsonl' else 'ocsf.jsonl'}"
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def _while_allowed(request: frame.StaffRequest, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The pieces, as long as whoever asked may go on: a long export outlives the judgement that began it.

    It breaks off with an error, so that no browser takes what it has for the whole file.
    """
    looked = time.monotonic()
    for piece in pieces:
        if time.monotonic() - looked >= LOOK_EVERY_S:
            if not _may_go_on(request, now=clock.now()):
                raise BrokenOff("The export broke off: whoever took it may not go on.", target="audit.log")
            looked = time.monotonic()
        yield piece


def _may_go_on(request: frame.StaffRequest, *, now: datetime) -> bool:
    """Whether right, session and device are still what they have to be; on record where they are not."""
    may = access.allowed(request.identity, Permission.EXPORT_EVENTS, now)
    if not may or not sessions.stands(request.officer_session):
        record_view_refusal(
            permission=Permission.EXPORT_EVENTS, path=request.path, actor=request.actor, now=now
        )
        return False
    try:
        demanded(request, Permission.EXPORT_EVENTS, now=now)
    except PostureMissing:
        return False
    return True


def _for(request: frame.StaffRequest, pieces: Iterator[bytes]) -> Iterator[bytes] | AsyncIterator[bytes]:
    """As the server in front takes it: ASGI reads an asynchronous stream piece by piece."""
    return _stepwise(pieces) if isinstance(request, ASGIRequest) else pieces


async def _stepwise(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    def step() -> bytes:
        return next(pieces, b"")

    while piece := await sync_to_async(step)():
        yield piece


def _moment(text: str, *, undone: str = "Nothing was exported") -> datetime | None:
    """A time that a form sent, in UTC where it names no zone; none where the field was left empty."""
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    except ValueError:
        raise BadTime(f"{undone}: a time is like 2026-11-28T08:00.") from None


def show(request: frame.StaffRequest, event_id: int) -> HttpResponse:
    """One event, whole, with its place in the sealed tree."""
    now = clock.now()
    row = queries.event(event_id)
    if person := queries.actor_of(row):
        shown = ("act", "subject", "address", "device")
        reading.person(request, Event.EVENT_READ, row, person, shown, now=now)
    values = {
        "row": row,
        "document": row.doc,
        "changes": [
            (name, json.dumps(row.doc[name], indent=2, sort_keys=True, ensure_ascii=False))
            for name in ("before", "after")
            if row.doc.get(name)
        ],
        "proof": queries.proof(row),
    }
    return frame.page(request, "console/event.html", values, now=now)
