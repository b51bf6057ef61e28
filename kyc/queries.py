"""Reads of verifications, cases and deliveries. Those that open personal data are audited first."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db.models import F, Q, QuerySet

from core import access, audit, ledger
from core.access.models import Identity
from core.actor import Actor
from core.freezes import queries as freezes
from core.freezes.domain import scopes
from core.ledger.models import Account, Posting
from core.refusals import NotFound
from customers.models import Customer
from kyc import vault
from kyc.domain import cases, erasures, tiers, verifications
from kyc.domain.deliveries import Notice
from kyc.domain.tiers import Tier
from kyc.domain.verifications import State
from kyc.events import Event
from kyc.models import (
    Case,
    Erasure,
    KycProfile,
    ProviderApplicant,
    Verification,
    VerificationTransition,
    WebhookDelivery,
    WebhookEndpoint,
)
from kyc.permissions import Permission
from kyc.vault import Place

RECONCILE_AFTER: Final = timedelta(minutes=15)
RECONCILE_MAX: Final = 200


def effective_tier(customer_id: UUID, *, now: datetime) -> Tier:
    """What the customer may do at this moment, with its limit: the one function for every money path.

    Worked out anew each time, so an approval that has run out counts for nothing even before the sweep.
    """
    profile = KycProfile.objects.select_related("customer").filter(customer_id=customer_id).first()
    if profile is None:
        return tiers.tier(0, country="")
    return tiers.tier(effective_rank(profile, now=now), country=profile.customer.country)


def effective_rank(profile: KycProfile, *, now: datetime) -> int:
    """The tier that the profile's verifications, officers' grant, open cases and country come to at `now`."""
    rows = list(profile.verifications.all())
    approved = [
        tiers.LEVELS[row.level]
        for row in rows
        if row.state == State.APPROVED
        and row.level in tiers.LEVELS
        and (row.expires_at is None or row.expires_at > now)
    ]
    open_kinds = Case.objects.filter(profile=profile, closed_at=None).values_list("kind", flat=True)
    caps = [cap for kind in open_kinds if (cap := cases.cap(cases.Kind(kind))) is not None]
    return tiers.effective(
        approved=approved,
        officers_rank=profile.officers_rank,
        has_final_no=any(row.state in verifications.FINAL_NO for row in rows),
        caps=caps,
        country=profile.customer.country,
    )


@dataclass(frozen=True, slots=True)
class SdkAccess:
    """What a customer's program needs to begin: `token` is empty until a worker has fetched one."""

    state: State
    applicant: str
    token: str
    until: datetime | None
    message: str


def sdk_access(customer_id: UUID, *, level: str, provider: str = "sumsub", now: datetime) -> SdkAccess:
    """How the customer's own verification stands, with the token for the provider's SDK while it is valid."""
    row = Verification.objects.filter(
        profile__customer_id=customer_id, provider=provider, level=level
    ).first()
    applicant = ProviderApplicant.objects.filter(profile__customer_id=customer_id, provider=provider).first()
    if row is None or applicant is None:
        raise NotFound("No such verification has been started.")
    token = ""
    until = applicant.sdk_token_until
    if applicant.sdk_token and until and until > now and applicant.sdk_token_level == level:
        token = vault.unseal(applicant.sdk_token, place=Place.TOKEN, row=applicant.pk).decode()
    state = State(row.state)
    return SdkAccess(state, applicant.external_user_id, token, until if token else None, row.message)


def queue(*, identity: Identity | None, now: datetime, state: str = "", kind: str = "") -> QuerySet[Case]:
    """The open cases, oldest first, for whoever may see cases; nothing for the rest. No personal data."""
    rows = Case.objects.select_related("profile__customer", "verification", "assignee").order_by(
        "opened_at", "id"
    )
    if not access.allowed(identity, Permission.SEE_CASES, now):
        return rows.none()
    rows = rows.filter(state=state) if state else rows.filter(closed_at=None)
    return rows.filter(kind=kind) if kind else rows


def case(case_id: UUID, *, identity: Identity | None, now: datetime) -> Case:
    """One case with its verification and profile, for whoever may see cases; NotFound. No personal data."""
    rows = Case.objects.select_related("profile__customer", "verification", "assignee", "maker", "checker")
    row = rows.filter(pk=case_id).first()
    if row is None or not access.allowed(identity, Permission.SEE_CASES, now):
        raise NotFound("There is no such case.", target=f"kyc.case/{case_id}")
    return row


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a history: when, what, by whom, and the words written to it."""

    at: datetime
    what: str
    actor: str
    words: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a decision rests on: the person as the provider read them, its words, and the case's notes."""

    person: dict[str, str]
    comment: str
    notes: list[Line]


def evidence(row: Case, *, identity: Identity | None, actor: Actor, now: datetime) -> Evidence:
    """The personal data of a case. An audit event naming the fields is written before anything is opened."""
    if not access.allowed(identity, Permission.SEE_EVIDENCE, now):
        raise NotFound("There is no such evidence.", target=f"kyc.case/{row.pk}")
    profile, verification = row.profile, row.verification
    fields = ["person", "comment", "notes"]
    read = audit.record_read(Event.PERSON_READ, row, of=profile.customer, actor=actor, now=now, fields=fields)
    entries = list(row.events.order_by("at", "id"))
    sealed = [(Place.NOTE, entry.pk, bytes(entry.note)) for entry in entries]
    if profile.person:
        sealed.append((Place.PERSON, profile.pk, bytes(profile.person)))
    if verification is not None and verification.comment:
        sealed.append((Place.COMMENT, verification.pk, bytes(verification.comment)))
    sealed = [one for one in sealed if one[2]]
    texts = vault.open_for(profile.customer_id, sealed, read=read)
    words = {(place, key): text.decode() for (place, key, _), text in zip(sealed, texts or (), strict=False)}
    notes = [
        Line(entry.at, entry.kind, entry.actor, words.get((Place.NOTE, entry.pk), "")) for entry in entries
    ]
    person = words.get((Place.PERSON, profile.pk), "")
    comment = words.get((Place.COMMENT, verification.pk), "") if verification else ""
    return Evidence(json.loads(person) if person else {}, comment, notes)


def history(profile: KycProfile) -> list[Line]:
    """Every step of the profile's verifications, newest first; the caller has decided that it may be seen."""
    steps = [
        Line(step.at, f"{row.level}: {step.before} to {step.after}", step.actor, step.why)
        for row in profile.verifications.all()
        for step in row.transitions.all()
    ]
    return sorted(steps, key=lambda line: line.at, reverse=True)


def deliveries(profile: KycProfile, *, limit: int = 50) -> Sequence[WebhookDelivery]:
    """The newest deliveries about the customer, without their bodies."""
    rows = WebhookDelivery.objects.filter(applicant__profile=profile).order_by("-received_at", "-id")
    return list(rows.defer("body")[:limit])


def secrets_of(endpoint_id: UUID, *, provider: str) -> list[bytes] | None:
    """The active secrets of an endpoint of that provider; None where there is no active one."""
    row = WebhookEndpoint.objects.filter(pk=endpoint_id, provider=provider, is_active=True).first()
    if row is None:
        return None
    opened: list[Any] = json.loads(vault.unseal(row.secrets, place=Place.SECRETS, row=row.pk))
    return [str(secret).encode() for secret in opened]


def delivered(delivery_id: UUID, *, actor: Actor, now: datetime) -> tuple[str, bytes] | None:
    """The provider and the exact bytes of a stored delivery, opened by the vault once the event of its
    reading is written; None where it was classified before. Refused: the vault does not open it now.
    """
    row = WebhookDelivery.objects.select_related("endpoint").get(pk=delivery_id)
    if row.state != WebhookDelivery.State.NEW:
        return None
    read = audit.record_read(Event.DELIVERY_READ, row, of=row, actor=actor, now=now, fields=["body"])
    raw = vault.open_delivery(bytes(row.body), bytes(row.key), row=row.pk, read=read)
    return row.endpoint.provider, raw


def applicant(applicant_id: UUID) -> ProviderApplicant:
    """One applicant with its customer; NotFound."""
    row = (
        ProviderApplicant.objects.select_related("profile__customer__identity")
        .filter(pk=applicant_id)
        .first()
    )
    if row is None:
        raise NotFound("There is no such applicant.", target=f"kyc.providerapplicant/{applicant_id}")
    return row


def applicant_named(provider: str, notice: Notice) -> UUID | None:
    """Whom a delivery is about: by the provider's id, or by our own name for someone whose id we lack yet."""
    rows = ProviderApplicant.objects.filter(provider=provider)
    if notice.applicant_id:
        row = rows.filter(applicant_id=notice.applicant_id).first()
        if row is not None:
            return row.pk
    try:
        ours = UUID(notice.external_user_id)
    except ValueError:
        return None
    row = rows.filter(pk=ours, applicant_id="").first()
    return None if row is None else row.pk


def to_reconcile(*, now: datetime) -> list[UUID]:
    """Applicants worth reading again: unsettled, or owed a read, and not read for a while."""
    unsettled = Q(profile__verifications__state__in=[str(state) for state in verifications.UNSETTLED])
    owed = Q(requested_seq__gt=F("applied_seq"))
    stale = Q(last_snapshot_started_at=None) | Q(last_snapshot_started_at__lt=now - RECONCILE_AFTER)
    rows = ProviderApplicant.objects.exclude(applicant_id="").filter(stale).filter(unsettled | owed)
    return list(rows.distinct().order_by("pk").values_list("pk", flat=True)[:RECONCILE_MAX])


def to_expire(*, now: datetime) -> list[UUID]:
    """Approvals whose time is over."""
    rows = Verification.objects.filter(state=State.APPROVED, expires_at__lte=now)
    return list(rows.values_list("pk", flat=True))


def customer_for(customer_id: UUID, *, identity: Identity | None, now: datetime) -> Customer:
    """One customer, for whoever may see cases; NotFound. Whoever shows their name records that first."""
    row = Customer.objects.filter(pk=customer_id).first()
    if row is None or not access.allowed(identity, Permission.SEE_CASES, now):
        raise NotFound("There is no such customer.", target=f"customers.customer/{customer_id}")
    return row


def cases_of(customer_id: UUID) -> QuerySet[Case]:
    """A customer's cases, newest first; the caller has decided that they may be seen."""
    return Case.objects.filter(profile__customer_id=customer_id).order_by("-opened_at", "-id")


def erasures_of(customer_id: UUID) -> QuerySet[Erasure]:
    """What was asked for of this kind, newest first; likewise."""
    rows = Erasure.objects.filter(customer_id=customer_id).select_related("maker", "request")
    return rows.order_by("-requested_at", "-id")


def kept_until(customer_id: UUID) -> datetime | None:
    """Until when the law wants the customer's files; None where nothing was ever booked or approved."""
    booked = Posting.objects.filter(account__owner=customer_id).order_by("-entry__posted_at")
    approved = VerificationTransition.objects.filter(
        verification__profile__customer_id=customer_id, after=State.APPROVED
    ).order_by("-at")
    last = [
        *booked.values_list("entry__posted_at", flat=True)[:1],
        *approved.values_list("at", flat=True)[:1],
    ]
    return erasures.kept_until(max(last, default=None), years=settings.CUSTOMER_FILES_KEPT_YEARS)


def in_the_way(customer_id: UUID, *, basis: erasures.Basis, now: datetime) -> list[str]:
    """What forbids to erase the customer on that basis now, in words; nothing where nothing does.

    What a withdrawal under way takes is still on an account, and held there.
    """
    if Erasure.objects.filter(customer_id=customer_id, state=erasures.State.ERASED).exists():
        return ["the customer was erased before"]
    accounts = Account.objects.filter(owner=customer_id).exclude(units=0, held=0).order_by("kind", "asset")
    found = [
        f"{row.kind.replace('_', ' ')} holds {ledger.balance(row).posted} {row.asset}" for row in accounts
    ]
    if any(row.held for row in accounts):
        found.append("a withdrawal or order is under way")
    found += [
        f"the account is frozen: {row.reason}" for row in freezes.covering(scopes.customer(customer_id))
    ]
    kinds = cases_of(customer_id).filter(closed_at=None).values_list("kind", flat=True)
    found += [f"a case is open: {kind.replace('_', ' ')}" for kind in kinds]
    until = kept_until(customer_id)
    if until is not None and erasures.must_keep(basis, until, now=now):
        found.append(f"the law wants the files until {until:%Y-%m-%d}")
    return found


def erasure_waits(erasure_id: UUID, *, now: datetime) -> list[str]:
    """What keeps an approved erasure from being carried out now; nothing where it is over, too."""
    row = Erasure.objects.filter(pk=erasure_id, state=erasures.State.APPROVED).first()
    return [] if row is None else in_the_way(row.customer_id, basis=erasures.Basis(row.basis), now=now)
