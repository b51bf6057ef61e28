"""Breaking the glass …"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction

from core import clock
from core.access import allowed, powers, teams_of
from core.access.models import RoleGrant
from core.access.roles import BREAK_GLASS, HOLDERS, TEAMS, Role
from core.actor import Actor
from core.audit.models import AuditEvent
from core.factors import queries
from core.factors.actions import ask_glass, end_glass, open_glass
from core.factors.actions.emergencies import BrokenSeal, NoSealedKey, NotBroken, SameTwo, TwoPeople
from core.factors.domain.glass import NEXT, State
from core.factors.models import Glass, Passkey
from core.health import probes
from core.outbox.models import OutboxMessage
from core.refusals import NotAllowed
from core.staff.actions.proposals import AboveOwnRole, propose_change
from core.staff.domain import changes
from tests import doors
from tests.actions.test_factors_enrolment import register, sign
from tests.emergencies import at_the_safe
from tests.officers import SAFES, Officer, Staff, sealed_key
from tests.sql import refused

pytestmark = pytest.mark.django_db


def holding(officer: Officer, safe: str = SAFES[0]) -> Actor:
    return replace(officer.actor, proof=at_the_safe(officer, safe))


def broken(staff: Staff) -> Glass:
    """Dot the auditor and Ana are the only ones in the building."""
    row = ask_glass(reason="the vault is on fire", actor=holding(staff.dot), now=clock.now())
    return open_glass(glass_id=row.pk, actor=holding(staff.ana, SAFES[1]), now=clock.now())


def two_more_keys(staff: Staff) -> tuple[str, str]:
    """Two more safes have a key each."""
    more = ("next door", "at the bank")
    for safe in more:
        request = register(staff.ana, sealed_key(safe), sealed=True)
        for officer in (staff.ben, staff.cy):
            sign(officer, request)
    return more


def over(row: Glass) -> None:
    """Its half hour has passed."""
    unguarded(f"UPDATE factors_glass SET ends_at = clock_timestamp() WHERE id = '{row.pk}'")


def unguarded(statement: str) -> None:
    """Set a scene past the table's triggers."""
    settled = ("SET CONSTRAINTS ALL IMMEDIATE", "SET CONSTRAINTS ALL DEFERRED")
    switched = [f"ALTER TABLE factors_glass {way} TRIGGER USER" for way in ("DISABLE", "ENABLE")]
    with connection.cursor() as cursor:
        for each in (*settled, switched[0], statement, *settled, switched[1]):
            cursor.execute(each)


def test_takes_two_people_and_two_keys(staff: Staff) -> None:
    now = clock.now()
    with pytest.raises(NoSealedKey):
        ask_glass(reason="fire", actor=staff.dot.actor, now=now)
    with pytest.raises(NotBroken, match="say what has happened"):
        ask_glass(reason=" \n", actor=holding(staff.dot), now=now)
    row = ask_glass(reason="fire", actor=holding(staff.dot), now=now)
    assert not allowed(staff.dot.identity, "freezes:freeze:pull", now)
    for actor in (holding(staff.dot, SAFES[1]), holding(staff.ana)):
        with pytest.raises(TwoPeople):
            open_glass(glass_id=row.pk, actor=actor, now=now)
    with pytest.raises(NoSealedKey):
        open_glass(
            glass_id=row.pk, actor=replace(staff.ana.actor, proof=f"factors.challenge/{row.pk}"), now=now
        )
    # Somebody else's ceremony is not mine.
    proof = at_the_safe(staff.cy, SAFES[1])
    with pytest.raises(NoSealedKey):
        open_glass(glass_id=row.pk, actor=replace(staff.ana.actor, proof=proof), now=now)
    opened = open_glass(glass_id=row.pk, actor=holding(staff.ana, SAFES[1]), now=now)
    assert opened.state == "open"
    assert allowed(staff.dot.identity, "freezes:freeze:pull", clock.now())


def test_lasts_half_an_hour_on_a_named_set_that_pays_nothing(staff: Staff) -> None:
    row = broken(staff)
    assert row.opened_at is not None
    assert row.ends_at == row.opened_at + timedelta(minutes=30)
    dot, now = staff.dot.identity, clock.now()
    assert powers(dot, now) >= BREAK_GLASS
    assert {each.rpartition(":")[2] for each in BREAK_GLASS} == {
        "read",
        "pull",
        "halt",
        "stop",
        "suspend",
        "manage",
    }
    assert not {each for each in BREAK_GLASS if each.startswith("audit:")}
    assert {each for each, holders in HOLDERS.items() if Role.BREAK_GLASS in holders} == BREAK_GLASS
    assert not any(Role.BREAK_GLASS in members for members in TEAMS.values())
    assert teams_of(dot, now) == frozenset()
    later = row.ends_at + timedelta(seconds=1)
    assert not allowed(dot, "freezes:freeze:pull", later)


def test_is_told_to_every_officer_and_shown_on_every_screen(
    staff: Staff, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    doors.open_doors(settings, monkeypatch)
    assert probes.read("break-glass", now=clock.now()).status == "up"
    row = broken(staff)
    for what in ("asked", "opened"):
        told = OutboxMessage.objects.filter(topic="factors.officer_alerted", body__what=what)
        assert told.count() == 6, what
    assert probes.read("break-glass", now=clock.now()).status == "down"
    page = doors.at_console(staff.sam.identity).get("/health/").content.decode()
    assert "The glass is broken by Dot Duarte and Ana Abelsen: the vault is on fire" in page
    # Anybody ends it from there.
    ended = doors.at_console(staff.sam.identity).post(f"/emergencies/{row.pk}/end")
    assert ended.status_code == 302
    page = doors.at_console(staff.sam.identity).get("/health/").content.decode()
    assert "The glass is broken by" not in page
    assert not allowed(staff.dot.identity, "freezes:freeze:pull", clock.now())
    told = OutboxMessage.objects.filter(topic="factors.officer_alerted", body__what="ended")
    assert told.count() == 6


def test_goes_over_http_with_the_keys_of_two_safes(
    staff: Staff, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    doors.open_doors(settings, monkeypatch)
    dot, ana = doors.at_console(staff.dot.identity), doors.at_console(staff.ana.identity)
    ana.safe = SAFES[1]
    assert dot.post("/freezes/pull", {"scope": "asset:BTC", "reason": "fire"}).status_code == 403
    # A person's own passkey is no key out of a safe.
    with monkeypatch.context() as without:
        without.setattr(doors, "sealed_key", lambda safe: staff.dot.key)
        own = dot.post("/emergencies/ask", {"reason": "fire"})
    assert own.status_code == 401
    assert 'data-code="factors.unknown"' in own.content.decode()
    assert dot.post("/emergencies/ask", {"reason": "fire"}).status_code == 302
    row = Glass.objects.get()
    assert ana.post(f"/emergencies/{row.pk}/second").status_code == 302
    assert dot.post("/freezes/pull", {"scope": "asset:BTC", "reason": "fire"}).status_code == 302
    grant = RoleGrant.objects.get(identity=staff.dot.identity, role=Role.BREAK_GLASS)
    deed = AuditEvent.objects.filter(doc__action="freezes.freeze.pulled").get().doc
    assert deed["actor"]["under"] == f"access.rolegrant/{grant.pk}"
    seen = doors.at_console(staff.sam.identity).get(f"/staff/elevations/{grant.pk}/").content.decode()
    assert "freezes.freeze.pulled" in seen


def test_gives_no_way_to_grant_it(staff: Staff) -> None:
    with pytest.raises(AboveOwnRole):
        propose_change(
            change=changes.GrantRole(staff.eve.identity.pk, "break_glass", 2),
            reason="x",
            actor=staff.ana.actor,
            now=clock.now(),
        )


def test_ends_once_and_waits_ten_minutes_for_the_second(staff: Staff) -> None:
    now = clock.now()
    row = ask_glass(reason="fire", actor=holding(staff.dot), now=now)
    assert queries.glass_waiting() == row
    unguarded("UPDATE factors_glass SET asked_at = clock_timestamp() - interval '10 minutes'")
    assert queries.glass_waiting() is None
    with pytest.raises(NotBroken, match="too long ago"):
        open_glass(glass_id=row.pk, actor=holding(staff.ana, SAFES[1]), now=now)
    end_glass(glass_id=row.pk, actor=staff.sam.actor, now=now)
    with pytest.raises(NotBroken):
        end_glass(glass_id=row.pk, actor=staff.sam.actor, now=now)
    with pytest.raises(NotAllowed):
        end_glass(glass_id=broken(staff).pk, actor=staff.eve.actor, now=now)
    with pytest.raises(NotBroken, match="lasts already"):
        ask_glass(reason="fire", actor=holding(staff.sam), now=now)


def test_opens_no_second_time_with_the_same_keys_whoever_holds_them(staff: Staff) -> None:
    """Two people who have been to both safes would else go on for ever, half an hour after half an hour."""
    over(broken(staff))
    now = clock.now()
    assert probes.read("break-glass", now=now).status == "degraded"
    for officer, safe in ((staff.dot, SAFES[0]), (staff.ana, SAFES[0]), (staff.sam, SAFES[1])):
        with pytest.raises(BrokenSeal):
            ask_glass(reason="still fire", actor=holding(officer, safe), now=now)
    # For SQL neither, as the first key or as the second.
    keys = dict(Passkey.objects.filter(sealed=True).values_list("name", "pk"))
    begins = (
        "INSERT INTO factors_glass (id, state, reason, asked_by_id, first_key_id)"
        f" VALUES (gen_random_uuid(), 'asked', 'x', '{staff.dot.identity.pk}', '{keys['safe 1']}')"
    )
    refused(begins, match="begins with one sealed key")


def test_is_not_for_the_same_two_again_in_one_night_whatever_keys_there_are(staff: Staff) -> None:
    """They have been to all four safes."""
    more = two_more_keys(staff)
    first = broken(staff)
    over(first)
    row = ask_glass(reason="still fire", actor=holding(staff.ana, more[0]), now=clock.now())
    with pytest.raises(SameTwo, match="anybody else on the staff"):
        open_glass(glass_id=row.pk, actor=holding(staff.dot, more[1]), now=clock.now())
    fourth = Passkey.objects.get(credential_id=sealed_key(more[1]).credential_id).pk
    opens = "UPDATE factors_glass SET state = 'open', seconded_by_id = %s, second_key_id = %s WHERE id = %s"
    refused(opens, staff.dot.identity.pk, fourth, row.pk, match="same two people")
    unguarded(
        "UPDATE factors_glass SET opened_at = opened_at - interval '12 hours',"
        f" ends_at = ends_at - interval '12 hours' WHERE id = '{first.pk}'"
    )
    opened = open_glass(glass_id=row.pk, actor=holding(staff.dot, more[1]), now=clock.now())
    assert opened.state == "open", "the next night they may"


def test_is_for_one_of_the_same_two_and_anybody_else_in_one_night(staff: Staff) -> None:
    more = two_more_keys(staff)
    over(broken(staff))
    row = ask_glass(reason="still fire", actor=holding(staff.ana, more[0]), now=clock.now())
    opened = open_glass(glass_id=row.pk, actor=holding(staff.sam, more[1]), now=clock.now())
    assert allowed(staff.sam.identity, "access:staff:suspend", clock.now())
    assert {opened.asked_by_id, opened.seconded_by_id} == {staff.ana.identity.pk, staff.sam.identity.pk}


def test_lasts_alone_however_many_were_asked_for_before(staff: Staff) -> None:
    """Two that were asked for by the same two, each by one of them, are one emergency and not two."""
    now = clock.now()
    one = ask_glass(reason="fire", actor=holding(staff.dot), now=now)
    other = ask_glass(reason="fire", actor=holding(staff.ana, SAFES[1]), now=now)
    late = replace(staff.dot.actor, proof=at_the_safe(staff.dot))
    opened = open_glass(glass_id=one.pk, actor=holding(staff.ana, SAFES[1]), now=now)
    with pytest.raises((NotBroken, BrokenSeal)):
        open_glass(glass_id=other.pk, actor=late, now=now)
    opens = (
        f"UPDATE factors_glass SET state = 'open', seconded_by_id = '{staff.dot.identity.pk}',"
        f" second_key_id = first_key_id WHERE id = '{other.pk}'"
    )
    refused(opens, match=r"second sealed key|lasts already|broken once")
    end_glass(glass_id=opened.pk, actor=staff.sam.actor, now=clock.now())
    assert not RoleGrant.objects.filter(role=Role.BREAK_GLASS, revoked_at=None).exists()


OPENS = "UPDATE factors_glass SET state = 'open', "
ANA = "(SELECT id FROM access_identity WHERE email LIKE 'ana%')"
KEY = "(SELECT id FROM factors_passkey WHERE {} LIMIT 1)"
GRANTS = (
    "INSERT INTO access_role_grant (id, identity_id, role, granted_at, valid_until, request)"
    " SELECT gen_random_uuid(), asked_by_id, 'break_glass', now(), now() + interval '30 minutes', id"
    " FROM factors_glass"
)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE factors_glass SET state = 'open'",
        f"{OPENS} seconded_by_id = asked_by_id, second_key_id = {KEY.format('sealed')}",
        f"{OPENS} seconded_by_id = {ANA}, second_key_id = first_key_id",
        f"{OPENS} seconded_by_id = {ANA}, second_key_id = {KEY.format('NOT sealed')}",
        "UPDATE factors_glass SET ends_at = now() + interval '1 day'",
        "DELETE FROM factors_glass",
        GRANTS,
    ],
)
def test_takes_two_against_sql_as_well(staff: Staff, statement: str) -> None:
    ask_glass(reason="fire", actor=holding(staff.dot), now=clock.now())
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


def test_has_one_table_of_steps_in_code_and_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT prosrc FROM pg_proc WHERE proname = 'factors_glass_moves'")
        source = cursor.fetchone()[0]
    for before in State:
        for after in State:
            assert (f"('{before}', '{after}')" in source) == (after in NEXT[before])


def test_never_uses_a_sealed_key_for_anything_else(staff: Staff) -> None:
    from tests.actions.test_factors_ceremonies import act, answered, asked, touched

    row, digest = asked(staff.ana, act()), act()
    given = touched(staff.ana, row, digest)
    sealed = Passkey.objects.get(name="safe 1")
    assert sealed.user_id == staff.ana.identity.pk, "she registered it"
    given = replace(given, credential_id=sealed.credential_id)
    assert answered(staff.ana, row, given, digest).fault == "factors.unknown"
    assert sealed not in queries.active(staff.ana.identity)
