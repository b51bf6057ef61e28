"""A request for approval on the console …"""

from __future__ import annotations

from core import clock
from core.approvals.models import ApprovalRequest
from core.staff.actions import propose_change, suspend_person
from core.staff.domain.changes import Restore
from tests.doors import at_console
from tests.exchange import Exchange
from tests.forms import answered, refusal, send, shown


def test_takes_two_signed_answers_and_none_of_the_makers(exchange: Exchange) -> None:
    staff, request = exchange.staff, exchange.request
    nonsense = at_console(staff.ben.identity).post(f"/approvals/{request.pk}/sign", {"verb": "approved"})
    assert nonsense.status_code == 422
    assert refusal(nonsense).startswith("Nothing was recorded: this is no answer from the approver page.")
    forbidden = at_console(staff.ana.identity).post(f"/approvals/{request.pk}/sign", {"verb": "approve"})
    assert forbidden.status_code == 403
    assert refusal(forbidden) == "You made this request, so others must answer it."
    assert b'id="to-approver"' not in at_console(staff.ana.identity).get(f"/approvals/{request.pk}/").content
    first = answered(staff.ben, request)
    assert (first.status_code, first["Location"]) == (302, f"/approvals/{request.pk}/")
    page = at_console(staff.ben.identity).get(f"/approvals/{request.pk}/").content.decode()
    assert "You have answered already." in page
    assert answered(staff.cy, request).status_code == 302
    assert ApprovalRequest.objects.get(pk=request.pk).state == "approved"
    signers = at_console(staff.ana.identity).get(f"/approvals/{request.pk}.json").json()["signatures"]
    assert sorted(one["officer"] for one in signers) == sorted(
        [str(staff.ben.identity.pk), str(staff.cy.identity.pk)]
    )


def test_says_of_the_way_back_from_a_lost_role_what_to_do(exchange: Exchange) -> None:
    staff, now = exchange.staff, clock.now()
    ben = staff.ben.identity.pk
    assert "Coming back is asked for by somebody who grants" in shown(staff.sam.identity, f"/staff/{ben}/")
    suspend_person(person=ben, reason="a stolen laptop", actor=staff.sam.actor, now=now)
    asked = propose_change(change=Restore(ben), reason="it was found", actor=staff.sam.actor, now=now)
    where, told = f"/approvals/{asked.pk}/", "and everybody was told."
    assert f"{told} If you did not expect it, reject it first" in shown(staff.cy.identity, where)
    assert f"{told} Others must agree." in shown(staff.sam.identity, where)


def test_takes_a_request_back_for_its_maker_alone(exchange: Exchange) -> None:
    page = f"/approvals/{exchange.request.pk}/"
    refused = at_console(exchange.staff.ben.identity).post(f"{page}withdraw", {"reason": "no"})
    assert refused.status_code == 403
    assert refusal(refused) == "Only whoever made the request can take it back."
    answer = send(exchange.staff.ana.identity, page, f"{page}withdraw", reason="the wrong one")
    assert answer.status_code == 302
    assert ApprovalRequest.objects.get(pk=exchange.request.pk).state == "withdrawn"
