"""Changing the policy: a draft, its back-test, its publication under a quorum of its own."""

from __future__ import annotations

import json
import time
from datetime import datetime
from typing import Final
from uuid import UUID

from django.conf import settings

from core import audit
from core.access import rights
from core.access.models import Identity
from core.access.roles import TEAMS
from core.action import action
from core.actor import Actor
from core.approvals import kinds, opening, policies
from core.approvals.backtesting import backtest
from core.approvals.domain.drafts import NEXT, State
from core.approvals.domain.faults import fault
from core.approvals.events import Event
from core.approvals.kinds import Kind
from core.approvals.models import ApprovalPolicy, ApprovalRequest, PolicyDraft
from core.approvals.permissions import Permission
from core.refusals import Conflict, NotAllowed, NotFound, Refused
from kernel import canonical
from kernel.policy import BadPolicy, Policy

NAME: Final = "approvals.policy"
QUORUM: Final = {"compliance": 1, "treasury": 1}
BACKTEST_MAX: Final = 1000
BACKTEST_S: Final = 10.0
"""No officer's draft holds the database for longer: a request to the console ends soon after, too."""
WINDOWS_MAX: Final = 32
"""Each is summed for each act, here and whenever somebody asks for something."""


class BadDraft(Refused):
    """The text is no policy; the sentence says where."""

    code = "policy.bad_draft"
    status = 422


class NotTested(Refused):
    """Nobody has seen yet how the draft would have judged."""

    code = "policy.not_tested"


class Overtaken(Conflict):
    """Another version was published since."""

    code = "policy.overtaken"


class ReasonMissing(Refused):
    """A change of the policy says why."""

    code = "policy.reason_missing"
    status = 422


@action(Event.POLICY_DRAFTED)
def save_draft(*, draft_id: UUID | None, text: str, actor: Actor, now: datetime) -> PolicyDraft:
    """Keep a draft of the next version; `text` is the JSON of its rules and windows.

    BadDraft says what is wrong with it. A changed draft has to be tested again.
    """
    maker = _entitled(actor, now, target=NAME)
    document = _document(text)
    if draft_id is None:
        row = PolicyDraft.objects.create(document=document, maker=maker, changed_at=now)
    else:
        row = _own(draft_id, maker)
        row.document, row.backtest, row.changed_at = document, None, now
        row.save(update_fields=["document", "backtest", "changed_at"])
    audit.record(
        Event.POLICY_DRAFTED, row, actor=actor, now=now, after={"digest": canonical.digest(document)}
    )
    return row


@action(Event.POLICY_TESTED)
def run_backtest(*, draft_id: UUID, count: int, actor: Actor, now: datetime) -> PolicyDraft:
    """Judge the last `count` requests again by the draft, as far as time allows, and keep what would have
    changed.
    """
    maker = _entitled(actor, now, target=NAME)
    row = _own(draft_id, maker)
    until = time.monotonic() + BACKTEST_S
    row.backtest = backtest(
        row.parsed, count=max(1, min(count, BACKTEST_MAX)), enough=lambda: time.monotonic() > until
    )
    row.save(update_fields=["backtest"])
    audit.record(Event.POLICY_TESTED, row, actor=actor, now=now, after={"totals": row.backtest["totals"]})
    return row


@action(Event.POLICY_ASKED)
def ask_publication(*, draft_id: UUID, reason: str, actor: Actor, now: datetime) -> ApprovalRequest:
    """Put the draft before its quorum: the whole document, and the digest of its back-test."""
    maker = _entitled(actor, now, target=NAME)
    row = _own(draft_id, maker)
    if not reason.strip():
        raise ReasonMissing("Nothing was asked: say why the policy should change.", target=_name(row))
    if row.backtest is None or (not row.backtest["judged"] and row.backtest.get("left_out")):
        raise NotTested(
            "Nothing was asked: run the back-test first, on the draft as it is.", target=_name(row)
        )
    version = _next(row)
    payload: dict[str, canonical.Value] = {
        "v": 1,
        "kind": NAME,
        "deployment": settings.DEPLOYMENT,
        "maker": str(maker.pk),
        "version": version,
        "document": bytes(row.document).decode(),
        "backtest": canonical.digest(canonical.encode(row.backtest)).hex(),
        "reason": reason.strip()[:500],
    }
    request = opening.open(KIND, payload, maker=maker, teams=QUORUM, subject=NAME, actor=actor, now=now)
    _move(row, State.ASKED, request=request)
    audit.record(
        Event.POLICY_ASKED,
        row,
        actor=actor,
        now=now,
        before={"state": State.DRAFT},
        after={"state": row.state, "request": request.pk, "version": version},
        reason=reason.strip(),
    )
    return request


@action(Event.POLICY_DROPPED)
def drop_draft(*, draft_id: UUID, actor: Actor, now: datetime) -> PolicyDraft:
    """Put a draft away."""
    row = _own(draft_id, _entitled(actor, now, target=NAME))
    _move(row, State.DROPPED)
    audit.record(
        Event.POLICY_DROPPED,
        row,
        actor=actor,
        now=now,
        before={"state": State.DRAFT},
        after={"state": row.state},
    )
    return row


def _publish(request: ApprovalRequest, *, actor: Actor, now: datetime) -> None:
    """Bring the version into force, in the transaction of the deciding signature."""
    row = _asked(request)
    policies.publish_alone()
    version = _next(row)
    opening.consume(request, now=now)
    ApprovalPolicy.objects.create(
        version=version, document=bytes(row.document), request=request, published_at=now
    )
    _move(row, State.PUBLISHED)
    audit.record(
        Event.POLICY_PUBLISHED,
        f"approvals.approvalpolicy/{version}",
        actor=actor,
        now=now,
        after={"request": request.pk, "digest": canonical.digest(bytes(row.document))},
    )


def _refuse(request: ApprovalRequest, *, actor: Actor, now: datetime) -> None:
    row = _asked(request)
    _move(row, State.REJECTED)
    audit.record(
        Event.POLICY_REJECTED,
        row,
        actor=actor,
        now=now,
        before={"state": State.ASKED},
        after={"state": row.state},
    )


def _document(text: str) -> bytes:
    """The canonical bytes of a draft, under the next version; BadDraft."""
    try:
        members = json.loads(text)
        if not isinstance(members, dict):
            raise BadPolicy("a policy is an object with rules, and may have windows")
        document = canonical.encode({**members, "v": 1, "version": policies.in_force().version + 1})
        policy = Policy.parse(document)
        rules = (*policy.rules, *(window.rule for window in policy.windows))
        unknown = {team for rule in rules for team in rule.teams} - TEAMS.keys()
        terms = {name: policies.terms(kind) for name, kind in kinds.registered().items()}
        if found := fault(policy, terms):
            raise BadPolicy(found)
        if len(policy.windows) > WINDOWS_MAX:
            raise BadPolicy(f"a policy has at most {WINDOWS_MAX} windows")
    except (BadPolicy, canonical.NotCanonical, ValueError, RecursionError) as error:
        raise BadDraft(f"Nothing was kept: {error}.", target=NAME) from error
    if unknown:
        raise BadDraft(f"Nothing was kept: there is no team {', '.join(sorted(unknown))}.", target=NAME)
    return document


def _entitled(actor: Actor, now: datetime, *, target: str) -> Identity:
    officer = rights.officer_behind(actor)
    if officer is None or not rights.allowed(officer, Permission.PROPOSE_POLICY, now):
        raise NotAllowed("Your role does not change the policy; nothing was changed.", target=target)
    return officer


def _own(draft_id: UUID, maker: Identity) -> PolicyDraft:
    """The maker's own draft, locked, while it can be changed."""
    row = PolicyDraft.objects.select_for_update(no_key=True).filter(pk=draft_id, maker=maker).first()
    if row is None:
        raise NotFound("There is no such draft of yours.", target=f"approvals.policydraft/{draft_id}")
    if row.state != State.DRAFT:
        raise Conflict(f"The draft is {row.state}; begin another.", target=_name(row))
    return row


def _asked(request: ApprovalRequest) -> PolicyDraft:
    return PolicyDraft.objects.select_for_update(no_key=True).get(request=request)


def _next(row: PolicyDraft) -> int:
    """The version that the draft's document names, if it still is the next one."""
    version = row.parsed.version
    if version != policies.in_force().version + 1:
        raise Overtaken(
            "Another version was published since this draft was made: compare, and draft it anew.",
            target=_name(row),
        )
    return version


def _move(row: PolicyDraft, state: State, **changes: object) -> None:
    before = State(row.state)
    if state not in NEXT[before]:
        raise Conflict(f"The draft is {before}; it cannot become {state}.", target=_name(row))
    moved = PolicyDraft.objects.filter(pk=row.pk, state=before).update(state=state, **changes)
    if not moved:
        raise Conflict("The draft moved on meanwhile; look at it again.", target=_name(row))
    row.state = state


def _name(row: PolicyDraft) -> str:
    return f"approvals.policydraft/{row.pk}"


KIND: Final = Kind(
    name=NAME,
    permission=Permission.APPROVE_POLICY,
    on_approved=_publish,
    on_rejected=_refuse,
    on_expired=_refuse,
    title="New policy",
    floor=QUORUM,
    fixed="otherwise a version could forbid every later one, and nobody could mend it",
)
