"""Starting a verification, finishing the customer's part of it, and letting an old one run out."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from core import audit, freezes, outbox
from core.action import action
from core.actor import Actor
from core.freezes.domain import scopes
from core.refusals import NotFound, Refused
from customers.models import Customer
from kyc import locks
from kyc.actions.transitions import move, settle_tier
from kyc.domain import tiers, verifications
from kyc.domain.tiers import Level
from kyc.domain.verifications import State
from kyc.events import AccessWanted, CaptureFinished, Event
from kyc.models import KycProfile, Provider, ProviderApplicant, Verification

BEING_CHECKED: Final = frozenset({State.SUBMITTED, State.ON_HOLD})


class UnknownLevel(Refused):
    """There is no such level at this provider."""

    code = "kyc.unknown_level"
    status = 400


class CountryNotServed(Refused):
    """Nobody from the customer's country is verified."""

    code = "kyc.country_not_served"
    status = 403


class NotOpen(Refused):
    """The verification is over, or people are deciding about it."""

    code = "kyc.not_open"


@action(Event.VERIFICATION_STARTED)
def start_verification(
    *, customer_id: UUID, level: str, provider: str = Provider.SUMSUB, actor: Actor, now: datetime
) -> Verification:
    """The customer's verification at the level, begun. A worker then makes the provider ready for them.

    Asking again is harmless: it brings a new token for the provider's SDK. A frozen customer hands in what
    they were asked for, and begins nothing else.
    """
    known = tiers.LEVELS.get(level)
    if (
        known is None
        or provider not in Provider.values
        or (provider == Provider.ONFIDO and not known.reports)
    ):
        raise UnknownLevel(f"There is no verification level {level!r} at {provider}.")
    profile = _profile(customer_id, now=now)
    if tiers.is_blocked(profile.customer.country):
        raise CountryNotServed("Customers from this country are not served; support can explain why.")
    row, _ = Verification.objects.get_or_create(
        profile=profile, provider=provider, level=level, defaults={"moved_at": now}
    )
    if row.state in verifications.FINAL_NO | {State.ERASED}:
        raise NotOpen(
            "This verification is closed and cannot be started again; support can review it.",
            target=f"kyc.verification/{row.pk}",
        )
    _check_nothing_is_lost(profile, row, known, now=now)
    _check_freeze(profile, row)
    applicant, _ = ProviderApplicant.objects.get_or_create(
        profile=profile, provider=provider, defaults={"level": level}
    )
    audit.record(
        Event.VERIFICATION_STARTED,
        row,
        actor=actor,
        now=now,
        after={"level": level, "provider": provider, "state": row.state},
    )
    outbox.publish(AccessWanted(applicant=applicant.pk, level=level), now=now)
    return row


@action(Event.CHECK_WANTED)
def finish_capture(*, customer_id: UUID, level: str, actor: Actor, now: datetime) -> Verification:
    """The customer has handed everything in at Onfido: have its check started."""
    profile = _profile(customer_id, now=now)
    row = profile.verifications.filter(provider=Provider.ONFIDO, level=level).first()
    applicant = profile.applicants.filter(provider=Provider.ONFIDO).exclude(applicant_id="").first()
    if row is None or applicant is None:
        raise NotFound("No such verification has been started.")
    if row.state not in {State.NOT_STARTED, State.IN_PROGRESS, State.RETRY_REQUIRED, State.EXPIRED}:
        raise NotOpen("This verification is already being checked.", target=f"kyc.verification/{row.pk}")
    _check_freeze(profile, row)
    audit.record(Event.CHECK_WANTED, row, actor=actor, now=now, after={"level": level})
    outbox.publish(CaptureFinished(applicant=applicant.pk, level=level), now=now)
    return row


@action(Event.VERIFICATION_EXPIRED)
def expire_verification(*, verification_id: UUID, actor: Actor, now: datetime) -> Verification:
    """End an approval whose time is over; the customer is asked to verify again."""
    found = Verification.objects.get(pk=verification_id)
    profile = locks.profile(found.profile_id)
    row = Verification.objects.get(pk=verification_id)
    if row.state != State.APPROVED or row.expires_at is None or row.expires_at > now:
        return row
    row.profile = profile
    move(row, State.EXPIRED, cause="expiry", why="its time is over", actor=actor, now=now)
    tier = settle_tier(profile, why="verification expired", actor=actor, now=now)
    audit.record(Event.VERIFICATION_EXPIRED, row, actor=actor, now=now, after={"tier": tier})
    return row


def _check_nothing_is_lost(profile: KycProfile, row: Verification, level: Level, *, now: datetime) -> None:
    """Refuse a start that would move the provider's applicant away from something better or unfinished."""
    for other in profile.verifications.all():
        known = tiers.LEVELS.get(other.level)
        is_valid = other.state == State.APPROVED and (other.expires_at is None or other.expires_at > now)
        if is_valid and known is not None and known.rank >= level.rank:
            raise NotOpen(
                "You are verified at this level or a higher one already.", target=f"kyc.verification/{row.pk}"
            )
        if other.pk != row.pk and other.provider == row.provider and other.state in BEING_CHECKED:
            raise NotOpen(
                "Another level is being checked right now; start this one when that is done.",
                target=f"kyc.verification/{row.pk}",
            )


def _check_freeze(profile: KycProfile, row: Verification) -> None:
    """Nothing, if the customer may go on with this verification; Frozen.

    Officers who look into a frozen account want the documents that they asked for; a higher level is nothing
    that it needs meanwhile.
    """
    if not verifications.is_asked_for(State(row.state), attempt=row.attempt):
        freezes.check(scopes.customer(profile.customer_id))


def _profile(customer_id: UUID, *, now: datetime) -> KycProfile:
    """The customer's profile, made on first use, locked."""
    customer = Customer.objects.filter(pk=customer_id).first()
    if customer is None:
        raise NotFound("There is no such customer.", target=f"customers.customer/{customer_id}")
    made, _ = KycProfile.objects.get_or_create(customer=customer, defaults={"created_at": now})
    return locks.profile(made.pk)
