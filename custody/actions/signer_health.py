"""What each signer says of itself, as the screens and the orders read it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from custody.models import SignerHealth
from kernel import canonical

SILENT: Final = "silent"


def report_health(*, token: str, said: Mapping[str, canonical.Value] | None, now: datetime) -> None:
    """Mirror what a signer says of itself; None where it did not answer. A mirror needs no audit event."""
    changes: dict[str, object] = {"asked_at": now}
    if said is not None:
        registry, journal = said.get("registry"), said.get("journal")
        version = registry.get("version") if isinstance(registry, Mapping) else 0
        standing = journal.get("standing") if isinstance(journal, Mapping) else ""
        changes |= {
            "state": str(said.get("state", ""))[:64],
            "why": str(said.get("why", ""))[:400],
            "standing": str(standing)[:64],
            "registry_version": version if isinstance(version, int) else 0,
            "frozen": said.get("frozen", {}),
            "used": said.get("used", {}),
            "lanes": said.get("lanes", {}),
            "answered_at": now,
        }
    SignerHealth.objects.update_or_create(
        token=token, defaults=changes, create_defaults={"state": SILENT, **changes}
    )
