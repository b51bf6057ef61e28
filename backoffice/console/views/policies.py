"""The policy: what is in force, drafts of the next version, their back-tests."""

from __future__ import annotations

import json
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect

from backoffice.console import frame
from core import access, clock
from core.approvals import reach
from core.approvals.actions import policies as actions
from core.approvals.domain.drafts import State
from core.approvals.domain.policies import described, differences, summed
from core.approvals.models import ApprovalPolicy, PolicyDraft
from core.approvals.permissions import Permission
from core.approvals.policies import in_force
from core.refusals import NotFound, Refused

SHOWN_MAX: Final = 50
ORDER: Final = (
    "name",
    "when",
    "sum",
    "per",
    "seconds",
    "at_most",
    "teams",
    "rejections",
    "deny",
    "unattended",
)


def index(request: frame.StaffRequest, refusal: Refused | None = None) -> HttpResponse:
    """The version in force in words, the versions before it, drafts, and the form for another."""
    now = clock.now()
    current = in_force()
    values = {
        "current": current,
        "rules": [(rule.name, described(rule)) for rule in current.parsed.rules],
        "windows": [(window.rule.name, summed(window)) for window in current.parsed.windows],
        "versions": ApprovalPolicy.objects.select_related("request").order_by("-version")[:SHOWN_MAX],
        "drafts": PolicyDraft.objects.select_related("maker").order_by("-changed_at")[:SHOWN_MAX],
        "kinds": reach.of_kinds(current.parsed),
        "text": request.POST.get("text") or _text(bytes(current.document)),
        "may_propose": access.allowed(request.identity, Permission.PROPOSE_POLICY, now),
    }
    return frame.page(request, "console/policy.html", values, refusal=refusal, now=now)


def show(request: frame.StaffRequest, draft_id: UUID, refusal: Refused | None = None) -> HttpResponse:
    """One draft: what it changes, how it would have judged, and what can be done with it."""
    now = clock.now()
    row = PolicyDraft.objects.select_related("maker", "request").filter(pk=draft_id).first()
    if row is None:
        raise NotFound("There is no such draft.", target=f"approvals.policydraft/{draft_id}")
    draft = row.parsed
    before = ApprovalPolicy.objects.filter(version=draft.version - 1).first() or in_force()
    values = {
        "row": row,
        "draft": draft,
        "before": before,
        "differences": differences(before.parsed, draft),
        "rules": [(rule.name, described(rule)) for rule in draft.rules],
        "windows": [(window.rule.name, summed(window)) for window in draft.windows],
        "text": request.POST.get("text") or _text(bytes(row.document)),
        "is_mine": row.maker_id == request.identity.pk and row.state == State.DRAFT,
    }
    return frame.page(request, "console/policy_draft.html", values, refusal=refusal, now=now)


def draft(request: frame.StaffRequest) -> HttpResponse:
    """Keep a new draft."""
    try:
        row = actions.save_draft(
            draft_id=None, text=request.POST.get("text", ""), actor=request.actor, now=clock.now()
        )
    except Refused as refusal:
        return index(request, refusal)
    return redirect("policy_draft", row.pk)


def change(request: frame.StaffRequest, draft_id: UUID) -> HttpResponse:
    """Keep a changed draft."""
    try:
        actions.save_draft(
            draft_id=draft_id, text=request.POST.get("text", ""), actor=request.actor, now=clock.now()
        )
    except NotFound:
        raise
    except Refused as refusal:
        return show(request, draft_id, refusal)
    return redirect("policy_draft", draft_id)


def backtest(request: frame.StaffRequest, draft_id: UUID) -> HttpResponse:
    """Judge the last requests again by the draft."""
    count = request.POST.get("count", "")
    try:
        actions.run_backtest(
            draft_id=draft_id,
            count=int(count) if count.isdecimal() and len(count) < 6 else 100,
            actor=request.actor,
            now=clock.now(),
        )
    except NotFound:
        raise
    except Refused as refusal:
        return show(request, draft_id, refusal)
    return redirect("policy_draft", draft_id)


def publish(request: frame.StaffRequest, draft_id: UUID) -> HttpResponse:
    """Put the draft before its quorum."""
    try:
        asked = actions.ask_publication(
            draft_id=draft_id, reason=request.POST.get("reason", ""), actor=request.actor, now=clock.now()
        )
    except NotFound:
        raise
    except Refused as refusal:
        return show(request, draft_id, refusal)
    messages.success(request, "The policy is put before others. It comes into force when they have agreed.")
    return redirect("approval", asked.pk)


def drop(request: frame.StaffRequest, draft_id: UUID) -> HttpResponse:
    """Put a draft away."""
    try:
        actions.drop_draft(draft_id=draft_id, actor=request.actor, now=clock.now())
    except NotFound:
        raise
    except Refused as refusal:
        return show(request, draft_id, refusal)
    messages.success(request, "The draft is put away.")
    return redirect("policy")


def _text(document: bytes) -> str:
    """A document as people edit it, a line for each member; what the draft numbers by itself is left out."""
    members = json.loads(document)
    parts = [
        f"{json.dumps(name)}: {_lines(members[name])}" for name in ("windows", "rules") if name in members
    ]
    return "{\n" + ",\n".join(parts) + "\n}"


def _lines(rules: list[dict[str, Any]]) -> str:
    """Rules or windows, each with its name first, in the order in which they are read."""
    texts = []
    for rule in rules:
        names = sorted(rule, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))
        members = ",\n ".join(f"{json.dumps(name)}: {json.dumps(rule[name])}" for name in names)
        texts.append("{" + members + "}")
    return "[" + ",\n\n".join(texts) + "]"
