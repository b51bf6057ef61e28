"""What each signer says of itself, as the screens and the orders read it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from django.conf import settings

from core import audit, outbox
from core.access import rights
from core.access.models import Identity, Kind
from core.action import action
from core.actor import Actor
from core.factors.events import OfficerTold, OutsideTold
from custody import queries
from custody.domain.journals import Read
from custody.events import Event
from custody.models import SignerHealth
from custody.permissions import Permission
from custody.queries import Ahead
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
            "uncounted": said.get("uncounted", {}),
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


@action(Event.REGISTRY_HEARD)
def warn_of_registries(*, actor: Actor, now: datetime) -> int:
    """Warn, once, of each registry that a signer says was announced to it; how many there were.

    Whoever may see the signers gets a mail, and the webhook is called: the days until it takes effect are for
    a veto, and a veto takes somebody who knows.
    """
    rows = {row.token: row for row in SignerHealth.objects.select_for_update(no_key=True).order_by("token")}
    due = queries.warnings_due()
    for one in due:
        row = rows[one.tokens[0]]
        row.warned = [*row.warned, one.digest]
        row.save(update_fields=["warned"])
        after = {"version": one.version, "from": one.effect, "tokens": list(one.tokens), "ours": one.is_ours}
        audit.record(
            Event.REGISTRY_HEARD, f"custody.registry/{one.digest}", actor=actor, now=now, after=after
        )
        _warn(one, now=now)
    return len(due)


def _warn(one: Ahead, *, now: datetime) -> None:
    subject = f"Registry version {one.version} is on its way to the signers"
    text = (
        f"{subject}{'' if one.is_ours else ', past the console'}.\n\n"
        f"Digest: {one.digest}\nAnnounced to: {', '.join(one.tokens)}\n"
        f"Brings: {'new officers, by a recovery' if one.is_recovery else 'what a quorum agreed to'}\n"
        f"Can take effect from {one.effect:%Y-%m-%d %H:%M} UTC on.\n\n"
        f"If you cannot explain it, any one officer stops it with a veto before that moment: "
        f"{settings.CONSOLE_ORIGIN}/treasury/signers/\n"
    )
    told = {"notice": f"registry/{one.digest}", "subject": subject, "text": text}
    for person in Identity.objects.filter(kind=Kind.OFFICER, is_active=True):
        if rights.allowed(person, Permission.SEE_SIGNERS, now):
            outbox.publish(OfficerTold(identity=str(person.pk), **told), now=now)
    outbox.publish(OutsideTold(at=now.isoformat(timespec="seconds"), **told), now=now)
