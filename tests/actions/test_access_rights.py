"""What somebody may do …"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core.access import rights
from core.access.models import RoleGrant
from core.access.roles import Role
from core.action import action
from tests import doors
from tests.doors import at_console
from tests.officers import Staff


class Event(StrEnum):
    LOOKED = "test.looked"


@action(Event.LOOKED)
def look(*, who: Any, actor: Any, now: datetime) -> frozenset[Role]:
    return rights.roles_of(who, now)


def test_is_asked_once_for_what_is_shown_together_and_anew_by_an_act_in_it(
    staff: Staff, now: datetime
) -> None:
    ana = staff.ana
    with rights.one_look():
        had = rights.roles_of(ana.identity, now)
        RoleGrant.objects.filter(identity=ana.identity).update(revoked_at=now)
        connection.check_constraints()  # a scene is set, and no act's part
        assert had == rights.roles_of(ana.identity, now) != frozenset()
        assert not look(who=ana.identity, actor=ana.actor, now=now)
    assert not rights.roles_of(ana.identity, now)


def test_takes_a_screen_few_looks(staff: Staff, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the door, for the screen's own lists, and one of each kind for all that stands around it."""
    doors.open_doors(settings, monkeypatch)
    ana = at_console(staff.ana.identity)
    assert ana.get("/freezes/").status_code == 200
    with CaptureQueriesContext(connection) as asked:
        ana.get("/freezes/")
    looks = [one for one in asked if "role" in one["sql"].partition(" FROM ")[0]]
    assert len(looks) <= 8, [one["sql"] for one in looks]
