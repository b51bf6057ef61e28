"""An action …"""

from datetime import datetime, timedelta
from enum import StrEnum

import pytest
from django.db import DatabaseError, connection, transaction

from core import audit, outbox
from core.action import NoOpenAction, action
from core.actor import Actor
from core.audit.models import AuditEvent
from core.outbox import delivery
from core.outbox.models import Delivery, OutboxMessage
from core.refusals import Refused
from kernel import canonical

pytestmark = pytest.mark.django_db


class Event(StrEnum):
    DONE = "test.done"


@outbox.message("test.done")
class Done:
    what: str


heard: list[str] = []


@outbox.subscriber(Done, name="test.listener")
def listen(message: Done, *, now: datetime) -> None:
    heard.append(message.what)


@action(Event.DONE)
def do(*, what: str, actor: Actor, now: datetime) -> str:
    audit.record(Event.DONE, f"thing/{what}", actor=actor, now=now, before={"n": 0}, after={"n": 10**30})
    outbox.publish(Done(what=what), now=now)
    if what == "forbidden":
        raise Refused("Nothing was done: that is forbidden. Ask Sam.", target="thing/forbidden")
    return what


def test_leaves_one_event_and_one_message(robot: Actor, now: datetime) -> None:
    assert do(what="a", actor=robot, now=now) == "a"
    event = AuditEvent.objects.get()
    assert event.doc["action"] == "test.done"
    assert event.doc["after"] == {"n": str(10**30)}
    assert canonical.decode(event.canon.encode()) == event.doc
    assert OutboxMessage.objects.get().body == {"what": "a"}
    assert Delivery.objects.get().subscriber == "test.listener"


def test_leaves_a_message_that_is_due_also_where_a_clock_was_ahead_when_it_was_stored(
    robot: Actor, now: datetime
) -> None:
    """Nobody puts a message off for so long; it would be told to nobody until that moment."""
    do(what="b", actor=robot, now=now + timedelta(days=300))
    (found,) = delivery.claim_due(now=now)
    assert delivery.claim_due(now=now) == [], "leased, as any other"
    Delivery.objects.update(next_at=now + delivery.AHEAD_MAX)
    assert delivery.claim_due(now=now) == []
    assert delivery.deliver(found, now=now)
    assert heard[-1] == "b"


def test_leaves_only_the_refusal_when_it_says_no(robot: Actor, now: datetime) -> None:
    with pytest.raises(Refused):
        do(what="forbidden", actor=robot, now=now)
    event = AuditEvent.objects.get()
    assert event.doc["action"] == "test.done.refused"
    assert event.doc["target"] == "thing/forbidden"
    assert event.doc["reason"].startswith("Nothing was done")
    assert not OutboxMessage.objects.exists()


def test_joins_the_action_that_calls_it(robot: Actor, now: datetime) -> None:
    @action(Event.DONE)
    def both(*, actor: Actor, now: datetime) -> None:
        do(what="a", actor=actor, now=now)
        do(what="b", actor=actor, now=now)

    both(actor=robot, now=now)
    acts = {event.doc["act"] for event in AuditEvent.objects.all()}
    assert len(acts) == 1


def test_is_the_only_place_for_primitives(now: datetime, robot: Actor) -> None:
    with pytest.raises(NoOpenAction):
        audit.record(Event.DONE, "x", actor=robot, now=now)
    with pytest.raises(NoOpenAction):
        outbox.publish(Done(what="x"), now=now)


def test_is_answered_by_its_subscribers_once(robot: Actor, now: datetime, drain_outbox) -> None:  # type: ignore[no-untyped-def]
    heard.clear()
    do(what="heard", actor=robot, now=now)
    assert drain_outbox() == 1
    assert drain_outbox() == 0
    assert heard == ["heard"]


@pytest.mark.parametrize(
    "attack",
    [
        "UPDATE audit_event SET canon = '{}'",
        "DELETE FROM audit_event",
        "TRUNCATE audit_event CASCADE",
        "SET session_replication_role = replica; DELETE FROM audit_event",
    ],
)
def test_leaves_a_trace_that_raw_sql_cannot_take_back(attack: str, robot: Actor, now: datetime) -> None:
    do(what="a", actor=robot, now=now)
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(attack)
    assert AuditEvent.objects.count() == 1


def test_that_breaks_off_leaves_its_failure(robot: Actor, now: datetime) -> None:
    @action(Event.DONE)
    def broken(*, actor: Actor, now: datetime) -> None:
        audit.record(Event.DONE, "thing/x", actor=actor, now=now)
        raise ZeroDivisionError("secrets may stand here")

    with pytest.raises(ZeroDivisionError):
        broken(actor=robot, now=now)
    event = AuditEvent.objects.get()
    assert (event.doc["action"], event.doc["after"]) == ("test.done.failed", {"error": "ZeroDivisionError"})
    assert event.act is None
    assert "secrets" not in event.canon
