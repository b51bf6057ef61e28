"""What its maker must ask for, on the approver's page …"""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.db import connection

from core.access.models import OfficerCredential
from core.approvals import asking, queries
from core.approvals.actions import submit_ask
from core.approvals.actions.asking import NotTheMaker
from core.approvals.actions.signatures import AnotherVerb, NotAsked, NotOpen, SignedAlready
from core.approvals.assertions import BadSignature
from core.approvals.models import ApprovalRequest
from core.approvals.standing import standing_of
from custody import actions
from kernel.approval import Verb
from tests.approvals import sign
from tests.officers import Officer
from tests.sql import as_the_console, refused, signature_sql
from tests.traces import Trace
from tests.treasury import Treasury

pytestmark = pytest.mark.django_db


@pytest.fixture
def draft(treasury: Treasury) -> ApprovalRequest:
    """Ana wants the signers released, and has not signed that she does."""
    order = actions.ask_release_of_signers(
        wallet="hot", reason="the laptop was found", actor=treasury.staff.ana.actor, now=treasury.now
    )
    assert order.request is not None
    return order.request


def test_is_a_draft_before_that_which_nobody_answers(treasury: Treasury, draft: ApprovalRequest) -> None:
    staff, now = treasury.staff, treasury.now
    for verb, reason in (("release", ""), ("reject", "because")):
        with pytest.raises(NotAsked):
            sign(staff.ben, draft, now, verb, reason)

    def waits_for(officer: Officer) -> bool:
        return draft in queries.needs_me(officer.identity, now=now)

    assert (waits_for(staff.ana), waits_for(staff.ben)) == (True, False)
    with Trace() as trace:
        staff.ana.asks(draft, now)
    assert (trace.events, trace.topics) == (["approvals.request.asked"], ["approvals.moved"])
    assert (waits_for(staff.ana), waits_for(staff.ben)) == (False, True)
    assert not asking.is_draft(draft)
    sign(staff.ben, draft, now, "release")


def test_counts_toward_no_quorum(treasury: Treasury, draft: ApprovalRequest) -> None:
    staff, now = treasury.staff, treasury.now
    staff.ana.asks(draft, now)
    assert standing_of(draft, now).missing == {"treasury": 2}
    assert sign(staff.ben, draft, now, "release").state == "open"
    assert sign(staff.cy, draft, now, "release").state == "consumed"


def test_is_asked_for_by_its_maker_alone_once_and_about_exactly_this(
    treasury: Treasury, draft: ApprovalRequest
) -> None:
    staff, now = treasury.staff, treasury.now
    other = actions.ask_release_of_signers(wallet="*", reason="all", actor=staff.ana.actor, now=now).request
    assert other is not None
    mine = staff.ana.answer(draft, "ask")
    twisted = replace(staff.ana.answer(draft, "release"), verb=Verb.ASK)
    for officer, signed, refusal in (
        (staff.ben, staff.ben.answer(draft, "ask"), NotTheMaker),
        (staff.ben, mine, NotTheMaker),
        (staff.ana, staff.ana.answer(draft, "release"), AnotherVerb),
        (staff.ana, staff.ana.answer(other, "ask"), BadSignature),
        (staff.ana, twisted, BadSignature),
    ):
        with Trace() as trace, pytest.raises(refusal):
            submit_ask(request_id=draft.pk, signed=signed, actor=officer.actor, now=now)
        trace.only_refused("approvals.request.asked")
    staff.ana.asks(draft, now)
    with pytest.raises(SignedAlready):
        staff.ana.asks(draft, now)
    sign(staff.ben, draft, now, "reject", "no")
    with pytest.raises(NotOpen):
        staff.ana.asks(draft, now)


def test_is_not_asked_for_by_a_passkey_that_was_revoked_since(
    treasury: Treasury, draft: ApprovalRequest
) -> None:
    staff, now = treasury.staff, treasury.now
    staff.ana.asks(draft, now)
    sign(staff.ben, draft, now, "release")
    OfficerCredential.objects.filter(officer=staff.ana.identity).update(revoked_at=now)
    with pytest.raises(NotAsked):
        sign(staff.cy, draft, now, "release")


def test_yields_to_no_raw_sql(treasury: Treasury, draft: ApprovalRequest) -> None:
    """Nobody answers a draft, nobody asks for another's, and a made-up row is no signature."""
    staff, now = treasury.staff, treasury.now
    with as_the_console():
        sql, values = signature_sql(staff.ben, draft, verb="release")
        refused(sql, *values, match="has not asked for it yet")
        for officer in (staff.ben, staff.ana):
            sql, values = signature_sql(officer, draft, verb="ask" if officer is staff.ben else "release")
            refused(sql, *values, match="signature_maker_only_asks|has not asked for it yet")
        with connection.cursor() as cursor:
            cursor.execute(*signature_sql(staff.ana, draft, verb="ask"))
        with pytest.raises(NotAsked):
            sign(staff.ben, draft, now, "release")


def test_is_not_asked_for_where_its_kind_wants_no_such_signature(treasury: Treasury) -> None:
    row = treasury.screened().request
    assert row is not None
    assert not asking.is_draft(row)
    with pytest.raises(AnotherVerb):
        treasury.staff.ana.asks(row, treasury.now)
    sql, values = signature_sql(treasury.staff.ana, row, verb="ask")
    refused(sql, *values, match="nobody asks for")
