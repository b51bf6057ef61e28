"""A person's data in the audit log …"""

from datetime import datetime
from enum import StrEnum

import pytest
from django.db import DatabaseError, connection, transaction

from core import audit
from core.action import NoOpenAction, action
from core.actor import Actor
from core.audit import subjects
from core.audit.actions import forget_subject
from core.audit.models import AuditEvent, AuditSubject
from kernel import merkle

pytestmark = pytest.mark.django_db
TOM, TIA = "customers.customer/tom", "customers.customer/tia"


class Event(StrEnum):
    MET = "test.met"


@action(Event.MET)
def meet(*, subject: str, email: str, actor: Actor, now: datetime) -> None:
    audit.record(Event.MET, subject, actor=actor, now=now, after={"email": audit.personal(subject, email)})


def emails() -> list[str | None]:
    rows = AuditEvent.objects.filter(doc__action="test.met").order_by("id")
    return [subjects.reveal(row.doc["after"]["email"]) for row in rows]


def test_is_sealed_and_read_back(robot: Actor, now: datetime) -> None:
    for subject, email in ((TOM, "tom@example.com"), (TIA, "tia@example.com"), (TOM, "tom@example.org")):
        meet(subject=subject, email=email, actor=robot, now=now)
    assert not AuditEvent.objects.filter(canon__contains="@").exists()
    assert emails() == ["tom@example.com", "tia@example.com", "tom@example.org"]
    assert subjects.is_personal(AuditEvent.objects.all()[0].doc["after"]["email"])
    assert AuditSubject.objects.count() == 2


def test_is_gone_with_its_key_while_every_hash_stays(robot: Actor, now: datetime) -> None:
    for subject, email in ((TOM, "tom@example.com"), (TIA, "tia@example.com")):
        meet(subject=subject, email=email, actor=robot, now=now)
    before = merkle.root(merkle.leaf(row.canon.encode()) for row in AuditEvent.objects.order_by("id"))
    assert forget_subject(subject=TOM, reason="asked for it", actor=robot, now=now)
    assert not forget_subject(subject=TOM, reason="asked twice", actor=robot, now=now)
    assert emails() == [None, "tia@example.com"]
    rows = list(AuditEvent.objects.order_by("id"))
    assert merkle.root(merkle.leaf(row.canon.encode()) for row in rows[:2]) == before
    assert (rows[2].doc["action"], len(rows)) == ("audit.subject_forgotten", 3)
    meet(subject=TOM, email="tom@example.net", actor=robot, now=now)
    assert emails() == [None, "tia@example.com", None]


def test_is_bound_to_the_person(robot: Actor, now: datetime) -> None:
    meet(subject=TOM, email="tom@example.com", actor=robot, now=now)
    value = AuditEvent.objects.get().doc["after"]["email"]
    assert subjects.reveal({**value, "subject": TIA}) is None
    with pytest.raises(NoOpenAction):
        audit.personal(TOM, "x")


@pytest.mark.parametrize(
    "attack",
    ["DELETE FROM audit_subject", "UPDATE audit_subject SET subject = 'x'", "TRUNCATE audit_subject"],
)
def test_cannot_be_rekeyed_by_raw_sql(attack: str, robot: Actor, now: datetime) -> None:
    meet(subject=TOM, email="tom@example.com", actor=robot, now=now)
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(attack)
