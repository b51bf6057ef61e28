"""A freeze …"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import uuid4

import pytest
from django.db import DatabaseError, connection, transaction

from core import freezes
from core.access.models import Identity, OwnAccount
from core.action import action
from core.actor import Actor
from core.approvals.actions import submit_signature, withdraw_request
from core.approvals.actions.signatures import ConflictOfInterest, MakerCannotCheck, NotInQuorum
from core.approvals.models import ApprovalRequest
from core.approvals.opening import OwnAccount as OwnAccountRefused
from core.approvals.queries import needs_me
from core.audit.models import AuditEvent
from core.freezes.actions import ask_release, freezing, pull_freeze, releases
from core.freezes.models import Freeze
from core.freezes.queries import history, in_force, is_frozen
from core.outbox.models import OutboxMessage
from core.refusals import NotAllowed, NotFound
from kernel import canonical
from kernel.approval import Verb
from tests.officers import Officer, Staff
from tests.sql import refused, signature_sql

pytestmark = pytest.mark.django_db


class Event(StrEnum):
    ALARMED = "test.alarmed"


@action(Event.ALARMED)
def alarm(*, scope: str, actor: Actor, now: datetime) -> Freeze:
    return freezes.pull(scope, reason="coins left without a payment", actor=actor, now=now)


def pull(
    officer: Officer, now: datetime, scope: str = "platform.withdrawals", reason: str = "odd transfers"
) -> Freeze:
    return pull_freeze(scope=scope, reason=reason, actor=officer.actor, now=now)


def sign(officer: Officer, request: ApprovalRequest, now: datetime) -> ApprovalRequest:
    return submit_signature(
        request_id=request.pk, signed=officer.answer(request), actor=officer.actor, now=now
    )


def actions() -> list[str]:
    said = [event.doc["action"] for event in AuditEvent.objects.order_by("id")]
    return [action for action in said if action.startswith(("freezes.", "approvals."))]


def test_stops_at_once(staff: Staff, now: datetime) -> None:
    freezes.check("platform.withdrawals", "asset:BTC")
    row = pull(staff.sam, now)
    with pytest.raises(
        freezes.Frozen, match="All withdrawals are frozen since 2026-11-21 03:00 UTC"
    ) as caught:
        freezes.check("asset:BTC", "platform.withdrawals")
    assert (caught.value.status, caught.value.code) == (423, "frozen")
    freezes.check("asset:BTC", "trader-api")
    assert list(in_force()) == [row] == list(history())
    assert is_frozen("platform.withdrawals")
    assert actions() == ["freezes.freeze.pulled"]
    assert OutboxMessage.objects.filter(topic="freezes.pulled").count() == 1


def test_pulled_twice_by_one_officer_is_one_freeze(staff: Staff, robot: Actor, now: datetime) -> None:
    assert pull(staff.sam, now) == pull(staff.sam, now, reason="as I said")
    assert Freeze.objects.get().reason == "odd transfers"
    assert alarm(scope="wallet:hot", actor=robot, now=now) == alarm(scope="wallet:hot", actor=robot, now=now)
    assert actions() == ["freezes.freeze.pulled"] * 2
    assert Freeze.objects.count() == 2


def test_of_one_officer_is_not_released_with_anothers(staff: Staff, now: datetime) -> None:
    """Ana stops the same for a reason of her own while the release of Sam's waits for a second signature."""
    first = pull(staff.sam, now)
    request = ask_release(freeze_id=first.pk, reason="a false alarm", actor=staff.sam.actor, now=now)
    sign(staff.ben, request, now)
    second = pull(staff.ana, now, reason="now it is a real one")
    assert (second.reason, actions().count("freezes.freeze.pulled")) == ("now it is a real one", 2)
    assert sign(staff.cy, request, now).state == "consumed"
    with pytest.raises(freezes.Frozen):
        freezes.check("platform.withdrawals")
    assert list(in_force()) == [second]
    mine = ask_release(freeze_id=second.pk, reason="it was not", actor=staff.sam.actor, now=now)
    with pytest.raises(ConflictOfInterest, match="You pulled this freeze"):
        sign(staff.ana, mine, now)


def test_pulled_anew_after_its_release_was_asked_for_is_another_freeze(staff: Staff, now: datetime) -> None:
    first = pull(staff.sam, now)
    request = ask_release(freeze_id=first.pk, reason="a false alarm", actor=staff.ana.actor, now=now)
    again = pull(staff.sam, now, reason="it goes on")
    assert again.pk != first.pk
    assert pull(staff.sam, now, reason="as I said") == again
    for officer in (staff.ben, staff.cy):
        sign(officer, request, now)
    assert list(in_force()) == [again]


def test_is_pulled_by_an_alarm_too(staff: Staff, robot: Actor, now: datetime) -> None:
    assert alarm(scope="wallet:hot", actor=robot, now=now).pulled_by is None


@pytest.mark.parametrize("who", ["dot", "eve"])
def test_is_not_pulled_by_whoever_may_not(staff: Staff, now: datetime, who: str) -> None:
    with pytest.raises(NotAllowed):
        pull(getattr(staff, who), now)
    assert not in_force().exists()
    assert actions() == ["freezes.freeze.pulled.refused"]


def test_says_why_and_what(staff: Staff, now: datetime) -> None:
    with pytest.raises(freezing.ReasonMissing):
        pull(staff.sam, now, reason=" ")
    with pytest.raises(freezing.UnknownScope):
        pull(staff.sam, now, scope="everything")
    assert not Freeze.objects.exists()


def test_ends_when_two_others_have_signed(staff: Staff, now: datetime) -> None:
    freeze = pull(staff.sam, now)
    request = ask_release(freeze_id=freeze.pk, reason="a false alarm", actor=staff.sam.actor, now=now)
    payload = canonical.decode_object(bytes(request.payload))
    assert (payload["scope"], payload["frozen_because"], payload["reason"]) == (
        "platform.withdrawals",
        "odd transfers",
        "a false alarm",
    )
    sign(staff.ben, request, now)
    assert is_frozen("platform.withdrawals")
    assert sign(staff.ana, request, now).state == "consumed"
    freezes.check("platform.withdrawals")
    freeze.refresh_from_db()
    assert (freeze.released_at, freeze.release_request) == (now, request.pk)
    assert actions()[-2:] == ["approvals.request.signed", "freezes.freeze.released"]
    assert OutboxMessage.objects.filter(topic="freezes.released").count() == 1
    assert pull(staff.sam, now).pk != freeze.pk


def test_is_not_released_by_its_asker_nor_by_an_auditor(staff: Staff, now: datetime) -> None:
    freeze = pull(staff.sam, now)
    request = ask_release(freeze_id=freeze.pk, reason="a false alarm", actor=staff.ben.actor, now=now)
    with pytest.raises(MakerCannotCheck):
        sign(staff.ben, request, now)
    for outsider in (staff.dot, staff.sam):
        with pytest.raises(NotInQuorum):
            sign(outsider, request, now)
    assert is_frozen("platform.withdrawals")


def test_is_not_released_by_whoever_pulled_it(staff: Staff, now: datetime) -> None:
    """Whoever asks; neither to agree nor to reject, and with SQL no more than by the code."""
    freeze = pull(staff.ben, now)
    request = ask_release(freeze_id=freeze.pk, reason="a false alarm", actor=staff.sam.actor, now=now)
    assert request not in needs_me(staff.ben.identity, now=now)
    assert request in needs_me(staff.cy.identity, now=now)
    for verb in (Verb.APPROVE, Verb.REJECT):
        answer = staff.ben.answer(request, verb=verb, reason="I said so")
        with pytest.raises(ConflictOfInterest, match="You pulled this freeze"):
            submit_signature(request_id=request.pk, signed=answer, actor=staff.ben.actor, now=now)
        sql, values = signature_sql(staff.ben, request, verb=str(verb), reason="mine")
        refused(sql, *values, match="the officer pulled this freeze")
    sign(staff.ana, request, now)
    assert is_frozen(freeze.scope)
    assert sign(staff.cy, request, now).state == "consumed"
    # They may ask, and then two others decide.
    again = pull(staff.ben, now)
    asked = ask_release(freeze_id=again.pk, reason="again", actor=staff.ben.actor, now=now)
    sign(staff.ana, asked, now)
    assert sign(staff.cy, asked, now).state == "consumed"
    assert not is_frozen(again.scope)


def test_is_not_released_by_whoever_signed_before_they_pulled_it(staff: Staff, now: datetime) -> None:
    """Somebody who writes rows has its release signed before there is the freeze."""
    template = ask_release(
        freeze_id=pull(staff.sam, now).pk, reason="a false alarm", actor=staff.sam.actor, now=now
    )
    later = Freeze(scope="asset:BTC", reason="later", pulled_by=staff.ben.identity, pulled_at=now)
    forged = ApprovalRequest.objects.get(pk=template.pk)
    forged.pk, forged.nonce, forged.subject = uuid4(), uuid4().bytes * 2, f"freezes.freeze/{later.pk}"
    forged.save(force_insert=True)
    forged.refresh_from_db()
    with connection.cursor() as cursor:
        for officer in (staff.ben, staff.cy):
            sql, values = signature_sql(officer, forged, teams=["officers"])
            cursor.execute(sql, values)
        later.save(force_insert=True)
        for state in ("approved", "consumed"):
            cursor.execute("UPDATE approvals_request SET state = %s WHERE id = %s", [state, forged.pk])
    release = "UPDATE freezes_freeze SET released_at = now(), release_request = %s WHERE id = %s"
    refused(release, forged.pk, later.pk, match="an approver pulled this freeze")


def test_is_asked_back_with_a_reason_by_somebody_who_may(staff: Staff, now: datetime) -> None:
    freeze = pull(staff.sam, now)
    with pytest.raises(NotAllowed):
        ask_release(freeze_id=freeze.pk, reason="please", actor=staff.dot.actor, now=now)
    with pytest.raises(releases.ReasonMissing):
        ask_release(freeze_id=freeze.pk, reason="", actor=staff.sam.actor, now=now)
    with pytest.raises(NotFound):
        ask_release(freeze_id=uuid4(), reason="x", actor=staff.sam.actor, now=now)


def test_of_an_officers_own_account_is_others_to_release(staff: Staff, now: datetime) -> None:
    """Neither asks for it nor agrees to it, with SQL either."""
    customer = Identity.objects.create(kind="customer", email="tom@example.com", display_name="Tom")
    freeze = pull(staff.sam, now, scope=f"customer:{customer.pk}")
    other = ask_release(freeze_id=freeze.pk, reason="he called", actor=staff.ana.actor, now=now)
    for officer in (staff.sam, staff.ben):
        OwnAccount.objects.create(
            officer=officer.identity, customer=customer, found_by="declared", recorded_at=now
        )
    with pytest.raises(ConflictOfInterest, match="account of your own"):
        sign(staff.ben, other, now)
    sql, values = signature_sql(staff.ben, other)
    refused(sql, *values, match="officer's own account")
    withdraw_request(request_id=other.pk, reason="asked twice", actor=staff.ana.actor, now=now)
    with pytest.raises(OwnAccountRefused):
        ask_release(freeze_id=freeze.pk, reason="that is me", actor=staff.sam.actor, now=now)
    assert is_frozen(freeze.scope)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE freezes_freeze SET released_at = now(), release_request = gen_random_uuid()",
        "UPDATE freezes_freeze SET released_at = now(), release_request = (SELECT id FROM approvals_request)",
        "UPDATE freezes_freeze SET released_at = now()",
        "UPDATE freezes_freeze SET scope = 'asset:XRP'",
        "DELETE FROM freezes_freeze",
    ],
)
def test_is_not_lifted_by_sql(staff: Staff, now: datetime, sql: str) -> None:
    freeze = pull(staff.sam, now)
    request = ask_release(freeze_id=freeze.pk, reason="a false alarm", actor=staff.sam.actor, now=now)
    sign(staff.ben, request, now)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    with (
        pytest.raises(DatabaseError, match=r"approved release only|keeps|freeze_released_by_approval"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(sql)
    assert is_frozen("platform.withdrawals")


def test_is_not_lifted_by_the_release_of_another(staff: Staff, now: datetime) -> None:
    first, second = pull(staff.sam, now), pull(staff.sam, now, scope="asset:BTC")
    request = ask_release(freeze_id=first.pk, reason="a false alarm", actor=staff.sam.actor, now=now)
    sign(staff.ben, request, now)
    sign(staff.cy, request, now)
    with pytest.raises(DatabaseError, match="approved release only"), transaction.atomic():
        Freeze.objects.filter(pk=second.pk).update(released_at=now, release_request=request.pk)
