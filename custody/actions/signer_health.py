"""What each signer says of itself, as the screens and the orders read it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from custody.domain.journals import Read
from custody.models import SignerHealth
from kernel import canonical

SILENT: Final = "silent"


def report_health(*, token: str, said: Mapping[str, canonical.Value] | None, now: datetime) -> None:
    """Mirror what a signer says of itself; None where it did not answer. A mirror needs no audit event."""
    changes: dict[str, object] = {"asked_at": now}
    if said is not None:
        registry, journal = said.get("registry"), said.get("journal")
        version = registry.get("version") if isinstance(registry, Mapping) else 0
        digest = registry.get("digest", "") if isinstance(registry, Mapping) else ""
        standing = journal.get("standing") if isinstance(journal, Mapping) else ""
        changes |= {
            "state": str(said.get("state", ""))[:64],
            "why": str(said.get("why", ""))[:400],
            "standing": str(standing)[:64],
            "registry_version": version if isinstance(version, int) else 0,
            "registry_digest": str(digest)[:64],
            "frozen": said.get("frozen", {}),
            "used": said.get("used", {}),
            "lanes": said.get("lanes", {}),
            "answered_at": now,
        }
    SignerHealth.objects.update_or_create(
        token=token, defaults=changes, create_defaults={"state": SILENT, **changes}
    )


def report_journal(*, token: str, read: Read) -> None:
    """Mirror what a signer's journal says, as far as it was read. Likewise without an audit event."""
    SignerHealth.objects.filter(token=token).update(
        journal_lines=read.lines,
        journal_last=read.last,
        announced=read.announced,
        vetoed=read.vetoed,
        outstanding=read.outstanding,
    )
