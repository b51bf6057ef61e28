"""An officers' order to the signers, under quorum, …"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

import pytest
from django.conf import settings

from core.access.models import Identity
from core.approvals.actions import submit_signature
from core.approvals.actions.signatures import AnotherVerb, ConflictOfInterest
from core.audit.models import AuditEvent
from core.refusals import NotAllowed
from custody import actions, queries
from custody.actions import ordering
from custody.actions import orders as refusals
from custody.models import SignerOrder
from custody.signer import requests
from kernel.approval import Verb
from tests.orders import answer, asked, drafted, signed
from tests.policies import enact, founding
from tests.signers import lane_registry, serving
from tests.softtoken import hot_registry
from tests.stockroom import Lend
from tests.treasury import Treasury

pytestmark = pytest.mark.django_db


@pytest.fixture
def treasury(lend: Lend, now: datetime) -> Treasury:
    return lend(Treasury.open, now)


def test_to_let_go_takes_two_others_who_say_release(treasury: Treasury) -> None:
    staff = treasury.staff
    row = asked(treasury, "*")
    with pytest.raises(AnotherVerb):
        answer(treasury, row, staff.ben, "approve")
    with pytest.raises(NotAllowed):
        answer(treasury, row, staff.ana, "release")
    answer(treasury, row, staff.ben, "release")
    assert row.state == "signing"
    answer(treasury, row, staff.cy, "release")
    assert (row.state, row.request.state if row.request else "") == ("signed", "consumed")
    read = requests.order(queries.order_message(row))
    assert [approval.verb for approval in read.signed.approvals] == [Verb.ASK, Verb.RELEASE, Verb.RELEASE]
    assert {approval.nonce for approval in read.signed.approvals} == {bytes(row.nonce)}


def test_to_let_go_is_not_asked_of_whom_signers_do_not_count(treasury: Treasury) -> None:
    """They froze it: neither their release nor their rejection is taken, which signers would do without."""
    staff, row = treasury.staff, asked(treasury, "hot")
    said: dict[str, Any] = {"frozen": {"hot": "x"}, "uncounted": {"hot": [str(staff.ben.identity.pk)]}}
    actions.report_health(token="hot-1", said=said, now=treasury.now)
    for verb in ("release", "reject"):
        with pytest.raises(ConflictOfInterest, match="signers do not count your release"):
            answer(treasury, row, staff.ben, verb, "mine")
    answer(treasury, row, staff.cy, "release")
    assert row.state == "signing"


def test_to_let_go_ends_with_a_rejection(treasury: Treasury) -> None:
    row = asked(treasury, "hot")
    answer(treasury, row, treasury.staff.ben, "reject", "it is not")
    assert row.state == "rejected"


def test_to_reopen_names_what_the_signer_itself_found(treasury: Treasury) -> None:
    ana = treasury.staff.ana
    with pytest.raises(ordering.UnknownSubject):
        actions.ask_reopening(token="hot-1", reason="disk died", actor=ana.actor, now=treasury.now)
    said: dict[str, Any] = {
        "state": "SIGNER_STORE_LOST",
        "why": "no journal",
        "journal": {"lines": 0, "standing": "ab" * 32},
        "registry": {"version": 3, "digest": "cd" * 32},
        "frozen": {},
        "used": {},
    }
    actions.report_health(token="hot-1", said=said, now=treasury.now)
    row = actions.ask_reopening(token="hot-1", reason="disk died", actor=ana.actor, now=treasury.now)
    assert row.tokens == ["hot-1"]
    assert requests.order({**queries.order_message(row), "approvals": []}).subject == "ab" * 32


def test_to_reopen_names_whoever_is_suspended_anywhere(now: datetime) -> None:
    """At another signer, by an order that none may have heard yet, or here; nobody whom a quorum let go."""
    treasury = Treasury.open(now)  # founded in this transaction, in which a row may say who comes back
    staff = treasury.staff
    ben, cy, dot, eve = (str(one.identity.pk) for one in (staff.ben, staff.cy, staff.dot, staff.eve))
    signed(treasury, drafted(treasury, wallet=f"officer:{dot}"))
    drafted(treasury, wallet=f"officer:{eve}")  # nobody signed that
    said: dict[str, Any] = {"journal": {"lines": 0, "standing": "ab" * 32}, "frozen": {}}
    actions.report_health(token="hot-1", said=said, now=now)
    elsewhere: dict[str, Any] = {"frozen": {f"officer:{ben}": "a laptop", "hot": "a laptop"}}
    actions.report_health(token="hot-2", said=elsewhere, now=now)
    Identity.objects.filter(pk=cy).update(is_active=False)

    row = actions.ask_reopening(token="hot-1", reason="disk died", actor=staff.ana.actor, now=now)
    read = requests.order({**queries.order_message(row), "approvals": []})
    assert list(read.suspended) == sorted([ben, cy, dot])
    actions.report_health(token="hot-2", said={"frozen": {}}, now=now)
    Identity.objects.filter(pk=cy).update(is_active=True)
    treasury.now += timedelta(hours=1)
    row = asked(treasury, f"officer:{dot}")
    assert queries.suspended_officers() == [dot], "asking lets nobody count"
    for officer in (staff.ben, staff.cy):
        answer(treasury, row, officer, "release")
    assert queries.suspended_officers() == []


def test_to_take_up_a_registry_can_be_vetoed_by_one(treasury: Treasury) -> None:
    ana, ben = treasury.staff.ana, treasury.staff.ben
    new = hot_registry(version=2, deployment=settings.DEPLOYMENT)
    digest = new.digest.hex()
    with pytest.raises(ordering.UnknownSubject):
        actions.draft_veto(registry_digest=digest, reason="no", actor=ben.actor, now=treasury.now)
    row = actions.ask_registry(new=new, reason="Dot signs too", actor=ana.actor, now=treasury.now)
    asked = requests.order({**queries.order_message(row), "approvals": []})
    assert (asked.version, asked.keys) == (2, new.keys)
    veto = actions.draft_veto(
        registry_digest=digest, reason="nobody told me", actor=ben.actor, now=treasury.now
    )
    assert signed(treasury, veto, by=ben).state == "signed"


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"deployment": "production"}, "the file is for production on regtest, this is test on regtest"),
        ({"network": "mainnet", "limits": {"registry_delay_s": 86_400}}, "for test on mainnet"),
        ({"version": 1}, "version 1 does not follow version 1, which is loaded here"),
    ],
)
def test_to_take_up_a_registry_is_not_asked_for_one_that_signers_would_refuse_days_later(
    treasury: Treasury, wrong: dict[str, Any], why: str
) -> None:
    members = {"version": 2, "deployment": settings.DEPLOYMENT, **wrong}
    before = AuditEvent.objects.count()
    with pytest.raises(refusals.NoSuccessor) as refusal:
        actions.ask_registry(
            new=hot_registry(**members), reason="x", actor=treasury.staff.ana.actor, now=treasury.now
        )
    assert why in str(refusal.value)
    assert AuditEvent.objects.count() == before + 1
    assert not SignerOrder.objects.filter(kind="signer.registry").exists()


QUICK: Final = {
    "name": "quick releases",
    "when": [["kind", "is", "signer.release"]],
    "teams": {"treasury": 2},
    "rejections": 1,
    "approve_s": 600,
    "execute_s": 1_200,
}


def test_of_a_quorum_is_good_for_the_day_by_which_signers_reckon_whatever_a_rule_says(
    treasury: Treasury,
) -> None:
    """A release that a rule had made shorter would look older than the freeze, and no signer would obey."""
    staff = treasury.staff
    enact(staff, treasury.now, [QUICK, *founding()])
    with serving(lane_registry(staff), now=treasury.now) as signers:
        stop = signed(treasury, drafted(treasury))
        assert signers.codes(dict(queries.order_message(stop))) == ["obeyed"] * 3
        row = actions.ask_release_of_signers(
            wallet="hot", reason="found again", actor=staff.ana.actor, now=treasury.now
        )
        request = row.request
        assert request is not None
        assert (request.rule, request.approve_within) == ("quick releases", timedelta(minutes=10))
        assert row.expires_at == treasury.now.replace(microsecond=0) + timedelta(days=1)
        staff.ana.asks(request, treasury.now)
        for officer in (staff.ben, staff.cy):
            submit_signature(
                request_id=request.pk,
                signed=officer.answer(request, "release"),
                actor=officer.actor,
                now=treasury.now,
            )
        message = dict(queries.order_message(queries.signer_order(row.pk)))
        assert signers.desks["hot-1"].code(message) == "obeyed"
        signers.at(row.expires_at - timedelta(seconds=1))
        assert signers.desks["hot-2"].code(message) == "obeyed"
        signers.at(row.expires_at)
        assert signers.desks["hot-3"].code(message) == "SIGNER_INTENT_EXPIRED"
