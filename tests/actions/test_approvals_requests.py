"""A request for approval …"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from core import approvals
from core.access.models import Identity, OfficerCredential, RoleGrant
from core.access.roles import Role
from core.actor import Actor
from core.approvals.actions import expire_request, withdraw_request
from core.approvals.actions import signatures as refusals
from core.approvals.models import ApprovalRequest
from core.approvals.moving import StepRefused
from core.approvals.opening import AlreadyOpen, NotApproved
from core.approvals.queries import needs_me, open_requests, request_for
from core.approvals.tasks import expire
from core.refusals import Conflict, NotAllowed, NotFound
from tests.approvals import DECIDED, act, ask, hurried, overdue, sign
from tests.officers import Staff

pytestmark = pytest.mark.django_db


def test_is_acted_upon_once(staff: Staff, row: ApprovalRequest, now: datetime) -> None:
    with pytest.raises(NotApproved):
        act(request=row, actor=staff.ana.actor, now=now)
    sign(staff.ben, row, now)
    sign(staff.cy, row, now)
    assert act(request=row, actor=staff.ana.actor, now=now).state == "consumed"
    with pytest.raises(NotApproved):
        act(request=row, actor=staff.ana.actor, now=now)


@pytest.mark.parametrize("ending", ["suspended", "role revoked", "role ran out", "passkey revoked"])
def test_is_not_acted_upon_when_an_approver_has_left(
    staff: Staff, row: ApprovalRequest, now: datetime, ending: str
) -> None:
    sign(staff.ben, row, now)
    sign(staff.cy, row, now)
    if ending == "suspended":
        Identity.objects.filter(pk=staff.cy.identity.pk).update(is_active=False)
    elif ending == "passkey revoked":
        OfficerCredential.objects.filter(officer=staff.cy.identity).update(revoked_at=now)
    else:
        RoleGrant.objects.filter(identity=staff.cy.identity).update(revoked_at=now)
    if ending == "role ran out":
        RoleGrant.objects.create(
            identity=staff.cy.identity,
            role=Role.TREASURY_SIGNER,
            granted_at=now - timedelta(hours=2),
            valid_until=now - timedelta(hours=1),
        )
    with pytest.raises(NotApproved, match="an approver has left"):
        act(request=row, actor=staff.ana.actor, now=now)


def test_is_not_acted_upon_once_its_maker_is_suspended(
    row: ApprovalRequest, staff: Staff, now: datetime
) -> None:
    sign(staff.ben, row, now)
    sign(staff.cy, row, now)
    Identity.objects.filter(pk=staff.ana.identity.pk).update(is_active=False)
    with pytest.raises(NotApproved, match="suspended"):
        act(request=row, actor=staff.ben.actor, now=now)
    Identity.objects.filter(pk=staff.ana.identity.pk).update(is_active=True)
    assert act(request=row, actor=staff.ben.actor, now=now).state == "consumed"


def test_is_open_once_per_subject(staff: Staff, row: ApprovalRequest, now: datetime) -> None:
    with pytest.raises(AlreadyOpen):
        ask(maker=staff.ana, actor=staff.ana.actor, now=now)


def test_expires_by_the_databases_clock(
    staff: Staff, kind: approvals.Kind, now: datetime, robot: Actor
) -> None:
    row = hurried(ask)(maker=staff.ana, actor=staff.ana.actor, now=now)
    with pytest.raises(refusals.NotOpen):
        sign(staff.ben, row, now)
    assert expire_request(request_id=row.pk, actor=robot, now=now)
    assert DECIDED == ["expired"]
    assert ask(maker=staff.ana, actor=staff.ana.actor, now=now).state == "open"


def test_expires_once_approved_where_nobody_acts_in_time(
    staff: Staff, row: ApprovalRequest, now: datetime, robot: Actor
) -> None:
    """The second deadline: what officers agreed to long ago is not done any more."""
    sign(staff.ben, row, now)
    sign(staff.cy, row, now)
    assert not expire_request(request_id=row.pk, actor=robot, now=now)
    overdue(row, "execute_by")
    with pytest.raises(StepRefused, match="deadline has passed"):
        act(request=row, actor=robot, now=now)
    assert expire_request(request_id=row.pk, actor=robot, now=now)
    assert DECIDED == ["approved", "expired"]
    with pytest.raises(NotApproved):
        act(request=row, actor=robot, now=now)


def test_is_not_decided_by_an_answer_that_came_in_time_and_is_counted_late(
    staff: Staff, row: ApprovalRequest, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The deadline passes between the deciding signature and the step; nothing is left of either."""
    sign(staff.ben, row, now)
    move = refusals.moving.move

    def late(request: ApprovalRequest, *to: Any, **at: Any) -> None:
        overdue(request, "approve_by")
        move(request, *to, **at)

    monkeypatch.setattr(refusals.moving, "move", late)
    with pytest.raises(StepRefused, match="deadline has passed"):
        sign(staff.cy, row, now)
    row.refresh_from_db()
    assert (row.state, row.signatures.count(), DECIDED) == ("open", 1, [])


def test_that_expired_makes_room_for_another(staff: Staff, kind: approvals.Kind, now: datetime) -> None:
    first = hurried(ask)(maker=staff.ana, actor=staff.ana.actor, now=now)
    ask(maker=staff.ana, actor=staff.ana.actor, now=now)
    first.refresh_from_db()
    assert first.state == "expired"


def test_does_not_expire_early(staff: Staff, row: ApprovalRequest, now: datetime, robot: Actor) -> None:
    assert not expire_request(request_id=row.pk, actor=robot, now=now + timedelta(days=9))
    row.refresh_from_db()
    assert row.state == "open"


def test_is_taken_back_by_its_maker_alone(staff: Staff, row: ApprovalRequest, now: datetime) -> None:
    with pytest.raises(NotAllowed):
        withdraw_request(request_id=row.pk, reason="no", actor=staff.ben.actor, now=now)
    with pytest.raises(refusals.ReasonMissing):
        withdraw_request(request_id=row.pk, reason=" ", actor=staff.ana.actor, now=now)
    withdraw_request(request_id=row.pk, reason="typo in the address", actor=staff.ana.actor, now=now)
    with pytest.raises(Conflict):
        withdraw_request(request_id=row.pk, reason="again", actor=staff.ana.actor, now=now)
    with pytest.raises(refusals.NotOpen):
        sign(staff.ben, row, now)


@pytest.mark.parametrize("teams", [{}, {"treasury": 0}, {"board": 2}])
def test_needs_somebodys_consent(
    kind: approvals.Kind, staff: Staff, now: datetime, teams: dict[str, int]
) -> None:
    with pytest.raises(ValueError, match="cannot be put before"):
        ask(maker=staff.ana, actor=staff.ana.actor, now=now, teams=teams)


def test_asks_for_no_fewer_than_its_kind_demands(kind: approvals.Kind, staff: Staff, now: datetime) -> None:
    object.__setattr__(kind, "people_min", 2)
    with pytest.raises(ValueError, match="cannot be put before"):
        ask(maker=staff.ana, actor=staff.ana.actor, now=now, teams={"treasury": 1})


def test_shows_up_for_those_whose_signature_would_count(
    staff: Staff, row: ApprovalRequest, now: datetime
) -> None:
    assert [len(needs_me(who.identity, now=now)) for who in (staff.ana, staff.ben, staff.cy, staff.dot)] == [
        0,
        1,
        1,
        0,
    ]
    sign(staff.ben, row, now)
    assert [len(needs_me(who.identity, now=now)) for who in (staff.ben, staff.cy)] == [0, 1]
    assert needs_me(None, now=now) == []


def test_is_seen_by_those_who_may(staff: Staff, row: ApprovalRequest, now: datetime) -> None:
    for officer in (staff.ana, staff.ben, staff.dot, staff.sam):
        assert request_for(row.pk, identity=officer.identity, now=now) == row
        assert list(open_requests(identity=officer.identity, now=now)) == [row]
    for stranger in (staff.eve.identity, None):
        assert list(open_requests(identity=stranger, now=now)) == []
        with pytest.raises(NotFound):
            request_for(row.pk, identity=stranger, now=now)


def test_that_is_overdue_is_closed_by_the_scheduler(
    staff: Staff, kind: approvals.Kind, now: datetime
) -> None:
    late = hurried(ask)(maker=staff.ana, actor=staff.ana.actor, now=now)
    open_ = ask(maker=staff.ana, actor=staff.ana.actor, now=now, subject="test.payment/2")
    expire()
    states = dict(ApprovalRequest.objects.values_list("pk", "state"))
    assert states == {late.pk: "expired", open_.pk: "open"}
    assert DECIDED == ["expired"]


def test_costs_the_inbox_the_same_however_many_there_are(
    staff: Staff, kind: approvals.Kind, now: datetime, django_assert_num_queries: Callable[[int], Any]
) -> None:
    for number in range(5):
        row = ask(maker=staff.ana, actor=staff.ana.actor, now=now, subject=f"test.payment/{number}")
        sign(staff.cy, row, now)
    with django_assert_num_queries(5):
        assert len(needs_me(staff.ben.identity, now=now)) == 5
