"""The wall clock, read only at the edges: views, tasks, daemons and commands pass `now` inwards."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """The present moment, aware, in UTC."""
    return datetime.now(UTC)
