"""Rights that are given to a colleague, or given back …"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection

from core.access.models import Identity, RoleGrant
from core.access.roles import GRANTED_BY, TEAMS, Role
from core.approvals.actions import submit_signature
from core.approvals.models import ApprovalRequest
from core.approvals.moving import StepRefused
from core.audit.models import AuditEvent
from core.outbox.models import OutboxMessage
from core.staff import ranks
from core.staff.actions import propose_change, suspend_person
from core.staff.actions.proposals import AboveOwnRole, CannotPropose
from core.staff.domain import changes
from fixtures.authenticator import AAGUID, Authenticator
from kernel import canonical
from tests.officers import Officer, Staff, enrol
from tests.sql import as_the_console, refused, signature_sql

pytestmark = pytest.mark.django_db

KEY = Authenticator()
Make = Callable[[UUID], changes.Change]


def rebind(person: UUID) -> changes.Change:
    return changes.Rebind(person, "another subject")


def add_passkey(person: UUID) -> changes.Change:
    return changes.AddPasskey(
        person, KEY.credential_id, KEY.public_key_hex, "blue key", str(AAGUID), "packed"
    )


def propose(officer: Officer, change: changes.Change, now: datetime) -> ApprovalRequest:
    return propose_change(change=change, reason="lost in a fire", actor=officer.actor, now=now)


def sign(officer: Officer, request: ApprovalRequest, now: datetime) -> str:
    signed = officer.answer(request)
    return submit_signature(request_id=request.pk, signed=signed, actor=officer.actor, now=now).state


def suspend(officer: Officer, staff: Staff, now: datetime) -> None:
    suspend_person(person=officer.identity.pk, reason="stolen", actor=staff.sam.actor, now=now)


@pytest.fixture
def seniors(now: datetime) -> Staff:
    """Ben and Cy are senior officers as well."""
    return enrol(now=now, more={"ben": Role.SENIOR_OFFICER, "cy": Role.SENIOR_OFFICER})


@pytest.fixture
def alone(now: datetime) -> Staff:
    """Ben is the only senior officer; of compliance there are Ana and Eve, of treasury Cy and Dot."""
    more = {
        "ben": Role.SENIOR_OFFICER,
        "dot": Role.TREASURY_SIGNER,
        "eve": Role.COMPLIANCE_OFFICER,
    }
    return enrol(now=now, more=more)


@pytest.mark.parametrize("make", [rebind, add_passkey, changes.Restore])
def test_are_asked_for_by_nobody_below_them(seniors: Staff, now: datetime, make: Make) -> None:
    ben = seniors.ben.identity.pk
    if make is changes.Restore:
        suspend(seniors.ben, seniors, now)
    for officer in (seniors.sam, seniors.ana):
        with pytest.raises(AboveOwnRole, match="which is above your own role"):
            propose(officer, make(ben), now)
        assert AuditEvent.objects.latest("id").doc["action"] == "staff.change.proposed.refused"
    assert not ApprovalRequest.objects.exists()
    assert propose(seniors.cy, make(ben), now).teams == {"officers": 2}
    assert not OutboxMessage.objects.filter(topic__startswith="staff.").exists()


def test_are_asked_for_by_nobody_below_what_they_hold_for_a_shift(seniors: Staff, now: datetime) -> None:
    eve = seniors.eve.identity.pk
    until = now + timedelta(hours=2)
    RoleGrant.objects.create(identity_id=eve, role=Role.SENIOR_OFFICER, granted_at=now, valid_until=until)
    with pytest.raises(AboveOwnRole):
        propose(seniors.sam, rebind(eve), now)
    assert propose(seniors.sam, rebind(eve), until).state == "open"


@pytest.mark.parametrize("make", [rebind, add_passkey, changes.Restore])
def test_that_nobody_is_left_to_grant_come_back_by_more_people_and_are_told_to_everybody(
    alone: Staff, now: datetime, make: Make
) -> None:
    ben = alone.ben.identity.pk
    if make is changes.Restore:
        suspend(alone.ben, alone, now)
    request = propose(alone.sam, make(ben), now)
    assert request.floor == request.teams == {"officers": 2, "compliance": 1, "treasury": 1}
    assert request.facts["way_back"] == "yes"
    told = OutboxMessage.objects.filter(topic="staff.officer_told_of_way_back")
    everybody = Identity.objects.filter(kind="officer", is_active=True).values_list("pk", flat=True)
    assert {UUID(one.body["identity"]) for one in told} == set(everybody)
    assert len(told) == len(everybody)
    assert OutboxMessage.objects.filter(topic="staff.outside_told_of_way_back").count() == 1
    assert [sign(officer, request, now) for officer in (alone.ana, alone.cy, alone.dot, alone.eve)] == [
        "open",
        "open",
        "open",
        "consumed",
    ]
    said = {event.doc["action"]: event.doc["after"] for event in AuditEvent.objects.order_by("id")}
    (done,) = said.keys() & {"staff.person.restored", "staff.person.subject_bound", "staff.passkey.added"}
    assert said["staff.change.proposed"]["way_back"] is said[done]["way_back"] is True


def test_are_no_way_back_where_somebody_came_who_grants_them(alone: Staff, now: datetime) -> None:
    request = propose(alone.sam, rebind(alone.ben.identity.pk), now)
    for officer in (alone.ana, alone.cy, alone.dot):
        sign(officer, request, now)
    RoleGrant.objects.create(identity=alone.cy.identity, role=Role.SENIOR_OFFICER, granted_at=now)
    with pytest.raises(StepRefused, match="above the role of whoever asks"):
        sign(alone.eve, request, now)
    assert Identity.objects.get(pk=alone.ben.identity.pk).access_subject != "another subject"


def test_do_not_come_of_a_maker_who_has_lost_the_role_since(seniors: Staff, now: datetime) -> None:
    request = propose(seniors.cy, changes.GrantRole(seniors.eve.identity.pk, "senior_officer"), now)
    sign(seniors.ben, request, now)
    RoleGrant.objects.filter(identity=seniors.cy.identity, role="senior_officer").update(revoked_at=now)
    with pytest.raises(StepRefused, match="above the role of whoever asks"):
        sign(seniors.ana, request, now)


def test_name_a_role_that_there_is(staff: Staff, now: datetime) -> None:
    with pytest.raises(CannotPropose, match="no role king"):
        propose(staff.sam, changes.GrantRole(staff.sam.identity.pk, "king", hours=1), now)


def request_sql(
    maker: Officer, change: Any, now: datetime, *, way_back: bool = False, **columns: Any
) -> tuple[Any, ...]:
    """What whoever owns the console's process would send, with everything in it that the policy asks for."""
    by = maker.identity.pk
    facts = {"kind": change.kind, "hour": now.hour, "maker": str(by), "lane": "shut"}
    values = {
        "id": uuid4(),
        "kind": change.kind,
        "deployment": "test",
        "payload": canonical.encode(
            changes.payload(change, deployment="test", maker=by, name="X", reason="because")
        ),
        "nonce": uuid4().bytes * 2,
        "maker_id": by,
        "subject": f"access.identity/{change.person}",
        "teams": {"officers": 2},
        "rejections_needed": 1,
        "policy_version": 1,
        "rule": "the staff",
        "floor": {"officers": 2},
        "facts": facts | changes.told(change, maker=by, way_back=way_back),
        "was_for_lane": False,
        "agreeing": "approve",
        "state": "open",
        "approve_within": timedelta(hours=1),
        "execute_within": timedelta(hours=1),
        **columns,
    }
    given = [json.dumps(value) if isinstance(value, dict) else value for value in values.values()]
    places = ", ".join(["%s"] * len(values))
    return f"INSERT INTO approvals_request ({', '.join(values)}) VALUES ({places})", *given


def test_are_asked_for_by_nobody_below_them_by_sql(seniors: Staff, now: datetime) -> None:
    ben, eve = seniors.ben.identity.pk, seniors.eve.identity.pk
    suspend(seniors.ben, seniors, now)
    many = {"officers": 2, "compliance": 1, "treasury": 1}
    above = "above the role of whoever asks"
    with as_the_console():
        for change in (rebind(ben), add_passkey(ben), changes.Restore(ben)):
            refused(*request_sql(seniors.sam, change, now), match=above)
            way_back: dict[str, Any] = {"way_back": True, "floor": many, "teams": many}
            refused(*request_sql(seniors.sam, change, now, **way_back), match=above)
        role = changes.GrantRole(eve, "senior_officer")
        refused(*request_sql(seniors.ana, role, now), match=above)
        joins = changes.Join(uuid4(), "X", "x@example.com", "x", ("auditor", "treasury_signer"))
        refused(*request_sql(seniors.ana, joins, now), match=above)
        unknown = changes.GrantRole(eve, "king")
        refused(*request_sql(seniors.cy, unknown, now), match=above)
        own = changes.GrantRole(seniors.cy.identity.pk, "auditor")
        refused(*request_sql(seniors.cy, own, now), match="nobody asks for a role for themselves")
        own = changes.GrantRole(seniors.cy.identity.pk, "auditor", hours=1)
        refused(*request_sql(seniors.cy, own, now), match="nobody asks for a role for themselves")
        disguised = {"subject": f"access.identity/{eve}"}
        refused(*request_sql(seniors.cy, rebind(ben), now, **disguised), match="about something else")
        sql, *values = request_sql(seniors.cy, rebind(ben), now)
        with connection.cursor() as cursor:
            cursor.execute(sql, values)


def test_come_back_by_nobody_fewer_by_sql(alone: Staff, now: datetime) -> None:
    ben = rebind(alone.ben.identity.pk)
    many = {"officers": 2, "compliance": 1, "treasury": 1}
    few: list[dict[str, Any]] = [
        {"way_back": True},
        {"way_back": True, "floor": {"officers": 3}, "teams": many | {"officers": 3}},
        {"way_back": True, "floor": {"officers": 2, "compliance": 1}, "teams": many},
        {"floor": many, "teams": many},
    ]
    with as_the_console():
        for terms in few:
            refused(*request_sql(alone.sam, ben, now, **terms), match="asks for more people")
        sql, *values = request_sql(alone.sam, ben, now, way_back=True, floor=many, teams=many)
        with connection.cursor() as cursor:
            cursor.execute(sql, values)


def test_are_answered_by_nobody_who_has_an_interest_by_sql(seniors: Staff, now: datetime) -> None:
    """Of every kind of change: not by whoever asks, nor by whom it is about, nor twice by anybody."""
    ben, eve = seniors.ben, seniors.eve
    lost = ben.passkey.credential_id
    found = [
        propose(seniors.cy, change, now)
        for change in (
            changes.GrantRole(ben.identity.pk, "auditor"),
            changes.EndRole(ben.identity.pk, "treasury_signer"),
            rebind(ben.identity.pk),
            add_passkey(ben.identity.pk),
            changes.RevokePasskey(ben.identity.pk, lost),
            changes.Leave(ben.identity.pk),
        )
    ]
    suspend(eve, seniors, now)
    found.append(propose(seniors.cy, changes.Restore(eve.identity.pk), now))
    found.append(propose(seniors.cy, changes.Join(uuid4(), "X", "x@example.com", "x", ("auditor",)), now))
    assert {row.kind for row in found} == changes.BY_KIND.keys()
    with as_the_console(), connection.cursor() as cursor:
        for row in found:
            sql, values = signature_sql(seniors.cy, row)
            refused(sql, *values, match=r"signature_\w*maker")
            cursor.execute(*signature_sql(seniors.ana, row))
            sql, values = signature_sql(seniors.ana, row)
            refused(sql, *values, match="signature_person_once")
            if row.subject == f"access.identity/{ben.identity.pk}":
                for changed in ({}, {"verb": "reject", "reason": "because"}):
                    sql, values = signature_sql(ben, row, **changed)
                    refused(sql, *values, match="about the officer")


def test_are_granted_for_a_shift_by_those_alone_who_could_by_sql(seniors: Staff, now: datetime) -> None:
    sam = seniors.sam.identity.pk
    row = propose(seniors.sam, changes.GrantRole(sam, "senior_officer", hours=2), now)
    with as_the_console():
        sql, values = signature_sql(seniors.ana, row)
        refused(sql, *values, match="does not grant this one")
    sign(seniors.ben, row, now)
    RoleGrant.objects.filter(identity=seniors.ben.identity, role="senior_officer").update(revoked_at=now)
    with pytest.raises(StepRefused, match="own role does not grant this one"):
        sign(seniors.cy, row, now)


def test_are_judged_by_one_table_in_the_code_and_in_the_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT role, granter FROM staff_granted_by()")
        assert set(cursor.fetchall()) == {
            (role.value, granter.value) for role, granters in GRANTED_BY.items() for granter in granters
        }
        cursor.execute("SELECT team, role FROM staff_teams()")
        assert set(cursor.fetchall()) == {
            (team, role.value) for team, roles in TEAMS.items() for role in roles
        }


def test_ask_for_the_same_people_in_the_code_and_in_the_database(staff: Staff, now: datetime) -> None:
    rng = random.Random(7)
    people = [getattr(staff, name).identity.pk for name in ("ana", "ben", "cy", "dot", "eve", "sam")]
    roles = sorted(set(Role) - {Role.BREAK_GLASS})
    asked = set()
    for _ in range(40):
        RoleGrant.objects.filter(revoked_at=None).update(revoked_at=now)
        some = rng.sample(roles, 2)
        for person in people:
            for role in rng.sample(some, rng.randint(0, 2)):
                RoleGrant.objects.create(identity_id=person, role=role, granted_at=now)
        maker, person = rng.sample(people, 2)
        ours = ranks.way_back(maker=maker, person=person, now=now)
        with connection.cursor() as cursor:
            cursor.execute("SELECT staff_way_back(%s, %s)", [maker, person])
            assert json.loads(cursor.fetchone()[0]) == ours
        asked.add(tuple(sorted(ours)))
    assert len(asked) == 4, "every size of quorum was seen"
