"""Events that were sealed before their mentions were kept, and numbered by one column …"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from core import audit
from core.actor import Actor
from core.audit import queries
from core.audit.domain.reading import found_by
from core.audit.models import AuditEvent
from tests.actions.test_core_audit_sealing import Event, do


def move_to(name: str) -> None:
    executor = MigrationExecutor(connection)
    executor.migrate([("audit", name)])


def test_are_found_and_placed_as_they_were(real_database: str, robot: Actor, now: datetime) -> None:
    do(count=4, actor=robot, now=now)
    under = replace(robot, under="access.rolegrant/7 access.rolegrant/8")
    audit.record_read(Event.DONE, "case/1", of="person/tom", actor=under, now=now)
    AuditEvent.texts.append("no json")
    rows = list(AuditEvent.texts.order_by("pk"))
    move_to("0005_tile_roots")
    with connection.cursor() as cursor:
        for size in (1, 4, 6):
            cursor.execute(
                "INSERT INTO audit_checkpoint VALUES (%s, 'note', %s, '[]', now(), '')",
                [size, rows[size - 1].id],
            )
        for index, row in enumerate(rows):
            known = found_by(row.canon, act=row.act)[:7]  # whose act it was stood under no identity yet
            cursor.execute(
                "INSERT INTO audit_leaf (index, event_id, at, action, target, actor, person, under, fault)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
                [index, row.id, *known],
            )
        cursor.execute("SELECT array_agg(id ORDER BY id) FROM audit_event")
        assert cursor.fetchone() == ([row.id for row in rows],)
    move_to("0007_two_column_key")
    assert [row.id for row in AuditEvent.texts.order_by("pk")] == [row.id for row in rows]

    def found(**asked: object) -> list[int | None]:
        return [row.index for row in queries.events(**asked)]  # type: ignore[arg-type]

    assert (queries.waiting(), found()) == (0, [5, 4, 3, 2, 1, 0])
    assert found(before_id=rows[4].id, limit=2) == [3, 2]
    assert found(target="thing/2") == found(target="thing/2", action="test.", actor=robot.label) == [2]
    assert found(person="person/tom") == found(reads=True, actor=robot.label) == [4]
    assert found(under="access.rolegrant/7") == found(under="access.rolegrant/8") == [4]
    assert found(action="test.") == [4, 3, 2, 1, 0]
    assert found(under="access.rolegrant/") == found(person="person/tia") == []
    assert [one.row.index for one in queries.faults(limit=9)] == [5]
    do(count=1, actor=robot, now=now)
    assert AuditEvent.texts.order_by("pk").last().id > rows[-1].id
