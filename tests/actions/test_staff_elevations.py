"""A role held for a shift …"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from core import clock
from core.access import allowed, rights, teams_of
from core.access.models import OfficerCredential, RoleGrant
from core.access.roles import Role
from core.approvals import kinds
from core.approvals.actions import submit_signature
from core.approvals.actions.signatures import ConflictOfInterest, MakerCannotCheck, NotInQuorum
from core.approvals.models import ApprovalRequest
from core.audit.models import AuditEvent
from core.refusals import NotFound
from core.staff import queries
from core.staff.actions import end_elevation, propose_change, revoke_passkey
from core.staff.actions.elevations import EndedAlready
from core.staff.actions.proposals import AboveOwnRole, OwnRole
from core.staff.actions.revocations import RevokedAlready
from core.staff.domain import changes
from tests import doors
from tests.officers import Officer, Staff, enrol

pytestmark = pytest.mark.django_db


@pytest.fixture
def seniors(db: None, now: datetime) -> Staff:
    """Ben and Cy are senior officers as well, and may grant every role."""
    return enrol(now=now, more={"ben": Role.SENIOR_OFFICER, "cy": Role.SENIOR_OFFICER})


def ask(
    officer: Officer, role: str, now: datetime, *, hours: int = 2, of: Officer | None = None
) -> ApprovalRequest:
    change = changes.GrantRole((of or officer).identity.pk, role, hours)
    return propose_change(change=change, reason="the log is needed", actor=officer.actor, now=now)


def sign(officer: Officer, request: ApprovalRequest, now: datetime) -> ApprovalRequest:
    return submit_signature(
        request_id=request.pk, signed=officer.answer(request), actor=officer.actor, now=now
    )


def held(staff: Staff, role: str, now: datetime) -> RoleGrant:
    """Sam asks for it, Ben and Cy grant it."""
    request = ask(staff.sam, role, now)
    sign(staff.ben, request, now)
    sign(staff.cy, request, now)
    return RoleGrant.objects.get(identity=staff.sam.identity, role=role, request=request.pk)


def test_is_asked_for_by_an_sre_and_ends_by_itself(seniors: Staff, now: datetime) -> None:
    sam = seniors.sam.identity
    assert not allowed(sam, "kyc:case:read", now)
    grant = held(seniors, "support", now)
    assert grant.valid_until == now + timedelta(hours=2)
    assert allowed(sam, "kyc:case:read", now + timedelta(minutes=119))
    assert not allowed(sam, "kyc:case:read", now + timedelta(hours=2))
    found = queries.elevation(grant.pk, officer=seniors.dot.identity, now=now)
    assert (found.reason, found.in_force) == ("the log is needed", True)


def test_is_asked_for_oneself_by_no_one_else_and_never_for_good(seniors: Staff, now: datetime) -> None:
    with pytest.raises(OwnRole):
        ask(seniors.ben, "auditor", now)
    with pytest.raises(OwnRole):
        ask(seniors.sam, "auditor", now, hours=0)


def test_is_granted_by_those_alone_who_may_grant_it(now: datetime) -> None:
    staff = enrol(now=now, more={"ben": Role.SENIOR_OFFICER})
    request = ask(staff.sam, "treasury_signer", now)
    with pytest.raises(MakerCannotCheck):
        sign(staff.sam, request, now)
    sign(staff.ben, request, now)
    for officer in (staff.cy, staff.ana):
        with pytest.raises(ConflictOfInterest, match="Your own role does not grant this one"):
            sign(officer, request, now)
    assert not RoleGrant.objects.filter(identity=staff.sam.identity, role="treasury_signer").exists()


def test_gives_no_seat_in_any_quorum(seniors: Staff, now: datetime) -> None:
    held(seniors, "senior_officer", now)
    sam = seniors.sam.identity
    assert allowed(sam, "custody:withdrawal:approve", now)
    assert teams_of(sam, now) == frozenset()
    request = ask(seniors.ana, "support", now, of=seniors.eve)
    assert kinds.named(request.kind).permission in rights.powers(sam, now)
    with pytest.raises(NotInQuorum):
        sign(seniors.sam, request, now)


def test_grants_nothing_on(seniors: Staff, now: datetime) -> None:
    held(seniors, "senior_officer", now)
    with pytest.raises(AboveOwnRole):
        ask(seniors.sam, "senior_officer", now, of=seniors.eve)
    second = ask(seniors.ana, "support", now, of=seniors.eve)
    assert second.state == "open"


def test_ends_at_once_by_its_holder_or_who_may_suspend(seniors: Staff, now: datetime) -> None:
    grant = held(seniors, "support", now)
    with pytest.raises(NotFound):
        end_elevation(grant=grant.pk, actor=seniors.dot.actor, now=now)
    end_elevation(grant=grant.pk, actor=seniors.ana.actor, now=now)
    assert not allowed(seniors.sam.identity, "kyc:case:read", now)
    with pytest.raises(EndedAlready):
        end_elevation(grant=grant.pk, actor=seniors.sam.actor, now=now)
    standing = RoleGrant.objects.get(identity=seniors.sam.identity, role="sre")
    with pytest.raises(NotFound):
        end_elevation(grant=standing.pk, actor=seniors.ana.actor, now=now)


def test_that_was_granted_twice_ends_as_one(seniors: Staff, now: datetime) -> None:
    first, second = held(seniors, "support", now), held(seniors, "support", now)
    end_elevation(grant=first.pk, actor=seniors.ana.actor, now=now)
    assert not allowed(seniors.sam.identity, "kyc:case:read", now)
    ended = AuditEvent.objects.filter(doc__action="staff.elevation.ended")
    assert {event.doc["target"] for event in ended} == {
        f"access.rolegrant/{grant.pk}" for grant in (first, second)
    }


def test_is_named_by_everything_that_was_done_in_it(
    seniors: Staff, now: datetime, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    doors.open_doors(settings, monkeypatch)
    moment = clock.now()
    client = doors.at_console(seniors.sam.identity)
    client.post("/freezes/pull", {"scope": "asset:BTC", "reason": "before"})
    grant = held(seniors, "support", moment)
    client.post("/freezes/pull", {"scope": "wallet:hot", "reason": "in it"})
    assert client.get("/audit/").status_code == 200
    found = queries.elevation(grant.pk, officer=seniors.dot.identity, now=moment)
    assert [(event.doc["action"], event.doc["reason"]) for event in found.deeds] == [
        ("freezes.freeze.pulled", "in it")
    ]
    end_elevation(grant=grant.pk, actor=seniors.sam.actor, now=clock.now())
    client.post("/freezes/pull", {"scope": "wallet:cold", "reason": "after"})
    found = queries.elevation(grant.pk, officer=seniors.dot.identity, now=moment)
    assert len(found.deeds) == 1
    page = doors.at_console(seniors.dot.identity).get(f"/staff/elevations/{grant.pk}/").content.decode()
    assert "in it" in page
    assert "the log is needed" in page


def test_is_not_how_a_signing_passkey_ends_which_is_at_once(seniors: Staff, now: datetime) -> None:
    key = OfficerCredential.objects.get(officer=seniors.cy.identity)
    with pytest.raises(NotFound):
        revoke_passkey(credential=key.pk, reason="x", actor=seniors.dot.actor, now=now)
    revoke_passkey(credential=key.pk, reason="stolen", actor=seniors.sam.actor, now=now)
    with pytest.raises(RevokedAlready):
        revoke_passkey(credential=key.pk, reason="stolen", actor=seniors.cy.actor, now=now)
    assert AuditEvent.objects.order_by("-id")[1].doc["action"] == "staff.passkey.revoked"
    request = ask(seniors.ana, "support", now, of=seniors.eve)
    with pytest.raises(Exception, match="not enrolled for you"):
        sign(seniors.cy, request, now)
