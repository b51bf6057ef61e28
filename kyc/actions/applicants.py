"""What we know of an applicant's existence at a provider, and when to ask again."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from core import audit, outbox
from core.action import action
from core.actor import Actor
from kyc import locks, vault
from kyc.events import Event, ReadWanted
from kyc.models import ProviderApplicant
from kyc.vault import Place


def mark_dirty(row: ProviderApplicant, *, now: datetime) -> None:
    """Ask for a read of a locked applicant: a primitive inside an action."""
    row.requested_seq += 1
    row.save(update_fields=["requested_seq"])
    outbox.publish(ReadWanted(applicant=row.pk), now=now)


@action(Event.READ_WANTED)
def want_read(*, applicant_id: UUID, why: str, actor: Actor, now: datetime) -> ProviderApplicant:
    """Ask for a read without a delivery: the regular comparison, or an officer who wants to know."""
    row = locks.applicant(applicant_id)
    mark_dirty(row, now=now)
    audit.record(Event.READ_WANTED, row, actor=actor, now=now, reason=why)
    return row


@action(Event.APPLICANT_CREATED)
def note_applicant(
    *, applicant_id: UUID, provider_applicant_id: str, level: str, actor: Actor, now: datetime
) -> ProviderApplicant:
    """Keep the provider's id of an applicant, and the level at which it now stands there."""
    row = locks.applicant(applicant_id)
    if row.applicant_id == provider_applicant_id and row.level == level:
        return row
    before = {"applicant": row.applicant_id, "level": row.level}
    row.applicant_id, row.level = provider_applicant_id, level
    row.save(update_fields=["applicant_id", "level"])
    after = {"applicant": provider_applicant_id, "level": level}
    audit.record(Event.APPLICANT_CREATED, row, actor=actor, now=now, before=before, after=after)
    mark_dirty(row, now=now)
    return row


@action(Event.TOKEN_ISSUED)
def keep_token(
    *, applicant_id: UUID, level: str, token: str, until: datetime, actor: Actor, now: datetime
) -> ProviderApplicant:
    """Keep the token for the provider's SDK, sealed, until the customer's program fetches it."""
    row = locks.applicant(applicant_id)
    row.sdk_token = vault.seal(token.encode(), place=Place.TOKEN, row=row.pk)
    row.sdk_token_level, row.sdk_token_until, row.trouble = level, until, ""
    row.save(update_fields=["sdk_token", "sdk_token_level", "sdk_token_until", "trouble"])
    audit.record(Event.TOKEN_ISSUED, row, actor=actor, now=now, after={"level": level, "until": until})
    return row


@action(Event.PROVIDER_TROUBLE)
def note_trouble(*, applicant_id: UUID, trouble: str, actor: Actor, now: datetime) -> ProviderApplicant:
    """Keep that the provider could not be asked; the customer's tier stays as it is meanwhile."""
    row = locks.applicant(applicant_id)
    if row.trouble == trouble[:100]:
        return row
    before, row.trouble = {"trouble": row.trouble}, trouble[:100]
    row.save(update_fields=["trouble"])
    audit.record(
        Event.PROVIDER_TROUBLE, row, actor=actor, now=now, before=before, after={"trouble": row.trouble}
    )
    return row
