"""Webhook deliveries: store what verified, note what did not, and say what a stored one asks for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid5

from django.db.models import F

from core import audit, outbox
from core.action import action
from core.actor import Actor
from kyc import locks, vault
from kyc.actions.applicants import mark_dirty
from kyc.actions.transitions import move, settle_tier
from kyc.domain import verifications
from kyc.domain.deliveries import Meaning, Notice, body_digest
from kyc.domain.verifications import State
from kyc.events import DeliveryReceived, Event
from kyc.models import (
    Provider,
    ProviderApplicant,
    UnverifiedDelivery,
    WebhookDelivery,
    WebhookEndpoint,
)
from kyc.vault import Place

DEBOUNCE: Final = timedelta(seconds=30)
"""Equal bytes may be a second event or a replay: they lead to a read, but not more often than this."""

_FIRST_ENDPOINTS: Final = UUID("6f7a2a1e-5d0b-5c39-9a55-0d3f6c1b7e42")

STATES: Final = {
    Meaning.READ: WebhookDelivery.State.DONE,
    Meaning.LOWER: WebhookDelivery.State.DONE,
    Meaning.NOTE: WebhookDelivery.State.DONE,
    Meaning.IGNORE: WebhookDelivery.State.IGNORED,
    Meaning.POISON: WebhookDelivery.State.POISON,
}


@dataclass(frozen=True, slots=True)
class Receipt:
    """Whether the delivery was new to us."""

    delivery: UUID
    is_new: bool


def endpoint_id(provider: str) -> UUID:
    """The id of a provider's first endpoint: the same everywhere, so that its address can be told early."""
    return uuid5(_FIRST_ENDPOINTS, provider)


@action(Event.ENDPOINT_DECLARED)
def declare_endpoint(
    *, provider: Provider, secrets: Sequence[str], actor: Actor, now: datetime
) -> WebhookEndpoint:
    """The provider's endpoint with exactly these active secrets, one or two of them, sealed."""
    if not 1 <= len(secrets) <= 2 or not all(secrets):
        raise ValueError("an endpoint has one secret, or two while one replaces the other")
    row = WebhookEndpoint.objects.select_for_update().filter(pk=endpoint_id(provider)).first()
    wanted = json.dumps(list(secrets)).encode()
    if (
        row is not None
        and row.is_active
        and vault.unseal(row.secrets, place=Place.SECRETS, row=row.pk) == wanted
    ):
        return row
    key = endpoint_id(provider)
    sealed = vault.seal(wanted, place=Place.SECRETS, row=key)
    row, _ = WebhookEndpoint.objects.update_or_create(
        pk=key,
        defaults={"provider": provider, "secrets": sealed, "is_active": True, "declared_at": now},
    )
    after = {"provider": provider, "secrets": len(secrets)}
    audit.record(Event.ENDPOINT_DECLARED, row, actor=actor, now=now, after=after)
    return row


@action(Event.DELIVERY_RECEIVED)
def receive_delivery(*, endpoint_id: UUID, raw: bytes, actor: Actor, now: datetime) -> Receipt:
    """Keep a verified delivery once, however often and however simultaneously the same bytes come."""
    digest = body_digest(raw)
    row = WebhookDelivery(endpoint_id=endpoint_id, body_sha256=digest, received_at=now, last_seen_at=now)
    row.body, row.key = vault.seal_delivery(raw, row=row.pk)
    WebhookDelivery.objects.bulk_create([row], ignore_conflicts=True)
    if WebhookDelivery.objects.filter(pk=row.pk).exists():
        audit.record(
            Event.DELIVERY_RECEIVED,
            row,
            actor=actor,
            now=now,
            after={"endpoint": endpoint_id, "sha256": digest, "bytes": len(raw)},
        )
        outbox.publish(DeliveryReceived(delivery=row.pk), now=now)
        return Receipt(row.pk, is_new=True)
    known = WebhookDelivery.objects.get(endpoint_id=endpoint_id, body_sha256=digest)
    WebhookDelivery.objects.filter(pk=known.pk).update(times_seen=F("times_seen") + 1, last_seen_at=now)
    _look_again(known, actor=actor, now=now)
    return Receipt(known.pk, is_new=False)


@action(Event.DELIVERY_UNVERIFIED)
def note_unverified(*, endpoint_id: UUID, raw: bytes, ip: str, actor: Actor, now: datetime) -> bool:
    """Keep that something unsigned came: at most once a minute and endpoint, and nothing of its content."""
    row = UnverifiedDelivery(
        endpoint_id=endpoint_id,
        minute=now.replace(second=0, microsecond=0),
        body_sha256=body_digest(raw),
        body_bytes=len(raw),
        ip=ip[:45],
    )
    UnverifiedDelivery.objects.bulk_create([row], ignore_conflicts=True)
    if not UnverifiedDelivery.objects.filter(pk=row.pk).exists():
        return False
    after = {"endpoint": endpoint_id, "sha256": row.body_sha256, "bytes": row.body_bytes}
    audit.record(Event.DELIVERY_UNVERIFIED, row, actor=actor, now=now, after=after)
    return True


@action(Event.DELIVERY_CLASSIFIED)
def classify_delivery(
    *,
    delivery_id: UUID,
    notice: Notice,
    applicant_id: UUID | None,
    raw: bytes,
    actor: Actor,
    now: datetime,
) -> WebhookDelivery:
    """Say once what a stored delivery asks for: a read, a lowering, or nothing. From now on its bytes are
    sealed to the person whom it is about, and go when that person is erased.
    """
    applicant = locks.applicant(applicant_id) if applicant_id else None
    row = (
        WebhookDelivery.objects.select_for_update(of=("self",)).select_related("endpoint").get(pk=delivery_id)
    )
    if row.state != WebhookDelivery.State.NEW:
        return row
    row.state, row.event, row.why, row.applicant = STATES[notice.meaning], notice.event, notice.why, applicant
    if notice.meaning in {Meaning.READ, Meaning.LOWER} and applicant is None:
        row.state, row.why = WebhookDelivery.State.ORPHAN, "no applicant of ours"
    if applicant is not None:
        customer = applicant.profile.customer_id
        row.body, row.key = vault.seal_for(customer, raw, place=Place.DELIVERY, row=row.pk), b""
    row.save(update_fields=["state", "event", "why", "applicant", "body", "key"])
    if applicant is not None and notice.meaning is Meaning.LOWER:
        _lower(applicant, row, notice.event, actor=actor, now=now)
    if applicant is not None and notice.meaning is Meaning.READ:
        mark_dirty(applicant, now=now)
    audit.record(
        Event.DELIVERY_CLASSIFIED,
        row,
        actor=actor,
        now=now,
        after={"state": row.state, "event": row.event, "meaning": notice.meaning, "why": row.why},
    )
    return row


def _look_again(row: WebhookDelivery, *, actor: Actor, now: datetime) -> None:
    if row.applicant_id is None or row.state != WebhookDelivery.State.DONE:
        return
    applicant = locks.applicant(row.applicant_id)
    last = applicant.last_snapshot_started_at
    if last is not None and now - last < DEBOUNCE:
        return
    mark_dirty(applicant, now=now)
    audit.record(Event.DELIVERY_REPEATED, row, actor=actor, now=now)


def _lower(
    applicant: ProviderApplicant, row: WebhookDelivery, event: str, *, actor: Actor, now: datetime
) -> None:
    for verification in applicant.profile.verifications.filter(provider=applicant.provider):
        verification.profile = applicant.profile
        before = State(verification.state)
        if before is not State.NOT_STARTED and verifications.may_move(before, State.SUSPENDED):
            move(
                verification,
                State.SUSPENDED,
                cause="delivery",
                why=event,
                actor=actor,
                now=now,
                delivery=row,
            )
    settle_tier(applicant.profile, why=f"{applicant.provider}: {event}", actor=actor, now=now)
