"""A customer's erasure on the console …"""

from __future__ import annotations

from core import clock
from core.access.models import Identity
from kyc.actions import carry_out_erasure
from kyc.models import Erasure
from tests.doors import at_console
from tests.exchange import Exchange
from tests.forms import answered, refusal, send, shown
from tests.treasury import ROBOT, trader

LETTER = {"basis": "person_asked", "reason": "letter 4711", "understood": "yes"}


def test_is_asked_for_approved_and_seen_on_the_customers_page(exchange: Exchange) -> None:
    staff, ora = exchange.staff, trader("Ora", tier=0)
    ana, page = staff.ana.identity, f"/identity/customers/{ora.pk}/"
    found = at_console(ana).get(f"/identity/?customer={ora.pk}")
    assert (found.status_code, found["Location"]) == (302, page)
    before = shown(ana, page)
    for words in ("What an erasure does", "Kept", "Bookings, deposits", "nothing was ever booked"):
        assert words in before
    assert "In the way now" not in before
    for changes, said in (
        ({"understood": ""}, "say that you have read"),
        ({"basis": "whim"}, "choose what allows"),
        ({"reason": " "}, "write the reason first"),
    ):
        refused = send(ana, page, f"{page}erase", **LETTER | changes)
        assert (refused.status_code, said in refusal(refused)) == (422, True)
    asked = send(ana, page, f"{page}erase", **LETTER)
    row = Erasure.objects.get(customer=ora)
    assert asked["Location"] == f"/approvals/{row.request_id}/"
    request = shown(staff.ben.identity, f"/approvals/{row.request_id}/")
    for words in ("Erase a customer, for good", "the person asked for it", "nothing was ever booked"):
        assert words in request
    assert "waits for others" in shown(ana, page)
    for officer in (staff.ben, staff.cy):
        assert answered(officer, row.request).status_code == 302
    assert "a worker carries it out within a minute" in shown(ana, page)
    carry_out_erasure(erasure_id=row.pk, actor=ROBOT, now=clock.now())
    after = shown(ana, page)
    assert ("It cannot be undone" in after, "Ask for the erasure" in after) == (True, False)
    assert Identity.objects.get(pk=ora.pk).display_name == "erased"


def test_says_what_is_in_the_way(exchange: Exchange) -> None:
    tom = exchange.treasury.tom.pk
    ana, page = exchange.staff.ana.identity, f"/identity/customers/{tom}/"
    found = shown(ana, page)
    for words in (
        "Customer funding holds 0.5 BTC",
        "A withdrawal or order is under way",
        "A case is open: review",
        "The law wants the files until",
        "Nobody can ask for it before that is over",
    ):
        assert words in found
    assert "Ask for the erasure" not in found
    refused = at_console(ana).post(f"{page}erase", LETTER)
    assert refusal(refused).startswith("Nothing was asked: customer funding holds 0.5 BTC; a withdrawal")
    una = shown(exchange.una, page)
    assert ("Your role does not ask for erasures" in una, "Ask for the erasure" in una) == (True, False)
