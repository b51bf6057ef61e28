"""The audit log: what happened, by whom, and the proof that it still says the same."""

from __future__ import annotations

import json
from typing import Final

from django.http import HttpResponse

from backoffice.console import frame
from core import clock
from core.audit import queries

SHOWN: Final = 50
FILTERS: Final = ("action", "target", "actor")


def index(request: frame.StaffRequest) -> HttpResponse:
    """The newest events, filtered."""
    chosen = {name: request.GET.get(name, "").strip()[:200] for name in FILTERS}
    before = request.GET.get("before", "")
    rows = queries.events(
        **chosen,
        before_id=int(before) if before.isdecimal() and len(before) < 19 else None,
        limit=SHOWN + 1,
    )
    values = {
        "rows": rows[:SHOWN],
        "older": rows[SHOWN - 1].pk if len(rows) > SHOWN else None,
        "chosen": chosen,
        "checkpoint": queries.newest_checkpoint(),
    }
    return frame.page(request, "console/audit.html", values, now=clock.now())


def show(request: frame.StaffRequest, event_id: int) -> HttpResponse:
    """One event, whole, with its place in the sealed tree."""
    row = queries.event(event_id)
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
    return frame.page(request, "console/event.html", values, now=clock.now())
