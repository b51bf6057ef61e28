"""An act that the database breaks off …"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from typing import Any
from uuid import UUID

import pytest
from django.db import OperationalError, connection

from core import audit, clock
from core.access.models import Identity
from core.action import action
from core.actor import Actor, system
from core.audit.models import AuditEvent
from core.busy import OutcomeUnknown
from tests.officers import enrol

DIES_AT_COMMIT = """
CREATE TABLE dies (id int);
CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER dies AFTER INSERT ON dies DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION die();
"""


class Event(StrEnum):
    DONE = "test.done"


@action(Event.DONE)
def lock(*, first: UUID, second: UUID, meet: list[threading.Barrier], actor: Actor, now: Any) -> None:
    """Lock one after the other, and the first time meet whoever does the reverse in between."""
    Identity.objects.select_for_update().get(pk=first)
    if meet:
        meet.pop().wait(60)
    Identity.objects.select_for_update().get(pk=second)
    audit.record(Event.DONE, f"access.identity/{first}", actor=actor, now=now)


@action(Event.DONE)
def say(*, statement: str, actor: Actor, now: Any) -> None:
    audit.record(Event.DONE, "test/1", actor=actor, now=now)
    with connection.cursor() as cursor:
        cursor.execute(statement)


def names() -> list[str]:
    said = AuditEvent.objects.filter(doc__action__startswith="test.")
    return sorted(event.doc["action"] for event in said)


@pytest.mark.usefixtures("real_database")
def test_since_another_stood_in_its_way_is_done_once_more_and_once_only() -> None:
    staff = enrol(now=clock.now())
    one, other = staff.ana.identity.pk, staff.ben.identity.pk
    meet = threading.Barrier(2)

    def run(first: UUID, second: UUID) -> None:
        try:
            lock(first=first, second=second, meet=[meet], actor=system("test"), now=clock.now())
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as beside:
        for done in [beside.submit(run, one, other), beside.submit(run, other, one)]:
            done.result()
    assert names() == ["test.done", "test.done"]


@pytest.mark.usefixtures("real_database")
def test_is_known_to_have_left_nothing_unless_it_was_being_kept() -> None:
    with connection.cursor() as cursor:
        cursor.execute(DIES_AT_COMMIT)
    given = {"actor": system("test"), "now": clock.now()}
    with pytest.raises(OperationalError) as within:
        say(statement="SELECT pg_terminate_backend(pg_backend_pid())", **given)
    assert not isinstance(within.value, OutcomeUnknown)
    assert names() == ["test.done.failed"], "the log has it, by another connection"
    with pytest.raises(OutcomeUnknown):
        say(statement="INSERT INTO dies VALUES (1)", **given)
    assert names() == ["test.done.failed", "test.done.failed"]
    assert AuditEvent.objects.order_by("-id")[0].doc["after"] == {"error": "OutcomeUnknown"}
