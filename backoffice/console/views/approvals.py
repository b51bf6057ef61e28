"""Requests for approval: what is asked in decoded form, who has answered, the way to the approver."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect, render

from backoffice.console import frame, payloads, reading
from core import access, clock
from core.access.models import Identity
from core.access.requirement import demanded
from core.approvals import actions, asking, interests, kinds, queries
from core.approvals.domain.requests import State
from core.approvals.events import Event
from core.approvals.haste import any_in_haste
from core.approvals.lacks import Lack, givers, lacks_of
from core.approvals.models import ApprovalRequest
from core.approvals.signed import Signed
from core.approvals.standing import standing_of
from core.refusals import Refused
from custody import confirming
from custody import queries as custody
from custody.models import SignerOrder
from kernel import canonical, encodings
from kernel.approval import Verb

FIELDS: Final = {
    "verb": "Verb",
    "reason": "Reason",
    "credential_id": "Passkey",
    "authenticator_data": "Authenticator data",
    "client_data": "Client data",
    "signature": "Signature",
    "confirmation": "Offline decoder’s confirmation",
}
"""What an answer from the approver page consists of."""


class Unreadable(Refused):
    """The answer that was handed in is no answer."""

    code = "console.unreadable_answer"
    status = 422


def index(request: frame.StaffRequest) -> HttpResponse:
    """Every open request: those that this person can answer first."""
    now = clock.now()
    mine = queries.needs_me(request.identity, now=now)
    known = {row.pk for row in mine}
    rows = queries.open_requests(identity=request.identity, now=now)[:200]
    others = [row for row in rows if row.pk not in known]
    stalled = _stalled(request.identity, now)
    values = {
        "mine": mine,
        "others": others,
        "stalled": stalled,
        "drafts": asking.drafts([*mine, *others]),
        "lacks": lacks_of([*mine, *others, *stalled], now),
    }
    return frame.page(request, "console/approvals.html", values, now=now)


def show(request: frame.StaffRequest, request_id: UUID, refusal: Refused | None = None) -> HttpResponse:
    """One request, as what you see is what you sign."""
    now = clock.now()
    if custody.orders_for(identity=request.identity, now=now).filter(pk=request_id).exists():
        # The approver page comes back here for everything; a stop has no request, and a page of its own.
        return redirect("signer_order", request_id)
    row = queries.request_for(request_id, identity=request.identity, now=now)
    is_maker, is_draft = row.maker_id == request.identity.pk, asking.is_draft(row)
    standing = standing_of(row, now)
    answers = list(row.signatures.select_related("officer", "credential").order_by("signed_at", "id"))
    lack = _lack(row, now)
    left = givers(row, lack.missing, now=now) if lack and row.state == State.OPEN else []
    quorum = {
        "row": row,
        "seats": _seats(row, standing.counted),
        "answers": [(answer, lack.lost.get(answer.pk) if lack else None) for answer in answers],
        "lack": lack,
        "givers": _either(left),
        "is_enough": lack is None or len(left) >= sum(lack.missing.values()),
        "hasty": any_in_haste(answers),
        "is_draft": is_draft,
        "askers": _askers(row),
        "about": payloads.address_of(row.subject),
        "now": now,
    }
    if reading.is_poll(request):
        return render(request, "console/quorum.html", quorum)
    _record_read(request, row, now=now)
    why_not = _why_not(row, request.identity, now, is_draft=is_draft)
    values = {
        **quorum,
        "kind": kinds.named(row.kind),
        "act": payloads.read(bytes(row.payload)),
        "outlook": custody.outlook_of(row) if row.state in (State.OPEN, State.APPROVED) else None,
        "payload_text": bytes(row.payload).decode(errors="replace"),
        "answer_fields": FIELDS.items(),
        "confirms": is_confirmed(row) and not is_maker,
        "why_not": why_not,
        "approver": link(row, asks=is_maker) if why_not is None else "",
        "is_maker": is_maker,
    }
    return frame.page(request, "console/approval.html", values, refusal=refusal, now=now)


def document(request: frame.StaffRequest, request_id: UUID) -> HttpResponse:
    """The same for programs that sign: the exact bytes, and what else the statement binds."""
    now = clock.now()
    row = queries.request_for(request_id, identity=request.identity, now=now)
    _record_read(request, row, now=now)
    return JsonResponse(
        {
            "id": str(row.pk),
            "kind": row.kind,
            "state": row.state,
            "deployment": row.deployment,
            "nonce": bytes(row.nonce).hex(),
            "payload": encodings.base64url(bytes(row.payload)),
            "digest": bytes(row.digest).hex(),
            "confirm": is_confirmed(row),
            "subject": row.subject,
            "maker": str(row.maker_id),
            "teams": row.teams,
            "approve_by": row.approve_by,
            "signatures": [
                {"officer": str(answer.officer_id), "verb": answer.verb} for answer in row.signatures.all()
            ],
        }
    )


def sign(request: frame.StaffRequest, request_id: UUID) -> HttpResponse:
    """Hand in an answer from the approver page."""
    try:
        signed = answer_in(request.POST)
        if signed.verb is not Verb.REJECT:
            asked = queries.request_for(request_id, identity=request.identity, now=clock.now())
            demanded(request, kinds.named(asked.kind).permission, now=clock.now())
        take = actions.submit_ask if signed.verb is Verb.ASK else actions.submit_signature
        row = take(request_id=request_id, signed=signed, actor=request.actor, now=clock.now())
    except Refused as refusal:
        return show(request, request_id, refusal)
    if signed.verb is Verb.ASK:
        messages.success(request, "It is recorded that you ask for this. Others can answer now.")
    else:
        said = {"reject": "rejection", "release": "release"}.get(signed.verb, "approval")
        messages.success(request, f"Your {said} is recorded. The request is {row.state} now.")
    return redirect("approval", request_id)


def take_back(request: frame.StaffRequest, request_id: UUID) -> HttpResponse:
    """The maker takes the request back."""
    reason = request.POST.get("reason", "")
    try:
        actions.withdraw_request(request_id=request_id, reason=reason, actor=request.actor, now=clock.now())
    except Refused as refusal:
        return show(request, request_id, refusal)
    messages.success(request, "The request is taken back. Nothing of it will happen.")
    return redirect("approval", request_id)


def link(row: ApprovalRequest | SignerOrder, *, asks: bool = False) -> str:
    """The approver page with this request in the fragment, which no server on the way gets to see.

    There its maker is asked whether they ask for it, and everybody else whether they agree.
    """
    confirms = isinstance(row, ApprovalRequest) and is_confirmed(row) and not asks
    asked = {
        "asks": "yes" if asks else "no",
        "confirm": "yes" if confirms else "no",
        "deployment": settings.DEPLOYMENT,
        "kind": row.kind,
        "nonce": bytes(row.nonce).hex(),
        "payload": encodings.base64url(bytes(row.payload)),
        "request": str(row.pk),
        "return": settings.CONSOLE_ORIGIN,
    }
    return f"{settings.APPROVER_ORIGIN}/#{encodings.base64url(canonical.encode(asked))}"


def is_confirmed(row: ApprovalRequest) -> bool:
    """Whether agreeing to this request takes an offline decoder as well."""
    return kinds.named(row.kind).confirms is not kinds.no_confirmation and confirming.is_needed(row)


def answer_in(fields: Mapping[str, str]) -> Signed:
    """The answer that the approver page put into the form; Unreadable where it is none."""
    try:
        return Signed.from_fields(**{name: fields.get(name, "") for name in FIELDS})
    except ValueError as error:
        raise Unreadable(
            "Nothing was recorded: this is no answer from the approver page. Open it again from here."
        ) from error


def _record_read(request: frame.StaffRequest, row: ApprovalRequest, *, now: datetime) -> None:
    """A payload names the person whom it is about."""
    person, fields = payloads.person_in(bytes(row.payload))
    if person:
        reading.person(request, Event.READ, row, person, fields, now=now)


def _why_not(row: ApprovalRequest, identity: Identity, now: datetime, *, is_draft: bool) -> str | None:
    """Why this person is not asked to sign; None where they are. The action decides again for itself."""
    if row.state != State.OPEN or (row.approve_by is not None and row.approve_by <= now):
        return "No more answers are taken."
    if row.maker_id == identity.pk and not is_draft:
        return "You made this request, so others must answer it."
    if any(answer.officer_id == identity.pk for answer in row.signatures.all()):
        return "You have answered already."
    if is_draft:
        if row.maker_id == identity.pk:
            return None
        return "Nobody can answer before its maker has asked for it."
    if not access.allowed(identity, kinds.named(row.kind).permission, now):
        return "Your role does not sign requests of this kind."
    if not access.teams_of(identity, now) & row.teams.keys():
        return "You stand in no team that this request asks for."
    if interests.in_request(row, identity):
        return "This is about an account of your own, so others must answer it."
    return kinds.named(row.kind).conflict(row, identity)


def _lack(row: ApprovalRequest, now: datetime) -> Lack | None:
    """Which answers count no longer, while that still matters to somebody."""
    if row.state not in (State.OPEN, State.APPROVED) and custody.waiting_for(row) is None:
        return None
    return lacks_of([row], now).get(row.pk)


def _either(names: list[str]) -> str:
    """These people, as a sentence says who may; nobody: empty."""
    *first, last = names or [""]
    return f"{', '.join(first)} or {last}" if first else last


def _stalled(identity: Identity, now: datetime) -> list[ApprovalRequest]:
    """Approved once, and waiting while too few stand behind it, for whoever may see requests."""
    approved = list(queries.approved_requests(identity=identity, now=now)[:200])
    lacks = lacks_of(approved, now)
    used_up = [owner.request for owner, _ in custody.bereft(now=now) if owner.request is not None]
    found = {row.pk: row for row in [*used_up, *(row for row in approved if row.pk in lacks)]}
    return sorted(found.values(), key=lambda row: (row.execute_by or now, row.pk))


def _askers(row: ApprovalRequest) -> custody.Askers | None:
    """Who may ask instead, where signers will not take it from its maker; None for all else."""
    if not kinds.named(row.kind).asks or row.state not in (State.OPEN, State.APPROVED):
        return None
    return custody.askers_without(row.maker_id)


def _seats(row: ApprovalRequest, counted: Mapping[str, str]) -> list[dict[str, str]]:
    """The quorum as seats: which team each belongs to, and who has taken it."""
    names = {str(answer.officer_id): answer.officer.display_name for answer in row.signatures.all()}
    seats = []
    for team, needed in sorted(row.teams.items()):
        taken = [names.get(officer, "") for officer, their in counted.items() if their == team]
        seats += [
            {"team": team, "officer": taken[place] if place < len(taken) else ""} for place in range(needed)
        ]
    return seats
