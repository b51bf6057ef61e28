"""A withdrawal before those who decide about it …"""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from core.access.models import Identity
from core.approvals.actions import submit_signature
from core.approvals.actions.signatures import ConflictOfInterest
from core.approvals.models import ApprovalRequest
from core.approvals.policies import FactUnknown
from core.audit.models import AuditEvent
from core.refusals import NotAllowed
from custody import actions
from custody.actions.entitled import ReasonMissing
from custody.domain import limits
from custody.domain.beneficiaries import AUTOMATIC
from custody.domain.limits import Quote
from custody.models import Withdrawal
from kernel.intent import Intent
from tests.policies import enact, rule
from tests.traces import Trace
from tests.treasury import BTC, HOME, PRICE_CENTS, ROBOT, Treasury, customer_actor

pytestmark = pytest.mark.django_db

SMALL = BTC // 10
PAYS = ["kind", "is", "custody.withdrawal"]


def test_waits_on_hold_at_the_first_use_of_a_destination(treasury: Treasury) -> None:
    row = treasury.request(SMALL)
    with Trace() as trace:
        row = actions.report_screening(withdrawal_id=row.pk, hits=[], actor=ROBOT, now=treasury.now)
    assert (row.state, row.reason) == ("on_hold", "first use of this destination")
    assert trace.events == ["custody.withdrawal.screened"]
    assert trace.topics == ["custody.withdrawal_moved"]


def test_is_screened_once(treasury: Treasury) -> None:
    row = treasury.request(SMALL)
    actions.report_screening(withdrawal_id=row.pk, hits=["listed"], actor=ROBOT, now=treasury.now)
    with Trace() as trace:
        again = actions.report_screening(withdrawal_id=row.pk, hits=[], actor=ROBOT, now=treasury.now)
    assert again.state == "on_hold"
    assert trace.events == []


def test_released_by_an_officer_has_that_officer_as_its_maker(treasury: Treasury) -> None:
    row = treasury.request(SMALL)
    actions.report_screening(withdrawal_id=row.pk, hits=[], actor=ROBOT, now=treasury.now)
    with Trace() as trace:
        row = actions.release_from_screening(
            withdrawal_id=row.pk, reason="Tom called", actor=treasury.staff.ana.actor, now=treasury.now
        )
    request = row.request
    assert request is not None
    assert (row.state, row.maker, request.maker) == ("screened", treasury.staff.ana.identity, row.maker)
    assert request.teams == {"treasury": 2}
    meant = Intent.parse(bytes(request.payload))
    assert (meant.amount, meant.destination, meant.source) == (row.amount, row.destination, "hot")
    assert (meant.reference, meant.customer, meant.maker) == (row.pk, row.customer_id, row.maker_id)
    assert (meant.fee_cap, meant.destination_label, meant.expires) == (
        row.fee_cap,
        "Tom's home",
        row.expires_at,
    )
    assert trace.events == ["approvals.request.opened", "custody.withdrawal.released"]
    assert trace.topics == ["approvals.moved", "custody.withdrawal_moved"]
    event = AuditEvent.objects.order_by("-pk")[0].doc
    assert (event["before"]["cleared"], event["after"]["cleared"]) == (False, True)
    assert event["after"]["beneficiary"] == str(row.beneficiary_id), "later withdrawals there need no officer"


def test_goes_to_a_cleared_destination_without_an_officers_look(treasury: Treasury) -> None:
    treasury.screened(sats=1_000_000)
    row = treasury.request(1_000_000)
    row = actions.report_screening(withdrawal_id=row.pk, hits=[], actor=ROBOT, now=treasury.now)
    assert (row.state, row.maker_id) == ("screened", AUTOMATIC)


def test_waits_for_an_officer_when_a_cleared_destination_is_listed_later(treasury: Treasury) -> None:
    treasury.screened(sats=1_000_000)
    row = treasury.request(1_000_000)
    row = actions.report_screening(withdrawal_id=row.pk, hits=["listed"], actor=ROBOT, now=treasury.now)
    assert (row.state, row.reason) == ("on_hold", "listed")


@pytest.mark.parametrize("who", ["ben", "dot", "eve", "sam", "tom", "robot"])
def test_is_released_and_rejected_by_those_who_may_only(treasury: Treasury, who: str) -> None:
    row = treasury.request(SMALL)
    actions.report_screening(withdrawal_id=row.pk, hits=[], actor=ROBOT, now=treasury.now)
    actor = {"tom": customer_actor(treasury.tom), "robot": ROBOT}.get(who) or getattr(
        treasury.staff, who
    ).actor
    for deed, name in (
        (actions.release_from_screening, "custody.withdrawal.released"),
        (actions.reject_withdrawal, "custody.withdrawal.rejected"),
    ):
        with Trace() as trace, pytest.raises(NotAllowed):
            deed(withdrawal_id=row.pk, reason="please", actor=actor, now=treasury.now)
        trace.only_refused(name)
    assert not ApprovalRequest.objects.exists()


def test_is_decided_with_a_reason_only(treasury: Treasury) -> None:
    row = treasury.request(SMALL)
    actions.report_screening(withdrawal_id=row.pk, hits=[], actor=ROBOT, now=treasury.now)
    for deed in (actions.release_from_screening, actions.reject_withdrawal):
        with pytest.raises(ReasonMissing):
            deed(withdrawal_id=row.pk, reason="  ", actor=treasury.staff.ana.actor, now=treasury.now)


def test_gives_its_funds_back_when_rejected(treasury: Treasury) -> None:
    row = treasury.request(SMALL)
    actions.report_screening(withdrawal_id=row.pk, hits=[], actor=ROBOT, now=treasury.now)
    with Trace() as trace:
        row = actions.reject_withdrawal(
            withdrawal_id=row.pk, reason="a mixer", actor=treasury.staff.ana.actor, now=treasury.now
        )
    assert (row.state, row.reason) == ("rejected", "a mixer")
    assert treasury.funding().held.units == 0
    assert trace.events == ["custody.withdrawal.rejected"]
    assert trace.topics == ["custody.withdrawal_moved"]


def test_is_approved_by_two_who_did_not_make_it(treasury: Treasury) -> None:
    row = treasury.screened(sats=SMALL)
    with Trace() as trace:
        treasury.sign_off(row)
    row.refresh_from_db()
    assert row.state == "approved"
    assert trace.events.count("custody.withdrawal.approved") == 1
    assert trace.topics.count("custody.withdrawal_moved") == 1


def test_is_rejected_with_the_checkers_reason(treasury: Treasury) -> None:
    row, ben = treasury.screened(sats=SMALL), treasury.staff.ben
    assert row.request is not None
    submit_signature(
        request_id=row.request.pk,
        signed=ben.answer(row.request, "reject", "the label is odd"),
        actor=ben.actor,
        now=treasury.now,
    )
    row.refresh_from_db()
    assert (row.state, row.reason) == ("rejected", "the label is odd")
    assert treasury.funding().held.units == 0


@pytest.mark.parametrize(
    ("holds", "fails"),
    [
        (["asset", "is", "BTC"], ["asset", "is", "USDT"]),
        (["amount", "at_most", "10000000"], ["amount", "below", "10000000"]),
        (["usd_cents", "at_least", "600000"], ["usd_cents", "above", "600000"]),
        (["source", "is", "hot"], ["source", "is", "cold"]),
        (["destination", "is", HOME], ["destination", "is", "elsewhere"]),
        (["destination_class", "is", "new"], ["destination_class", "is", "known"]),
        (["customer_tier", "at_most", "2"], ["customer_tier", "above", "2"]),
        (["risk", "is", "held"], ["risk", "is", "clear"]),
        (["hour", "at_most", "3"], ["hour", "below", "3"]),
        (["lane", "is", "shut"], ["lane", "is", "open"]),
    ],
    ids=lambda condition: condition[0],
)
def test_is_judged_by_what_it_is(treasury: Treasury, holds: list[str], fails: list[str]) -> None:
    """The policy's words mean what the withdrawal is, one by one; it is asked for at 03:00."""
    rules = [rule("another", PAYS, fails), rule("this", PAYS, holds), rule("rest", PAYS)]
    enact(treasury.staff, treasury.now, rules)
    row = treasury.request(SMALL)
    actions.report_screening(withdrawal_id=row.pk, hits=[], actor=ROBOT, now=treasury.now)
    row = actions.release_from_screening(
        withdrawal_id=row.pk, reason="Tom called", actor=treasury.staff.ana.actor, now=treasury.now
    )
    assert row.request is not None
    assert (row.request.rule, row.request.facts["customer"]) == ("this", str(treasury.tom.pk))


def test_is_put_before_nobody_while_no_price_is_fresh(treasury: Treasury) -> None:
    """A rule that asks what it is worth is not skipped: neither the machine nor an officer gets past it."""
    treasury.screened(sats=SMALL // 2)  # so the destination is known
    row = treasury.request(SMALL // 2)
    small = rule("small", PAYS, ["usd_cents", "at_most", "1"], deny="too small to bother anybody")
    enact(treasury.staff, treasury.now, [small, rule("payments", PAYS, teams={"treasury": 2})])
    treasury.now += limits.PRICE_AGE_MAX + timedelta(seconds=1)
    row = actions.report_screening(withdrawal_id=row.pk, hits=[], actor=ROBOT, now=treasury.now)
    assert (row.state, row.request) == ("on_hold", None)
    assert "wants to know usd_cents" in row.reason
    event = AuditEvent.objects.order_by("-pk")[0].doc
    assert (event["action"], event["reason"]) == ("custody.withdrawal.screened", row.reason)
    again = partial(
        actions.release_from_screening,
        withdrawal_id=row.pk,
        reason="looks fine",
        actor=treasury.staff.ana.actor,
    )
    with pytest.raises(FactUnknown):
        again(now=treasury.now)
    actions.report_price(
        quote=Quote("BTC", PRICE_CENTS, treasury.now), source="test", actor=ROBOT, now=treasury.now
    )
    assert again(now=treasury.now).state == "screened"


def test_is_not_checked_by_an_officer_who_is_the_customer(treasury: Treasury) -> None:
    row, ben = treasury.screened(sats=SMALL), treasury.staff.ben
    Identity.objects.filter(pk=treasury.tom.pk).update(email=ben.identity.email.upper())
    assert row.request is not None
    with pytest.raises(ConflictOfInterest):
        submit_signature(
            request_id=row.request.pk, signed=ben.answer(row.request), actor=ben.actor, now=treasury.now
        )


def test_is_void_by_what_officers_sign_as_soon_as_the_policy_says(treasury: Treasury) -> None:
    def asked_under(**periods: Any) -> Withdrawal:
        enact(treasury.staff, treasury.now, [rule("payments", **periods)])
        return treasury.screened(sats=SMALL // 2)

    for periods, life_s in (({"approve_s": 3_600, "execute_s": 900}, 4_500), ({}, 2 * 86_400)):
        row = asked_under(**periods)
        assert row.request is not None
        assert row.expires_at == treasury.now + timedelta(seconds=life_s)
        assert Intent.parse(bytes(row.request.payload)).expires == row.expires_at
        assert row.request.approve_within + row.request.execute_within == timedelta(seconds=life_s)
