"""What the freezes app writes into the audit log and announces."""

from __future__ import annotations

from enum import StrEnum

from core import outbox


class Event(StrEnum):
    """Pulling, asking for release, releasing."""

    PULLED = "freezes.freeze.pulled"
    RELEASE_ASKED = "freezes.freeze.release_asked"
    RELEASED = "freezes.freeze.released"


@outbox.message("freezes.pulled")
class FreezePulled:
    """A freeze came into force; apps that hold something running stop it."""

    freeze: str
    scope: str


@outbox.message("freezes.released")
class FreezeReleased:
    """A freeze ended."""

    freeze: str
    scope: str
