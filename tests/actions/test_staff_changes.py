"""A change to the staff …"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from django.db import DatabaseError, connection, transaction

from core.access import allowed, rights
from core.access.models import Identity, OfficerCredential, RoleGrant
from core.access.roles import GRANTED_BY, Role
from core.approvals.actions import submit_signature
from core.approvals.actions.signatures import ConflictOfInterest, MakerCannotCheck
from core.approvals.models import ApprovalRequest
from core.audit.models import AuditEvent
from core.refusals import NotAllowed, NotFound, Refused
from core.staff import queries
from core.staff.actions import proposals, propose_change, suspend_person, suspensions
from core.staff.applying import NothingToChange
from core.staff.domain import changes
from fixtures.authenticator import AAGUID, Authenticator
from kernel import canonical
from tests.officers import Officer, Staff, enrol
from tests.sql import signature_sql

NEWCOMER = uuid4()
JOIN = changes.Join(NEWCOMER, "Ida Iversen", "ida@countersign.example", "sub-ida", ("auditor", "support"))


def propose(
    officer: Officer, change: changes.Change, now: datetime, reason: str = "agreed"
) -> ApprovalRequest:
    return propose_change(change=change, reason=reason, actor=officer.actor, now=now)


def sign(officer: Officer, request: ApprovalRequest, now: datetime) -> ApprovalRequest:
    return submit_signature(
        request_id=request.pk, signed=officer.answer(request), actor=officer.actor, now=now
    )


def carry(staff: Staff, change: changes.Change, now: datetime) -> ApprovalRequest:
    """Ana proposes, Ben and Cy agree."""
    request = propose(staff.ana, change, now)
    sign(staff.ben, request, now)
    return sign(staff.cy, request, now)


def events() -> list[str]:
    return [event.doc["action"] for event in AuditEvent.objects.order_by("id")]


@pytest.mark.django_db
def test_waits_for_two_others(staff: Staff, now: datetime) -> None:
    request = propose(staff.ana, JOIN, now)
    sign(staff.ben, request, now)
    assert not Identity.objects.filter(pk=NEWCOMER).exists()
    with pytest.raises(MakerCannotCheck):
        sign(staff.ana, request, now)
    assert sign(staff.cy, request, now).state == "consumed"
    ida = Identity.objects.get(pk=NEWCOMER)
    assert (ida.access_subject, ida.kind, ida.is_active) == ("sub-ida", "officer", True)
    assert rights.roles_of(ida, now) == {Role.AUDITOR, Role.SUPPORT}
    assert set(RoleGrant.objects.filter(identity=ida).values_list("request", flat=True)) == {request.pk}
    assert events()[-2:] == ["approvals.request.signed", "staff.person.joined"]


@pytest.mark.django_db
def test_is_signed_with_everything_that_it_does(staff: Staff, now: datetime) -> None:
    request = propose(staff.ana, JOIN, now)
    payload = canonical.decode_object(bytes(request.payload))
    assert payload == {
        "v": 1,
        "kind": "staff.join",
        "deployment": "test",
        "maker": str(staff.ana.identity.pk),
        "person": str(NEWCOMER),
        "person_name": "Ida Iversen",
        "reason": "agreed",
        "name": "Ida Iversen",
        "email": "ida@countersign.example",
        "subject": "sub-ida",
        "roles": ["auditor", "support"],
    }
    assert changes.read(bytes(request.payload)) == JOIN


@pytest.mark.django_db
def test_gives_and_takes_a_role(staff: Staff, now: datetime) -> None:
    eve = staff.eve.identity
    carry(staff, changes.GrantRole(eve.pk, "auditor"), now)
    assert allowed(eve, "audit:event:read", now)
    carry(staff, changes.EndRole(eve.pk, "auditor"), now)
    assert not allowed(eve, "audit:event:read", now)


@pytest.mark.django_db
def test_gives_a_role_for_a_shift(staff: Staff, now: datetime) -> None:
    eve = staff.eve.identity
    carry(staff, changes.GrantRole(eve.pk, "support", hours=4), now)
    later = [now, now + timedelta(hours=3, minutes=59), now + timedelta(hours=4)]
    assert [allowed(eve, "kyc:case:read", moment) for moment in later] == [True, True, False]


@pytest.mark.django_db
def test_ends_everything_when_somebody_leaves(staff: Staff, now: datetime) -> None:
    carry(staff, changes.Leave(staff.dot.identity.pk), now)
    assert rights.roles_of(staff.dot.identity, now) == frozenset()
    assert not Identity.objects.get(pk=staff.dot.identity.pk).is_active
    assert not OfficerCredential.objects.filter(officer=staff.dot.identity, revoked_at=None).exists()


@pytest.mark.django_db
def test_binds_an_account_anew(staff: Staff, now: datetime) -> None:
    carry(staff, changes.Rebind(staff.dot.identity.pk, "sub-dot-2"), now)
    assert Identity.objects.get(pk=staff.dot.identity.pk).access_subject == "sub-dot-2"
    request = propose(staff.ana, changes.Rebind(staff.eve.identity.pk, "sub-dot-2"), now)
    sign(staff.ben, request, now)
    with pytest.raises(NothingToChange):
        sign(staff.cy, request, now)


@pytest.mark.django_db
def test_adds_and_revokes_a_passkey(staff: Staff, now: datetime) -> None:
    spare = Authenticator()
    add = changes.AddPasskey(
        staff.ana.identity.pk,
        spare.credential_id,
        spare.public_key_hex,
        "blue key",
        str(AAGUID),
        "packed",
    )
    carry(staff, add, now)
    row = OfficerCredential.objects.get(credential_id=spare.credential_id)
    assert (row.officer, row.added_by, row.label) == (staff.ana.identity, staff.ana.identity, "blue key")
    carry(staff, changes.RevokePasskey(staff.ana.identity.pk, spare.credential_id), now)
    row.refresh_from_db()
    assert row.revoked_at == now


@pytest.mark.django_db
def test_to_ones_own_passkeys_may_be_asked_by_anybody(staff: Staff, now: datetime) -> None:
    lost = changes.RevokePasskey(staff.ben.identity.pk, staff.ben.passkey.credential_id)
    assert propose(staff.ben, lost, now, "lost on the train").state == "open"
    with pytest.raises(NotAllowed):
        propose(staff.ben, changes.RevokePasskey(staff.cy.identity.pk, "x"), now)


@pytest.mark.django_db
def test_is_not_answered_by_whom_it_concerns(staff: Staff, now: datetime) -> None:
    request = propose(staff.ana, changes.EndRole(staff.ben.identity.pk, "treasury_signer"), now)
    with pytest.raises(ConflictOfInterest, match="about yourself"):
        sign(staff.ben, request, now)


@pytest.mark.django_db
@pytest.mark.parametrize("role", sorted(Role))
def test_grants_nothing_above_the_makers_own_role(staff: Staff, now: datetime, role: Role) -> None:
    change = changes.GrantRole(staff.eve.identity.pk, role.value)
    held = rights.roles_of(staff.ana.identity, now)
    if held & GRANTED_BY[role]:
        assert propose(staff.ana, change, now).state == "open"
    else:
        with pytest.raises(proposals.AboveOwnRole):
            propose(staff.ana, change, now)
        with pytest.raises(proposals.AboveOwnRole):
            propose(staff.ana, changes.Join(NEWCOMER, "X", "x@example.com", "s", (role.value,)), now)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("who", "make", "expected"),
    [
        ("ana", lambda s: changes.GrantRole(s.ana.identity.pk, "auditor"), proposals.OwnRole),
        ("ana", lambda s: changes.GrantRole(s.eve.identity.pk, "king"), proposals.CannotPropose),
        ("ana", lambda s: changes.GrantRole(s.eve.identity.pk, "support", hours=13), proposals.CannotPropose),
        ("ana", lambda s: changes.GrantRole(uuid4(), "support"), NotFound),
        ("ana", lambda s: changes.Restore(s.eve.identity.pk), proposals.CannotPropose),
        ("ana", lambda s: changes.Rebind(s.eve.identity.pk, " "), proposals.CannotPropose),
        (
            "ana",
            lambda s: changes.Join(uuid4(), "Eve", "eve@countersign.example", "sub", ()),
            proposals.CannotPropose,
        ),
        (
            "ana",
            lambda s: changes.Join(uuid4(), "Ida", "Ida@example.com", "sub", ()),
            proposals.CannotPropose,
        ),
        (
            "ana",
            lambda s: changes.AddPasskey(s.eve.identity.pk, "AA", "04" + "0" * 128, "x", str(AAGUID), "none"),
            proposals.CannotPropose,
        ),
        (
            "ana",
            lambda s: changes.Join(uuid4(), "Ben B.", "b.en+2@countersign.example", "sub", ()),
            proposals.CannotPropose,
        ),
        ("dot", lambda s: JOIN, NotAllowed),
        ("eve", lambda s: JOIN, NotAllowed),
        ("ben", lambda s: JOIN, NotAllowed),
    ],
)
def test_is_not_even_proposed(
    staff: Staff, now: datetime, who: str, make: Callable[[Staff], changes.Change], expected: type[Refused]
) -> None:
    with pytest.raises(expected):
        propose(getattr(staff, who), make(staff), now)
    assert not ApprovalRequest.objects.exists()
    assert events()[-1] == "staff.change.proposed.refused"


@pytest.mark.django_db
def test_needs_a_reason(staff: Staff, now: datetime) -> None:
    with pytest.raises(proposals.CannotPropose, match="say why"):
        propose(staff.ana, JOIN, now, reason=" ")


@pytest.mark.django_db
def test_that_takes_all_rights_needs_one_person_and_their_return_needs_three(
    staff: Staff, now: datetime
) -> None:
    ben = staff.ben.identity
    suspend_person(person=ben.pk, reason="laptop stolen", actor=staff.sam.actor, now=now)
    suspend_person(person=ben.pk, reason="again", actor=staff.sam.actor, now=now)
    assert events().count("staff.person.suspended") == 1
    assert rights.roles_of(ben, now) == frozenset()
    request = propose(staff.ana, changes.Restore(ben.pk), now)
    sign(staff.cy, request, now)
    assert rights.roles_of(ben, now) == frozenset()
    with pytest.raises(suspensions.ReasonMissing):
        suspend_person(person=ben.pk, reason="", actor=staff.sam.actor, now=now)
    with pytest.raises(NotAllowed):
        suspend_person(person=ben.pk, reason="x", actor=staff.dot.actor, now=now)
    with pytest.raises(NotFound):
        suspend_person(person=uuid4(), reason="x", actor=staff.sam.actor, now=now)


@pytest.mark.django_db
def test_of_a_suspended_person_brings_them_back(now: datetime) -> None:
    staff = enrol(now=now, more={"dot": Role.TREASURY_SIGNER})
    suspend_person(person=staff.ben.identity.pk, reason="stolen", actor=staff.sam.actor, now=now)
    request = propose(staff.ana, changes.Restore(staff.ben.identity.pk), now)
    sign(staff.cy, request, now)
    sign(staff.dot, request, now)
    assert rights.roles_of(staff.ben.identity, now) == {Role.TREASURY_SIGNER}


def test_of_a_suspended_service_brings_it_back_or_ends_it(real_database: str, now: datetime) -> None:
    """With real commits, so that the database's own guards have a say."""
    program = Identity.objects.create(kind="service", display_name="collector", access_subject="m.access")
    RoleGrant.objects.create(identity=program, role=Role.COLLECTOR, granted_at=now)
    staff = enrol(now=now)
    suspend_person(person=program.pk, reason="its token was in a log", actor=staff.sam.actor, now=now)
    assert rights.roles_of(program, now) == frozenset()
    with pytest.raises(proposals.AboveOwnRole):
        propose(staff.ana, changes.Restore(program.pk), now)
    for given in (changes.GrantRole(program.pk, "collector"), changes.Rebind(program.pk, "another")):
        with pytest.raises(NotFound):
            propose(staff.sam, given, now)
    for make, held in ((changes.Restore, {Role.COLLECTOR}), (changes.Leave, set())):
        request = propose(staff.sam, make(program.pk), now)
        for officer in (staff.ben, staff.cy):
            sign(officer, request, now)
        program.refresh_from_db()
        assert rights.roles_of(program, now) == held


@pytest.mark.django_db
def test_shows_on_the_staff_screen(staff: Staff, now: datetime) -> None:
    shown = {entry.identity.email: entry for entry in queries.members(officer=staff.dot.identity, now=now)}
    assert shown["ana@countersign.example"].roles == ("compliance officer", "treasury maker")
    assert len(shown["ben@countersign.example"].passkeys) == 1
    assert queries.members(officer=staff.eve.identity, now=now) == []
    assert queries.member(staff.ben.identity.pk, officer=staff.ana.identity, now=now).roles == (
        "treasury signer",
    )
    with pytest.raises(NotFound):
        queries.member(staff.ben.identity.pk, officer=staff.eve.identity, now=now)
    assert [grant.role for grant in queries.grants_of(staff.ben.identity.pk)] == ["treasury_signer"]


def test_is_not_made_by_sql(real_database: str, now: datetime) -> None:
    """With real commits: once the founding is over, the database itself asks for two signatures."""
    staff = enrol(now=now)
    eve, ben = staff.eve.identity.pk, staff.ben.identity.pk
    suspend_person(person=ben, reason="stolen", actor=staff.sam.actor, now=now)
    spare = Authenticator()
    attacks = [
        lambda: RoleGrant.objects.create(identity_id=eve, role=Role.TREASURY_SIGNER, granted_at=now),
        lambda: RoleGrant.objects.create(
            identity_id=eve, role=Role.SRE, granted_at=now, valid_until=now + timedelta(hours=1)
        ),
        lambda: Identity.objects.filter(pk=ben).update(is_active=True),
        lambda: Identity.objects.filter(pk=eve).update(access_subject="mine"),
        lambda: Identity.objects.create(
            kind="officer", email="m@example.com", display_name="M", access_subject="m"
        ),
        lambda: Identity.objects.create(kind="service", display_name="M", access_subject="m.access"),
        lambda: OfficerCredential.objects.create(
            officer_id=eve,
            credential_id=spare.credential_id,
            public_key=spare.public_key_hex,
            label="x",
            added_at=now,
        ),
    ]
    for attack in attacks:
        with pytest.raises(DatabaseError, match="needs the approval of two others"), transaction.atomic():
            attack()
    Identity.objects.create(kind="customer", email="tom@example.com", display_name="Tom")


def test_is_not_made_twice_of_one_approval(real_database: str, now: datetime) -> None:
    staff = enrol(now=now)
    eve = staff.eve.identity.pk
    request = carry(staff, changes.GrantRole(eve, "support"), now)
    carry(staff, changes.EndRole(eve, "support"), now)
    with pytest.raises(DatabaseError, match="needs the approval of two others"), transaction.atomic():
        RoleGrant.objects.create(identity_id=eve, role="support", granted_at=now, request=request.pk)
    carry(staff, changes.GrantRole(eve, "support", hours=2), now)
    connection.close()


def test_gives_a_role_for_no_longer_than_was_approved(real_database: str, now: datetime) -> None:
    staff = enrol(now=now)
    eve = staff.eve.identity.pk
    request = propose(staff.ana, changes.GrantRole(eve, "support", hours=2), now)

    def grant(hours: int) -> None:
        """What whoever owns the console's process would send, in one transaction, with forged signatures."""
        with transaction.atomic(), connection.cursor() as cursor:
            for officer in (staff.ben, staff.cy):
                cursor.execute(*signature_sql(officer, request, teams=["officers"]))
            for state in ("approved", "consumed"):
                cursor.execute("UPDATE approvals_request SET state = %s WHERE id = %s", [state, request.pk])
            until = now + timedelta(hours=hours)
            RoleGrant.objects.create(
                identity_id=eve, role="support", granted_at=now, valid_until=until, request=request.pk
            )

    with pytest.raises(DatabaseError, match="needs the approval of two others"):
        grant(3)
    grant(2)
    connection.close()
