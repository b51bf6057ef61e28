"""Reads: requests for the people who may see them, and signatures for those who check them."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from core.access import rights
from core.access.models import Identity
from core.approvals import asking, kinds
from core.approvals.domain.requests import State
from core.approvals.expiry import DUE, DatabaseClock
from core.approvals.models import ApprovalRequest, ApprovalSignature
from core.approvals.permissions import Permission
from core.approvals.standing import standings_of
from core.refusals import NotFound
from kernel.approval import SignedApproval, Verb
from kernel.quorum import Standing
from kernel.webauthn import Assertion


def signatures(request: ApprovalRequest) -> list[dict[str, Any]]:
    """The maker's own signature and the agreeing ones in the form that signers take; no rejections."""
    rows = request.signatures.filter(verb__in=[Verb.ASK, request.agreeing]).order_by("signed_at", "id")
    return [_as_json(request, row) for row in rows]


def request_for(request_id: UUID, *, identity: Identity | None, now: datetime) -> ApprovalRequest:
    """One request, for whoever may see requests or sign this kind; NotFound for everybody else."""
    row = (
        ApprovalRequest.objects.select_related("maker")
        .prefetch_related("signatures__officer", "signatures__credential")
        .filter(pk=request_id)
        .first()
    )
    held = rights.powers(identity, now)
    if row is None or held.isdisjoint({str(Permission.SEE_REQUESTS), kinds.named(row.kind).permission}):
        raise NotFound(
            "There is no such request for approval.", target=f"approvals.approvalrequest/{request_id}"
        )
    return row


def open_requests(*, identity: Identity | None, now: datetime) -> QuerySet[ApprovalRequest]:
    """Everything that waits, oldest deadline first, for whoever may see requests; nothing for the rest."""
    rows = ApprovalRequest.objects.select_related("maker").order_by("approve_by", "id")
    if str(Permission.SEE_REQUESTS) not in rights.powers(identity, now):
        return rows.none()
    return rows.filter(state=State.OPEN, approve_by__gt=DatabaseClock())


def approved_requests(*, identity: Identity | None, now: datetime) -> QuerySet[ApprovalRequest]:
    """Everything that is approved and not acted upon yet, likewise."""
    rows = ApprovalRequest.objects.select_related("maker").order_by("execute_by", "id")
    if str(Permission.SEE_REQUESTS) not in rights.powers(identity, now):
        return rows.none()
    return rows.filter(state=State.APPROVED)


def about(subject: str) -> QuerySet[ApprovalRequest]:
    """The requests about one row, newest first; the caller has already decided that the row may be seen."""
    return (
        ApprovalRequest.objects.filter(subject=subject).select_related("maker").order_by("-opened_at", "-id")
    )


def overdue(*, limit: int = 100) -> list[UUID]:
    """Requests whose deadline has passed and that nobody has closed yet, the oldest first."""
    rows = ApprovalRequest.objects.filter(DUE).order_by("opened_at")
    return list(rows.values_list("pk", flat=True)[:limit])


def needs_me(identity: Identity | None, *, now: datetime) -> list[ApprovalRequest]:
    """The requests on which this person's signature would count now, oldest deadline first: those that they
    can answer, and their own that they have not asked for yet.
    """
    if identity is None:
        return []
    held, teams = rights.powers(identity, now), rights.teams_of(identity, now)
    mine = [name for name, kind in kinds.registered().items() if kind.permission in held]
    rows = (
        ApprovalRequest.objects.select_related("maker")
        .filter(Q(kind__in=mine) | Q(maker=identity), state=State.OPEN, approve_by__gt=DatabaseClock())
        .exclude(signatures__officer=identity)
        .order_by("approve_by", "id")
    )
    waiting = list(rows)
    unasked, standings = asking.drafts(waiting), standings_of(waiting, now)
    return [
        row
        for row in waiting
        if (row.pk in unasked if row.maker_id == identity.pk else row.pk not in unasked)
        and (row.maker_id == identity.pk or teams & _missing(standings[row.pk]))
        and (row.maker_id == identity.pk or kinds.named(row.kind).conflict(row, identity) is None)
    ]


def _missing(standing: Standing) -> set[str]:
    return {team for team, count in standing.missing.items() if count}


def _as_json(request: ApprovalRequest, row: ApprovalSignature) -> dict[str, Any]:
    approval = SignedApproval(
        officer=str(row.officer_id),
        verb=Verb(row.verb),
        nonce=bytes(request.nonce),
        assertion=Assertion(
            authenticator_data=bytes(row.authenticator_data),
            client_data=bytes(row.client_data),
            signature=bytes(row.signature),
        ),
        confirmation=bytes(row.confirmation),
    )
    return dict(approval.as_json())
