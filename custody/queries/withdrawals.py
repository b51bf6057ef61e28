"""Reads of withdrawals: by customers of their own, by officers who hold the permission."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Count, F, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from core.access import rights
from core.access.models import Identity
from core.refusals import NotFound
from custody.domain import limits, withdrawals
from custody.domain.withdrawals import State
from custody.models import Beneficiary, TokenSignature, Withdrawal
from custody.permissions import Permission
from custody.queries.approvers import bereft_ids


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a customer may still withdraw, in US cents; `limit` and `left` are None where there is no
    limit.
    """

    tier: int
    limit: int | None
    used: int
    left: int | None


def withdrawals_of(
    customer: UUID,
    *,
    asset: str | None = None,
    client_id: str | None = None,
    states: Collection[State] = (),
    after: datetime | None = None,
    before: datetime | None = None,
    limit: int = 100,
) -> list[Withdrawal]:
    """A customer's own withdrawals, newest first; `after` and `before` bound the time of the request,
    exclusive.
    """
    rows = _full().filter(customer_id=customer)
    if asset is not None:
        rows = rows.filter(asset=asset)
    if client_id is not None:
        rows = rows.filter(client_id=client_id)
    if states:
        rows = rows.filter(state__in=[str(state) for state in states])
    if after is not None:
        rows = rows.filter(requested_at__gt=after)
    if before is not None:
        rows = rows.filter(requested_at__lt=before)
    return list(rows.order_by("-requested_at", "-id")[:limit])


def withdrawal_of(customer: UUID, withdrawal_id: UUID) -> Withdrawal:
    """One of the customer's own withdrawals; NotFound also for somebody else's."""
    return _found(_full().filter(customer_id=customer, pk=withdrawal_id), withdrawal_id)


def withdrawal(withdrawal_id: UUID) -> Withdrawal:
    """One withdrawal, for our own machines; NotFound."""
    return _found(_full().filter(pk=withdrawal_id), withdrawal_id)


def withdrawal_for(withdrawal_id: UUID, *, identity: Identity | None, now: datetime) -> Withdrawal:
    """One withdrawal, for an officer who may see them; NotFound for everybody else."""
    rows = _full() if _may_see(identity, now) else Withdrawal.objects.none()
    return _found(rows.filter(pk=withdrawal_id), withdrawal_id)


def withdrawals_for(
    *, identity: Identity | None, now: datetime, states: Collection[State] = (), customer: UUID | None = None
) -> QuerySet[Withdrawal]:
    """Withdrawals, newest first, for an officer who may see them; none for everybody else. Slice it."""
    rows = _full().order_by("-requested_at", "-id")
    if not _may_see(identity, now):
        return rows.none()
    if states:
        rows = rows.filter(state__in=[str(state) for state in states])
    return rows.filter(customer_id=customer) if customer else rows


def needs_release(*, identity: Identity | None, now: datetime) -> QuerySet[Withdrawal]:
    """Withdrawals on hold that this officer may release, longest waiting first."""
    rows = _full().filter(state=State.ON_HOLD).order_by("requested_at", "id")
    return rows if rights.allowed(identity, Permission.RELEASE_WITHDRAWAL, now) else rows.none()


def needs_care(*, identity: Identity | None, now: datetime) -> QuerySet[Withdrawal]:
    """Withdrawals that no machine moves on: refused by the signers, their coins spent elsewhere, or too few
    left of who approved them.
    """
    rows = withdrawals_for(identity=identity, now=now)
    return rows.filter(
        Q(state__in=[str(State.REFUSED), str(State.CONFLICTED)]) | Q(pk__in=bereft_ids(Withdrawal, now=now))
    )


def terms(asset: str) -> withdrawals.Terms:
    """Minimum, fee and fee cap of an asset; withdrawals.NotWithdrawable where there are none."""
    return withdrawals.terms(asset)


def allowance(customer: UUID, *, tier: int, now: datetime) -> Allowance:
    """The rolling limit of the tier, and how much of it the last 24 hours have used."""
    limit, used = limits.limit_of(tier), used_cents(customer, now=now)
    return Allowance(tier, limit, used, None if limit is None else max(0, limit - used))


def used_cents(customer: UUID, *, now: datetime) -> int:
    """The value of the customer's withdrawals in the window that were paid or still may be."""
    return _worth(Withdrawal.objects.filter(customer_id=customer, requested_at__gt=now - limits.WINDOW))


def used_before(row: Withdrawal) -> int:
    """The same as it was when this one was asked for, without itself."""
    since = row.requested_at - limits.WINDOW
    asked = Withdrawal.objects.filter(customer_id=row.customer_id, requested_at__gt=since)
    return _worth(asked.filter(requested_at__lte=row.requested_at).exclude(pk=row.pk))


def _worth(asked: QuerySet[Withdrawal]) -> int:
    counted = asked.exclude(state__in=[str(state) for state in withdrawals.UNPAID])
    return int(counted.aggregate(total=Sum("value_cents"))["total"] or 0)


def promised_units(asset: str) -> int:
    """What withdrawals that have no transaction yet will take out of the hot wallet."""
    waiting = Withdrawal.objects.filter(asset=asset, state__in=[str(state) for state in withdrawals.PROMISED])
    return int(waiting.aggregate(total=Sum("units"))["total"] or 0)


def overdue_withdrawals(*, now: datetime) -> list[UUID]:
    """Withdrawals that have waited too long for the desk or for coins."""
    expiring = [str(state) for state, following in withdrawals.NEXT.items() if State.EXPIRED in following]
    return list(
        Withdrawal.objects.filter(Q(state__in=expiring), expires_at__lte=now).values_list("pk", flat=True)[
            :100
        ]
    )


def unsignable_withdrawals(*, now: datetime) -> list[UUID]:
    """Withdrawals that were built, and whose approval ran out before a signer was asked; or before enough of
    them signed, for every signer's clock.
    """
    void = now - withdrawals.CLOCKS_DIFFER_MAX
    answers = TokenSignature.objects.filter(payment__withdrawal=OuterRef("pk")).values("payment")
    signed = Subquery(answers.annotate(count=Count("pk")).values("count"))
    short = Withdrawal.objects.annotate(signed=Coalesce(signed, 0)).filter(
        state=State.SIGNING, expires_at__lte=void, signed__lt=F("payment__wallet__threshold")
    )
    unasked = Withdrawal.objects.filter(state=State.BUILT, expires_at__lte=now)
    return [*unasked.values_list("pk", flat=True)[:100], *short.values_list("pk", flat=True)[:100]]


def lapsed_offers(*, now: datetime) -> list[UUID]:
    """Withdrawals that the signers' lane was offered, and that no signer takes any more by any clock."""
    lapsed = Withdrawal.objects.filter(
        state=State.OFFERED, expires_at__lte=now - withdrawals.CLOCKS_DIFFER_MAX
    )
    return list(lapsed.values_list("pk", flat=True)[:100])


def beneficiaries_of(customer: UUID) -> list[Beneficiary]:
    """The destinations that the customer has named."""
    return list(Beneficiary.objects.filter(customer_id=customer).order_by("label", "id"))


def _may_see(identity: Identity | None, now: datetime) -> bool:
    return rights.allowed(identity, Permission.SEE_WITHDRAWALS, now)


def _full() -> QuerySet[Withdrawal]:
    return Withdrawal.objects.select_related(
        "customer__identity", "beneficiary", "maker", "request", "waiver", "payment__wallet"
    )


def _found(rows: QuerySet[Withdrawal], withdrawal_id: UUID) -> Withdrawal:
    row = rows.first()
    if row is None:
        raise NotFound("There is no such withdrawal.", target=f"custody.withdrawal/{withdrawal_id}")
    return row
