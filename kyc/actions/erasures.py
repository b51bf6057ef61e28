"""Erasing a customer: one officer asks, others sign, and a worker destroys what can be destroyed, once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction

from core import approvals, audit, outbox
from core.access.models import Identity
from core.action import action
from core.actor import Actor
from core.approvals.models import ApprovalRequest
from core.audit import subjects
from core.ledger.models import Account
from core.refusals import Conflict, NotFound, Refused
from customers.actions import close_account
from customers.models import Customer
from kernel import canonical
from kyc import locks, queries
from kyc.actions.transitions import move, settle_tier
from kyc.domain import erasures, verifications
from kyc.domain.erasures import KIND, Basis, State
from kyc.domain.verifications import State as VerificationState
from kyc.events import ErasureMoved, Event
from kyc.models import Erasure, KycProfile, ProviderApplicant

APPROVE_WITHIN: Final = timedelta(days=1)
EXECUTE_WITHIN: Final = timedelta(days=1)
TEAMS: Final = {"officers": 2}
"""It cannot be undone: two officers besides whoever asks."""


class NoReason(Refused):
    """An erasure is asked for with its reason."""

    code = "kyc.erasure.no_reason"
    status = 422


class InTheWay(Refused):
    """Something forbids it now."""

    code = "kyc.erasure.in_the_way"


@action(Event.ERASURE_REQUESTED)
def request_erasure(
    *, customer_id: UUID, basis: Basis, reason: str, officer: Identity, actor: Actor, now: datetime
) -> Erasure:
    """Put a customer's erasure before other officers; InTheWay where it could not be carried out now.

    The reason stays after the person is gone, in the log and with what was signed: it says nothing of them.
    """
    name = _name(customer_id)
    if not Customer.objects.filter(pk=customer_id).exists():
        raise NotFound("There is no such customer.", target=name)
    if not reason.strip():
        raise NoReason("Nothing was asked: write the reason first.", target=name)
    _check(customer_id, basis, "Nothing was asked", now=now)
    row = Erasure(
        customer_id=customer_id, basis=basis.value, reason=reason.strip(), maker=officer, requested_at=now
    )

    def payload(life: timedelta) -> Mapping[str, canonical.Value]:
        return erasures.Proposal(
            deployment=settings.DEPLOYMENT,
            erasure=row.pk,
            customer=customer_id,
            basis=basis,
            kept_until=queries.kept_until(customer_id),
            reason=row.reason,
            maker=officer.pk,
            expires=now + life,
        ).payload()

    request = approvals.open(
        KIND,
        payload,
        maker=officer,
        teams=TEAMS,
        subject=name,
        actor=actor,
        now=now,
        facts={"customer": str(customer_id), "basis": basis.value},
    )
    row.request_id = request.pk
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError as error:
        raise Conflict("Nothing was asked: an erasure is under way.", target=name) from error
    after = {"basis": basis, "request": request.pk, "digest": request.digest}
    audit.record(
        Event.ERASURE_REQUESTED, _name(customer_id), actor=actor, now=now, after=after, reason=row.reason
    )
    return row


def on_approved(request: ApprovalRequest, *, actor: Actor, now: datetime) -> Erasure:
    """Note the quorum's yes, in the transaction of the deciding signature. What is in the way by now undoes
    that signature: nobody agrees to what cannot be done.
    """
    row = _of(request)
    _check(row.customer_id, Basis(row.basis), "Your answer was not recorded", now=now)
    _step(row, State.APPROVED, event=Event.ERASURE_APPROVED, actor=actor, now=now)
    outbox.publish(ErasureMoved(erasure=row.pk, state=row.state), now=now)
    return row


def on_rejected(request: ApprovalRequest, *, actor: Actor, now: datetime) -> Erasure:
    """Carry a no into the row, or that its maker took it back."""
    row = _of(request)
    _step(row, State.REJECTED, event=Event.ERASURE_REJECTED, actor=actor, now=now)
    return row


def on_expired(request: ApprovalRequest, *, actor: Actor, now: datetime) -> Erasure:
    """Likewise of silence, or of an approval that could not be carried out in time."""
    row = _of(request)
    _step(row, State.EXPIRED, event=Event.ERASURE_EXPIRED, actor=actor, now=now)
    return row


@action(Event.ERASURE_CARRIED_OUT)
def carry_out_erasure(*, erasure_id: UUID, actor: Actor, now: datetime) -> bool:
    """Destroy what an erasure destroys, all at once; whether this call did. Only a worker's role can.

    InTheWay while something forbids it by now: it is tried again until its approval ends. What was done is
    never done twice, and a worker that ends in between has done nothing.
    """
    known = Erasure.objects.select_related("request").get(pk=erasure_id)
    request = ApprovalRequest.objects.select_for_update(no_key=True).get(pk=known.request_id)
    row = locks.erasure(erasure_id)
    if row.state != State.APPROVED:
        return False
    profile = KycProfile.objects.filter(customer_id=row.customer_id).values_list("pk", flat=True).first()
    locked = None if profile is None else locks.profile(profile)
    close_account(customer_id=row.customer_id, now=now)
    # Nothing is booked beside it: what arrives after the look below arrives on an account that is erased.
    list(Account.objects.select_for_update().filter(owner=row.customer_id).order_by("pk"))
    _check(row.customer_id, Basis(row.basis), "Nothing was erased", now=now)
    approvals.consume(request, now=now)
    if locked is not None:
        _empty(locked, actor=actor, now=now)
    subjects.destroy(_name(row.customer_id), now=now)
    _step(row, State.ERASED, event=Event.ERASURE_CARRIED_OUT, actor=actor, now=now, erased_at=now)
    return True


def _empty(profile: KycProfile, *, actor: Actor, now: datetime) -> None:
    """What verifications say in the clear goes, and each of them ends; what is sealed goes with its key."""
    for row in profile.verifications.select_for_update(no_key=True).order_by("pk"):
        row.profile = profile
        if verifications.may_move(VerificationState(row.state), VerificationState.ERASED):
            move(row, VerificationState.ERASED, cause="officers", why="erased", actor=actor, now=now)
    profile.verifications.update(labels=[], message="", comment=None)
    ProviderApplicant.objects.filter(profile=profile).update(
        sdk_token=None, sdk_token_level="", sdk_token_until=None
    )
    profile.person, profile.officers_rank = None, 0
    profile.save(update_fields=["person", "officers_rank"])
    settle_tier(profile, why="erased", actor=actor, now=now)


def _check(customer_id: UUID, basis: Basis, undone: str, *, now: datetime) -> None:
    found = queries.in_the_way(customer_id, basis=basis, now=now)
    if found:
        raise InTheWay(f"{undone}: {'; '.join(found)}.", target=_name(customer_id))


def _of(request: ApprovalRequest) -> Erasure:
    erasure, _ = erasures.named(bytes(request.payload))
    return locks.erasure(erasure)


def _step(
    row: Erasure, state: State, *, event: Event, actor: Actor, now: datetime, **changes: datetime
) -> None:
    """One step of the table, by compare-and-swap, and its event."""
    before = State(row.state)
    if state not in erasures.NEXT[before]:
        raise Conflict(f"The erasure is {before}; look at it again.", target=_name(row.customer_id))
    Erasure.objects.filter(pk=row.pk, state=before).update(state=state, **changes)
    row.state = state
    audit.record(
        event,
        _name(row.customer_id),
        actor=actor,
        now=now,
        before={"state": before},
        after={"state": state, "request": row.request_id, "basis": row.basis},
    )


def _name(customer_id: UUID) -> str:
    """The customer's name in the log, which is also that of their key."""
    return f"customers.customer/{customer_id}"
