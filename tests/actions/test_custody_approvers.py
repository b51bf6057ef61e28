"""What was approved by people who count no longer …"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from core.access.models import OfficerCredential, RoleGrant
from core.approvals.actions import submit_signature
from core.approvals.lacks import givers, lacks_of
from core.staff.actions import suspend_person
from custody import actions, probes, queries, tasks
from custody.domain.withdrawals import CLOCKS_DIFFER_MAX
from custody.events import SweepMoved, WithdrawalMoved
from custody.models import Owner, UtxoLock
from custody.subscribers import move_sweep, move_withdrawal
from tests import sweeping
from tests.officers import Officer
from tests.traces import Trace
from tests.treasury import ROBOT, Treasury, funded

pytestmark = pytest.mark.django_db


def suspended(treasury: Treasury, officer: Officer) -> None:
    sam = treasury.staff.sam.actor
    suspend_person(person=officer.identity.pk, reason="stolen", actor=sam, now=treasury.now)


def revoked(treasury: Treasury, officer: Officer) -> None:
    OfficerCredential.objects.filter(officer=officer.identity).update(revoked_at=treasury.now)


def moved_away(treasury: Treasury, officer: Officer) -> None:
    grants = RoleGrant.objects.filter(identity=officer.identity, revoked_at=None)
    grants.update(revoked_at=treasury.now)


LOSSES: dict[str, tuple[Callable[[Treasury, Officer], None], bool]] = {
    "suspended": (suspended, True),
    "the passkey they signed with was revoked": (revoked, False),
    "not in treasury any more": (moved_away, True),
}


@pytest.mark.parametrize("why", LOSSES)
def test_says_who_why_and_what_is_missing(treasury: Treasury, why: str) -> None:
    row, staff = treasury.approved(), treasury.staff
    assert (queries.lack_of(row, now=treasury.now), queries.bereft(now=treasury.now)) == (None, [])
    lose, returns = LOSSES[why]
    lose(treasury, staff.ben)
    lack = queries.lack_of(row, now=treasury.now)
    assert lack is not None
    name = staff.ben.identity.display_name
    assert (lack.who, lack.seats, lack.returns) == (f"{name} ({why})", "1 of treasury", returns)
    assert queries.bereft(now=treasury.now) == [(row, lack)]
    (cared,) = queries.needs_care(identity=staff.ana.identity, now=treasury.now)
    assert cared == row
    assert "1 payments whose approvers have left" in probes.read_payments(treasury.now).sentence


def test_can_be_made_up_for_while_it_is_open(treasury: Treasury) -> None:
    row, staff = treasury.screened(), treasury.staff
    request = row.request
    assert request is not None
    submit_signature(
        request_id=request.pk, signed=staff.ben.answer(request), actor=staff.ben.actor, now=treasury.now
    )
    revoked(treasury, staff.ben)
    lack = lacks_of([request], treasury.now)[request.pk]
    assert lack.missing == {"treasury": 2}
    assert givers(request, lack.missing, now=treasury.now) == [staff.cy.identity.display_name]


def stands(treasury: Treasury, row: Owner) -> str:
    return str(type(row)._default_manager.values_list("state", flat=True).get(pk=row.pk))


@pytest.mark.parametrize("at", ["approved", "built"])
def test_waits_where_it_stands_and_is_ended_with_everything_free(treasury: Treasury, at: str) -> None:
    """Before a signer is asked, nothing is out: so nothing is refused on record, or stays claimed."""
    row = treasury.approved()
    if at == "built":
        treasury.built(row)
    suspended(treasury, treasury.staff.cy)
    message = WithdrawalMoved(withdrawal=row.pk, customer=treasury.tom.pk, state=at)
    with Trace() as trace, pytest.raises(tasks.HeldBack, match="has left"):
        move_withdrawal(message, now=treasury.now)
    assert (stands(treasury, row), trace.events) == (at, [])
    end = actions.fail_withdrawal if at == "built" else actions.reject_withdrawal
    end(withdrawal_id=row.pk, reason="Cy left", actor=treasury.staff.ana.actor, now=treasury.now)
    assert UtxoLock.objects.filter(released_at=None).count() == 0
    balance = treasury.funding()
    assert balance.available == balance.posted


def test_goes_on_by_itself_once_they_count_again(now: datetime) -> None:
    treasury = funded(now)  # in this transaction, in which a row may say who has which role
    payment, ben = treasury.built(), treasury.staff.ben
    row = payment.owner
    roles = list(RoleGrant.objects.filter(identity=ben.identity).values_list("role", flat=True))
    message = WithdrawalMoved(withdrawal=row.pk, customer=treasury.tom.pk, state="built")
    moved_away(treasury, ben)
    with pytest.raises(tasks.HeldBack):
        move_withdrawal(message, now=treasury.now)
    for role in roles:
        RoleGrant.objects.create(identity=ben.identity, role=role, granted_at=treasury.now)
    move_withdrawal(message, now=treasury.now)
    assert stands(treasury, row) == "signing"


def test_holds_a_sweep_before_its_signers(now: datetime) -> None:
    treasury = sweeping.full(now)
    row, _ = sweeping.built(treasury)
    suspended(treasury, treasury.staff.ben)
    with pytest.raises(tasks.HeldBack, match="has left"):
        move_sweep(SweepMoved(sweep=row.pk, state="built"), now=now)
    assert stands(treasury, row) == "built"


def test_keeps_what_signers_were_asked_until_no_clock_takes_it(treasury: Treasury) -> None:
    payment = treasury.signing()
    suspended(treasury, treasury.staff.ben)
    row = queries.withdrawal(payment.owner.pk)
    void = row.expires_at + CLOCKS_DIFFER_MAX
    assert row.pk not in queries.unsignable_withdrawals(now=void - timedelta(seconds=1))
    assert row.pk in queries.unsignable_withdrawals(now=void)
    actions.fail_withdrawal(withdrawal_id=row.pk, reason="void", actor=ROBOT, now=void)
    assert queries.lack_of(queries.withdrawal(row.pk), now=void) is None
