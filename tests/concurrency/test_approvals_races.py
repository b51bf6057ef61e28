"""Officers and workers who act at the same moment …"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Any, TypeVar
from uuid import uuid4

import pytest
from django.db import DatabaseError, connection, transaction

from core import approvals, audit
from core.access.roles import Role
from core.action import action
from core.actor import Actor, system
from core.approvals import kinds, policies
from core.approvals.actions import submit_signature
from core.approvals.actions.policies import ask_publication, run_backtest, save_draft
from core.approvals.models import ApprovalRequest, ApprovalSignature
from core.approvals.opening import AlreadyOpen
from core.audit.models import AuditEvent
from core.refusals import Refused
from core.staff.actions import suspend_person
from tests.officers import Officer, enrol
from tests.policies import enact, rule
from tests.racing import closing, until_waiting
from tests.sql import signature_sql

ROUNDS = 8
T = TypeVar("T")


class Event(StrEnum):
    ASKED = "test.asked"
    ACTED = "test.acted"


@pytest.fixture(autouse=True)
def _kind() -> Iterator[None]:
    approvals.register(
        approvals.Kind(
            name="test.payment",
            permission="custody:withdrawal:approve",
            facts=frozenset({"customer", "asset", "amount"}),
        )
    )
    yield
    del kinds._registered["test.payment"]


@action(Event.ASKED)
def ask(
    *, maker: Officer, actor: Actor, now: datetime, subject: str = "", facts: dict[str, Any] | None = None
) -> ApprovalRequest:
    return approvals.open(
        "test.payment",
        {"v": 1, "amount": "1000"},
        maker=maker.identity,
        teams={"treasury": 2},
        subject=subject or f"test.payment/{uuid4()}",
        actor=actor,
        now=now,
        facts={"customer": None, "asset": None, "amount": None, **(facts or {})},
    )


@action(Event.ACTED)
def act(*, request: ApprovalRequest, actor: Actor, now: datetime) -> ApprovalRequest:
    audit.record(Event.ACTED, request, actor=actor, now=now)
    return approvals.consume(request, now=now)


def at_once(*deeds: Callable[[], T]) -> list[T | Refused]:
    """Do all of them from threads of their own, starting together; refusals are results."""
    barrier = threading.Barrier(len(deeds))

    def run(deed: Callable[[], T]) -> T | Refused:
        try:
            connection.ensure_connection()
            barrier.wait()
            return deed()
        except Refused as refusal:
            return refusal
        finally:
            connection.close()

    with ThreadPoolExecutor(len(deeds)) as pool:
        return list(pool.map(run, deeds))


def sign(officer: Officer, row: ApprovalRequest, now: datetime) -> ApprovalRequest:
    return submit_signature(request_id=row.pk, signed=officer.answer(row), actor=officer.actor, now=now)


def test_are_both_counted(real_database: str, now: datetime) -> None:
    staff = enrol(now=now)
    for _ in range(ROUNDS):
        row = ask(maker=staff.ana, actor=staff.ana.actor, now=now)
        at_once(*(lambda o=officer, r=row: sign(o, r, now) for officer in (staff.ben, staff.cy)))  # type: ignore[misc]
        row.refresh_from_db()
        assert (row.state, row.signatures.count()) == ("approved", 2)


def test_count_once_however_often_they_click(real_database: str, now: datetime) -> None:
    staff = enrol(now=now)
    for _ in range(ROUNDS):
        row = ask(maker=staff.ana, actor=staff.ana.actor, now=now)
        results = at_once(*[lambda r=row: sign(staff.ben, r, now)] * 4)  # type: ignore[misc]
        assert sum(isinstance(result, ApprovalRequest) for result in results) == 1
        row.refresh_from_db()
        assert (row.state, row.signatures.count()) == ("open", 1)


def test_act_upon_an_approval_once(real_database: str, now: datetime) -> None:
    staff = enrol(now=now)
    for _ in range(ROUNDS):
        row = ask(maker=staff.ana, actor=staff.ana.actor, now=now)
        sign(staff.ben, row, now)
        sign(staff.cy, row, now)
        results = at_once(*[lambda r=row: act(request=r, actor=system("worker"), now=now)] * 4)  # type: ignore[misc]
        assert sum(isinstance(result, ApprovalRequest) for result in results) == 1


def test_open_one_request(real_database: str, now: datetime) -> None:
    staff = enrol(now=now)
    for number in range(ROUNDS):
        results = at_once(
            *[lambda n=number: ask(maker=staff.ana, actor=staff.ana.actor, now=now, subject=f"test/{n}")] * 4  # type: ignore[misc]
        )
        assert sum(isinstance(result, ApprovalRequest) for result in results) == 1
        assert all(isinstance(result, ApprovalRequest | AlreadyOpen) for result in results)


def test_decide_one_way(real_database: str, now: datetime) -> None:
    """One approves with the deciding signature while another rejects: whoever is second finds it decided."""
    staff = enrol(now=now, more={"dot": Role.TREASURY_SIGNER})
    third = staff.dot
    for _ in range(ROUNDS):
        row = ask(maker=staff.ana, actor=staff.ana.actor, now=now)
        sign(staff.ben, row, now)
        at_once(
            lambda r=row: sign(staff.cy, r, now),  # type: ignore[misc]
            lambda r=row: submit_signature(  # type: ignore[misc]
                request_id=r.pk, signed=third.answer(r, "reject", "stop"), actor=third.actor, now=now
            ),
        )
        row.refresh_from_db()
        given = sorted(row.signatures.values_list("verb", flat=True))
        assert (row.state, given) in [
            ("approved", ["approve", "approve"]),
            ("rejected", ["approve", "reject"]),
        ]


def test_let_nothing_pass_a_rejection_that_is_being_written(real_database: str, now: datetime) -> None:
    """With SQL alone: whoever moves the request waits for the answer, and then counts it."""
    staff = enrol(now=now, more={"dot": Role.TREASURY_SIGNER})
    row = ask(maker=staff.ana, actor=staff.ana.actor, now=now)
    with connection.cursor() as cursor:
        for officer in (staff.ben, staff.cy):
            cursor.execute(*signature_sql(officer, row))

    def approve() -> str:
        try:
            ApprovalRequest.objects.filter(pk=row.pk).update(state="approved")
        except DatabaseError as error:
            return str(error)
        finally:
            connection.close()
        return "approved"

    with ThreadPoolExecutor(1) as beside:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(*signature_sql(staff.dot, row, verb="reject", reason="stop"))
            moved = beside.submit(approve)
            waits = False
            while not moved.done() and not waits:
                time.sleep(0.01)
                cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
                (waits,) = cursor.fetchone()
        assert "quorum" in moved.result()


@pytest.mark.parametrize("who", ["ana", "ben", "cy"])
def test_decide_before_somebody_who_counts_is_suspended_or_not_at_all(
    real_database: str, now: datetime, who: str
) -> None:
    """Ana asked, Ben agreed, Cy decides: nothing follows a suspension of one of them that has been seen."""
    staff = enrol(now=now, more={"dot": Role.COMPLIANCE_OFFICER})
    row = ask(maker=staff.ana, actor=staff.ana.actor, now=now)
    sign(staff.ben, row, now)
    counted, go_on = threading.Event(), threading.Event()

    def slowly(request: ApprovalRequest, *, actor: Actor, now: datetime) -> None:
        counted.set()
        assert go_on.wait(60)

    kinds._registered["test.payment"] = replace(kinds.named("test.payment"), on_approved=slowly)
    suspension = partial(
        suspend_person,
        person=getattr(staff, who).identity.pk,
        reason="a stolen laptop",
        actor=staff.dot.actor,
        now=now,
    )
    with ThreadPoolExecutor(2) as beside:
        decided = beside.submit(closing(lambda: sign(staff.cy, row, now)))
        assert counted.wait(60)
        suspended = beside.submit(closing(suspension))
        until_waiting([suspended])
        waits = not suspended.done()
        go_on.set()
        assert decided.result().state == "approved"
        assert not suspended.result().is_active
    assert waits, "the suspension was told to be done while what they agreed to was still on its way"


def test_leave_one_event_per_answer(real_database: str, now: datetime) -> None:
    staff = enrol(now=now)
    row = ask(maker=staff.ana, actor=staff.ana.actor, now=now)
    at_once(
        lambda: sign(staff.ben, row, now), lambda: sign(staff.ben, row, now), lambda: sign(staff.cy, row, now)
    )
    names = [event.doc["action"] for event in AuditEvent.objects.order_by("id")]
    assert names.count("approvals.request.signed") == ApprovalSignature.objects.count() == 2
    assert names.count("approvals.request.signed.refused") == 1


WINDOW = {
    "name": "day",
    "when": [["kind", "is", "test.payment"], ["asset", "is", "BTC"]],
    "sum": "amount",
    "per": "customer",
    "seconds": 86_400,
    "at_most": "10",
    "deny": "enough for a day",
}


def test_do_not_slip_under_a_window_together(real_database: str, now: datetime) -> None:
    staff = enrol(now=now)
    enact(staff, now, [rule("all")], [WINDOW])
    for customer in range(ROUNDS):
        facts = {"customer": str(customer), "asset": "BTC", "amount": 4}
        deed = partial(ask, maker=staff.ana, actor=staff.ana.actor, now=now, facts=facts)
        results = at_once(deed, deed, deed, deed)
        refused = [result for result in results if isinstance(result, policies.ByRule)]
        assert len(refused) == 2, "two times four is all that fits under ten"


def test_are_judged_by_the_version_that_is_in_force_when_they_are_asked(
    real_database: str, now: datetime
) -> None:
    """Whoever publishes waits for those who are being judged; a stricter version is never a moment late."""
    staff = enrol(now=now, more={"dot": Role.COMPLIANCE_OFFICER})
    judged, go_on = threading.Event(), threading.Event()

    @action(Event.ASKED)
    def asked_slowly(*, actor: Actor, now: datetime) -> ApprovalRequest:
        def payload(life: timedelta) -> dict[str, Any]:
            judged.set()
            assert go_on.wait(60)
            return {"v": 1}

        return approvals.open(
            "test.payment",
            payload,
            maker=staff.ana.identity,
            teams={"treasury": 2},
            subject="test.payment/slow",
            actor=actor,
            now=now,
            facts={"customer": None, "asset": None, "amount": None},
        )

    draft = save_draft(
        draft_id=None,
        text=json.dumps({"rules": [rule("strict", teams={"officers": 3})]}),
        actor=staff.ana.actor,
        now=now,
    )
    run_backtest(draft_id=draft.pk, count=1, actor=staff.ana.actor, now=now)
    publication = ask_publication(draft_id=draft.pk, reason="stricter", actor=staff.ana.actor, now=now)
    sign(staff.cy, publication, now)
    with ThreadPoolExecutor(2) as beside:
        slow = beside.submit(closing(lambda: asked_slowly(actor=staff.ana.actor, now=now)))
        assert judged.wait(60)
        published = beside.submit(closing(lambda: sign(staff.dot, publication, now)))
        waits = False
        while not published.done() and not waits:
            time.sleep(0.01)
            with connection.cursor() as cursor:
                cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
                (waits,) = cursor.fetchone()
        go_on.set()
        row = slow.result()
        published.result()
    assert waits, "the version came into force while somebody was judged by the one before"
    assert (row.policy_version, policies.in_force().version) == (1, 2)
    assert ask(maker=staff.ana, actor=staff.ana.actor, now=now).teams == {"officers": 3, "treasury": 2}
