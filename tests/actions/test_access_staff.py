"""The staff …"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, IntegrityError, connection, transaction

from core.access import allowed, powers, teams_of
from core.access.actions.founding import FoundedAlready, found_staff
from core.access.models import Identity, Kind, OfficerCredential, RoleGrant
from core.access.permissions import UnknownPermission, registered
from core.access.roles import GRANTED_BY, HOLDERS, TEAMS, Role, _parsed, permissions_of
from core.audit.models import AuditEvent
from tests.officers import STAFF_FILE, Staff

pytestmark = pytest.mark.django_db


def test_is_founded_once(staff: Staff, now: datetime) -> None:
    with pytest.raises(FoundedAlready):
        found_staff(people=[], actor=staff.sam.actor, now=now)
    names = [event.doc["action"] for event in AuditEvent.objects.order_by("id")]
    assert names == ["access.staff.founded", "factors.staff.founded", "access.staff.founded.refused"]


def test_is_founded_from_a_file_by_a_command() -> None:
    out = StringIO()
    call_command("found_staff", str(STAFF_FILE), stdout=out)
    assert out.getvalue() == "enrolled 6 officers and 1 services\n"
    assert Identity.objects.get(email="ben@countersign.example").access_subject
    with pytest.raises(CommandError, match="officers already"):
        call_command("found_staff", str(STAFF_FILE))


@pytest.mark.parametrize("version", [True, 2, "1"])
def test_is_founded_from_no_file_of_another_version(version: object, tmp_path: Path) -> None:
    file = tmp_path / "staff.json"
    file.write_text(json.dumps({**json.loads(STAFF_FILE.read_text()), "v": version}))
    with pytest.raises(CommandError, match="no staff file of version 1"):
        call_command("found_staff", str(file))
    assert not Identity.objects.filter(email="ben@countersign.example").exists()


def test_may_do_what_their_roles_say(staff: Staff, now: datetime) -> None:
    assert allowed(staff.ben.identity, "custody:withdrawal:approve", now)
    assert not allowed(staff.ana.identity, "custody:withdrawal:approve", now)
    assert allowed(staff.ana.identity, "custody:withdrawal:release", now)
    assert powers(staff.eve.identity, now) == frozenset()
    assert not any(allowed(None, permission, now) for permission in registered())
    assert teams_of(staff.ben.identity, now) == {"treasury", "officers"}
    assert teams_of(staff.sam.identity, now) == frozenset()


def test_who_is_suspended_may_nothing(staff: Staff, now: datetime) -> None:
    Identity.objects.filter(pk=staff.ben.identity.pk).update(is_active=False)
    assert powers(staff.ben.identity, now) == frozenset()
    assert teams_of(staff.ben.identity, now) == frozenset()


def test_holds_a_role_from_its_beginning_to_its_end(staff: Staff, now: datetime) -> None:
    RoleGrant.objects.create(
        identity=staff.eve.identity,
        role=Role.SRE,
        granted_at=now,
        valid_until=now + timedelta(hours=1),
    )
    moments = [now - timedelta(seconds=1), now, now + timedelta(minutes=59), now + timedelta(hours=1)]
    assert [allowed(staff.eve.identity, "health:probe:read", moment) for moment in moments] == [
        False,
        True,
        True,
        False,
    ]


def test_gets_no_answer_for_a_permission_that_does_not_exist(staff: Staff, now: datetime) -> None:
    with pytest.raises(UnknownPermission):
        allowed(staff.ana.identity, "custody:withdrawal:aprove", now)


def test_customers_hold_no_role_even_if_one_is_granted(now: datetime) -> None:
    tom = Identity.objects.create(kind=Kind.CUSTOMER, email="tom@example.com", display_name="Tom")
    RoleGrant.objects.create(identity=tom, role=Role.SENIOR_OFFICER, granted_at=now)
    assert powers(tom, now) == frozenset()


def test_table_and_registry_name_the_same_permissions() -> None:
    assert set(HOLDERS) == set(registered())
    assert all(HOLDERS.values())


def test_table_leaves_nobody_out() -> None:
    for role in set(Role) - {Role.COLLECTOR}:
        assert "console:home:read" in permissions_of(frozenset({role}))
    assert set(GRANTED_BY) == set(Role)
    assert {role for members in TEAMS.values() for role in members} < set(Role)


def test_auditor_and_support_only_read() -> None:
    for role in (Role.AUDITOR, Role.SUPPORT):
        # Their own authenticators; and an export takes nothing that an auditor may not read on the screen.
        held = permissions_of(frozenset({role})) - {"factors:own:manage", "audit:event:export"}
        assert {permission.rpartition(":")[2] for permission in held} == {"read"}


def test_whoever_approves_a_payment_does_not_make_it() -> None:
    for what in ("refill", "adjustment"):
        makers, checkers = HOLDERS[f"custody:{what}:propose"], HOLDERS[f"custody:{what}:approve"]
        assert makers & checkers <= {Role.SENIOR_OFFICER}
    assert Role.TREASURY_MAKER not in HOLDERS["custody:withdrawal:approve"]


def test_gives_programs_nothing_of_the_console() -> None:
    assert permissions_of(frozenset({Role.COLLECTOR})) == {"health:probe:read"}


@pytest.mark.parametrize("line", ["a:b:c x", "a:b:c x x x x x x x y"])
def test_table_with_a_crooked_line_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="crooked"):
        _parsed(f"head\n{line}")


def test_table_with_a_permission_twice_is_refused() -> None:
    line = "a:b:c x x x x x x x x"
    with pytest.raises(ValueError, match="twice"):
        _parsed(f"head\n{line}\n{line}")


def refused(sql: str, *values: object, match: str) -> None:
    with pytest.raises(DatabaseError, match=match), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql, values)


def test_never_becomes_a_customer(staff: Staff) -> None:
    refused("UPDATE access_identity SET kind = 'customer', access_subject = NULL", match="keeps every column")


def test_is_never_deleted(staff: Staff) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    refused("DELETE FROM access_identity", match="keeps its rows")
    refused("TRUNCATE access_identity CASCADE", match="keeps its rows")


def test_grants_are_not_rewritten(staff: Staff, now: datetime) -> None:
    refused("UPDATE access_role_grant SET role = 'senior_officer'", match="keeps every column")
    RoleGrant.objects.filter(identity=staff.ben.identity).update(revoked_at=now)
    refused("UPDATE access_role_grant SET revoked_at = NULL", match="ended already")


def test_passkeys_are_not_exchanged(staff: Staff) -> None:
    refused(
        "UPDATE access_officer_credential SET public_key = '04' || repeat('0', 128)",
        match="keeps every column",
    )
    refused(
        "UPDATE access_officer_credential SET officer_id = %s",
        staff.eve.identity.pk,
        match="keeps every column",
    )


@pytest.mark.parametrize(
    "values",
    [
        {"kind": "root", "email": "x@example.com"},
        {"kind": "customer", "email": "x@example.com", "access_subject": "s"},
        {"kind": "officer", "email": ""},
        {"kind": "service", "email": "x@example.com"},
        {"kind": "officer", "email": "x@example.com", "access_subject": ""},
        {"kind": "officer", "email": "ben@countersign.example"},
    ],
)
def test_identities_make_sense(staff: Staff, values: dict[str, str]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Identity.objects.create(display_name="X", **values)


def test_passkeys_are_points_of_the_curve_by_their_form(staff: Staff, now: datetime) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        OfficerCredential.objects.create(
            officer=staff.eve.identity,
            credential_id=str(uuid4()),
            public_key="04abcd",
            label="x",
            added_at=now,
        )
