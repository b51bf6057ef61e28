"""Requests for approval of payments that only tests make, and officers' answers to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import wraps
from typing import ParamSpec, TypeVar

from django.db import connection

from core import approvals, audit
from core.action import action
from core.actor import Actor
from core.approvals import kinds
from core.approvals.actions import submit_signature
from core.approvals.models import ApprovalRequest
from tests.officers import Officer

TREASURY = {"treasury": 2}
DECIDED: list[str] = []

Asked = ParamSpec("Asked")
Request = TypeVar("Request")


class Event(StrEnum):
    ASKED = "test.asked"
    ACTED = "test.acted"


@contextmanager
def payments() -> Iterator[approvals.Kind]:
    """A kind of act that remembers in DECIDED what was decided about it."""
    DECIDED.clear()
    entry = approvals.Kind(
        name="test.payment",
        permission="custody:withdrawal:approve",
        on_approved=lambda request, **_: DECIDED.append("approved"),
        on_rejected=lambda request, **_: DECIDED.append("rejected"),
        on_expired=lambda request, **_: DECIDED.append("expired"),
    )
    approvals.register(entry)
    yield entry
    del kinds._registered["test.payment"]


@action(Event.ASKED)
def ask(
    *,
    maker: Officer,
    actor: Actor,
    now: datetime,
    teams: dict[str, int] = TREASURY,
    subject: str = "test.payment/1",
    **members: str,
) -> ApprovalRequest:
    """Ask for a payment; `members` are added to its payload."""
    return approvals.open(
        "test.payment",
        {"v": 1, "amount": "1000", "to": "bcrt1q", **members},
        maker=maker.identity,
        teams=teams,
        subject=subject,
        actor=actor,
        now=now,
    )


@action(Event.ACTED)
def act(*, request: ApprovalRequest, actor: Actor, now: datetime) -> ApprovalRequest:
    audit.record(Event.ACTED, request, actor=actor, now=now)
    return approvals.consume(request, now=now)


def sign(
    officer: Officer, request: ApprovalRequest, now: datetime, verb: str = "approve", reason: str = ""
) -> ApprovalRequest:
    return submit_signature(
        request_id=request.pk, signed=officer.answer(request, verb, reason), actor=officer.actor, now=now
    )


def hurried(ask: Callable[Asked, Request], *, kind: str = "test.payment") -> Callable[Asked, Request]:
    """The same, while the kind gives its requests a microsecond to be approved."""

    @wraps(ask)
    def asked(*args: Asked.args, **values: Asked.kwargs) -> Request:
        declared = kinds.named(kind)
        kinds._registered[kind] = replace(declared, approve_within=timedelta(microseconds=1))
        try:
            return ask(*args, **values)
        finally:
            kinds._registered[kind] = declared

    return asked


def overdue(row: ApprovalRequest, column: str) -> None:
    """Put a deadline into the past, as nobody can whom the guards hold."""
    guards_off = ("approvals_request_columns", "approvals_request_moves")
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        (role,) = cursor.fetchone()
        cursor.execute("RESET ROLE")
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for name in guards_off:
            cursor.execute(f"ALTER TABLE approvals_request DISABLE TRIGGER {name}")
        cursor.execute(f"UPDATE approvals_request SET {column} = now() WHERE id = %s", [row.pk])
        for name in guards_off:
            cursor.execute(f"ALTER TABLE approvals_request ENABLE ALWAYS TRIGGER {name}")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
        cursor.execute(f"SET ROLE {role}")
