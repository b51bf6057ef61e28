"""A staff member's own account as a customer …"""

from __future__ import annotations

from datetime import datetime
from uuid import uuid4

import pytest
from django.db import connection

from core.access.models import Identity, OwnAccount
from core.approvals.actions import signatures as refusals
from core.approvals.actions import submit_signature
from core.approvals.opening import OwnAccount as OwnRequest
from core.audit.models import AuditEvent
from core.refusals import NotAllowed, NotFound
from core.staff.actions import declare_account
from custody import actions
from custody.models import Adjustment
from kernel.money import Amount
from tests.officers import Staff
from tests.traces import Trace
from tests.treasury import Treasury

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Ana.Abelsen@Example.com", "anaabelsen@example.com", True),
        ("ana+trading@example.com", "a.n.a@example.com", True),
        ("ana@gmail.com", " ANA@googlemail.com ", True),
        ("\uff41na@example.com", "ana@example.com", True),
        ("ana@example.com.", "ana@example.com", True),
        ("ana@example.com", "ana@example.org", False),
        ("ana@example.com", "anna@example.com", False),
        ("an.a@ex.ample.com", "ana@example.com", False),
    ],
)
def test_is_found_by_the_mailbox_however_it_is_spelt(one: str, other: str, same: bool) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT access_mailbox(%s) = access_mailbox(%s)", [one, other])
        assert cursor.fetchone() == (same,)


def test_is_recorded_whoever_comes_first_and_stays(staff: Staff) -> None:
    ana = staff.ana.identity
    local, _, domain = ana.email.partition("@")
    later = Identity.objects.create(
        kind="customer", email=f"{local.upper()}+x@{domain}", display_name="A customer"
    )
    stranger = Identity.objects.create(kind="customer", email="una@example.com", display_name="Una")
    assert list(OwnAccount.objects.values_list("officer", "customer", "found_by")) == [
        (ana.pk, later.pk, "email")
    ]
    Identity.objects.filter(pk=later.pk).update(email="somebody.else@example.com")
    Identity.objects.filter(pk=ana.pk).update(email="u.na@example.com")
    assert set(OwnAccount.objects.values_list("officer", "customer")) == {
        (ana.pk, later.pk),
        (ana.pk, stranger.pk),
    }


def test_is_declared_by_oneself_or_written_down_by_those_who_suspend(staff: Staff, now: datetime) -> None:
    tom = Identity.objects.create(kind="customer", email="tom@example.com", display_name="Tom")
    ben, eve = staff.ben.identity, staff.eve.identity
    with Trace() as trace:
        declare_account(person=ben.pk, customer=tom.pk, actor=staff.ben.actor, now=now)
        declare_account(person=ben.pk, customer=tom.pk, actor=staff.ben.actor, now=now)
        declare_account(person=eve.pk, customer=tom.pk, actor=staff.ana.actor, now=now)
    assert trace.events == ["staff.account.declared"] * 2
    assert OwnAccount.objects.count() == 2
    with pytest.raises(NotAllowed):
        declare_account(person=ben.pk, customer=tom.pk, actor=staff.eve.actor, now=now)
    for person, customer in ((tom.pk, tom.pk), (ben.pk, uuid4()), (ben.pk, eve.pk)):
        with pytest.raises(NotFound):
            declare_account(person=person, customer=customer, actor=staff.ana.actor, now=now)
    refusals = [event.doc["action"] for event in AuditEvent.objects.order_by("-id")[:4]]
    assert refusals == ["staff.account.declared.refused"] * 4


def test_is_none_of_their_business(now: datetime) -> None:
    """A withdrawal, a credit and a tier alike: the payload names the customer."""
    treasury = Treasury.open(now)
    treasury.deposit(10_000_000)
    ana, ben = treasury.staff.ana, treasury.staff.ben
    declare_account(person=ben.identity.pk, customer=treasury.tom.pk, actor=ben.actor, now=now)
    row = treasury.screened(sats=1_000_000)
    assert row.request is not None
    with pytest.raises(refusals.ConflictOfInterest, match="an account of your own"):
        submit_signature(request_id=row.request.pk, signed=ben.answer(row.request), actor=ben.actor, now=now)
    declare_account(person=ana.identity.pk, customer=treasury.tom.pk, actor=ana.actor, now=now)
    with pytest.raises(OwnRequest, match="Somebody else must ask"):
        actions.request_adjustment(
            customer_id=treasury.tom.pk,
            amount=Amount(1, "BTC"),
            reason="a gift",
            reference="gift",
            actor=ana.actor,
            now=now,
        )
    assert not Adjustment.objects.exists()
