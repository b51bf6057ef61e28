"""Another version of the policy in force, for tests of what is judged by it and not of how it came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import uuid4

from django.db import connection

from core import audit
from core.action import action
from core.actor import Actor
from core.approvals import policies
from core.approvals.models import ApprovalPolicy, ApprovalRequest
from kernel import canonical
from tests.officers import Officer, Staff
from tests.sql import signature_sql

PLAIN: Final = {"teams": {"officers": 1}, "rejections": 1}


class Event(StrEnum):
    ENACTED = "test.enacted"


def rule(name: str, *when: list[Any], **members: Any) -> dict[str, Any]:
    """A rule over these conditions; one of the officers agrees unless `members` say otherwise."""
    return {"name": name, "when": list(when), **(members if "deny" in members else {**PLAIN, **members})}


def founding() -> list[Any]:
    """The rules that every deployment begins with."""
    rules = canonical.decode_object(bytes(ApprovalPolicy.objects.get(version=1).document))["rules"]
    assert isinstance(rules, list)
    return rules


def enact(
    staff: Staff, now: datetime, rules: Sequence[Mapping[str, Any]], windows: Sequence[Mapping[str, Any]] = ()
) -> ApprovalPolicy:
    """The next version, as its quorum's signatures would bring it; the signatures themselves are no good."""
    return _enact(staff=staff, rules=rules, windows=windows, actor=staff.ana.actor, now=now)


@action(Event.ENACTED)
def _enact(
    *,
    staff: Staff,
    rules: Sequence[Mapping[str, Any]],
    windows: Sequence[Mapping[str, Any]],
    actor: Actor,
    now: datetime,
) -> ApprovalPolicy:
    version = policies.in_force().version + 1
    members: Any = {"v": 1, "version": version, "rules": [dict(one) for one in rules]}
    if windows:
        members["windows"] = [dict(one) for one in windows]
    document = canonical.encode(members)
    request = asked(staff.ana, version, document)
    with connection.cursor() as cursor:
        for officer, team in ((staff.ben, "treasury"), (staff.cy, "compliance")):
            cursor.execute(*signature_sql(officer, request, teams=[team]))
        for state in ("approved", "consumed"):
            cursor.execute("UPDATE approvals_request SET state = %s WHERE id = %s", [state, request.pk])
    row = ApprovalPolicy.objects.create(version=version, document=document, request=request, published_at=now)
    for about in (f"approvals.approvalpolicy/{version}", request):
        audit.record(Event.ENACTED, about, actor=actor, now=now)
    return row


def asked(maker: Officer, version: int, document: bytes) -> ApprovalRequest:
    """The request for a version, past the action that would have looked at the document."""
    row = ApprovalRequest(
        kind="approvals.policy",
        deployment="test",
        payload=canonical.encode({"document": document.decode(), "version": version}),
        nonce=uuid4().bytes * 2,
        maker=maker.identity,
        subject="approvals.policy",
        teams={"compliance": 1, "treasury": 1},
        floor={"compliance": 1, "treasury": 1},
        policy_version=version - 1,
        facts={"kind": "approvals.policy", "hour": 12, "maker": str(maker.identity.pk), "lane": "shut"},
        approve_within=timedelta(hours=1),
        execute_within=timedelta(hours=1),
    )
    row.save(force_insert=True)
    row.refresh_from_db()
    return row
