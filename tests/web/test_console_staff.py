"""A form about the staff …"""

from __future__ import annotations

from core import clock
from core.approvals.models import ApprovalRequest
from custody.actions import (
    report_health,
)
from custody.models import SignerOrder
from tests.doors import at_console
from tests.exchange import Exchange
from tests.forms import answered, refusal, send


def test_suspends_at_once_and_changes_the_staff_by_approval(exchange: Exchange) -> None:
    ana, page = exchange.staff.ana.identity, f"/staff/{exchange.una.pk}/"
    assert refusal(send(ana, page, f"{page}propose", reason="x")).startswith("Nothing was proposed: choose")
    fields = {"change": "grant_role", "role": "auditor", "hours": "8", "reason": "Dot is on holiday"}
    asked = send(ana, page, f"{page}propose", **fields)
    request = ApprovalRequest.objects.get(kind="staff.grant_role", state="open")
    assert asked["Location"] == f"/approvals/{request.pk}/"
    for officer in (exchange.staff.ben, exchange.staff.cy):
        assert answered(officer, request).status_code == 302
    assert "auditor, support" in at_console(ana).get(page).content.decode()

    new = {
        "name": "Zoë",
        "email": "zoe@countersign.example",
        "subject": "5f1c",
        "roles": ["support", "auditor"],
    }
    assert refusal(send(ana, "/staff/", "/staff/join", **new)) == "Nothing was proposed: say why."
    joined = send(ana, "/staff/", "/staff/join", **new, reason="starts on Monday")
    assert "Zoë" in at_console(ana).get(joined["Location"]).content.decode()

    assert send(ana, page, f"{page}suspend", reason="lost her key").status_code == 302
    assert at_console(exchange.una).get("/").status_code == 403
    assert "Your access is suspended" in at_console(exchange.una).get("/").content.decode()


def test_suspends_at_the_signers_too_and_says_while_they_do_not_know(exchange: Exchange) -> None:
    ana, ben = exchange.staff.ana.identity, exchange.staff.ben.identity
    page, name = f"/staff/{ben.pk}/", f"officer:{ben.pk}"
    sent = send(ana, page, f"{page}suspend", reason="a laptop was stolen")
    order = SignerOrder.objects.get(subject=name)
    assert sent["Location"] == f"/treasury/signers/orders/{order.pk}/"
    said = at_console(ana).get(sent["Location"]).content.decode()
    assert "Suspend an officer at every signer" in said
    assert "Ben Brandt: a laptop was stolen" in said
    said = at_console(ana).get(page).content.decode()
    assert "Suspended here only: hot-1, hot-2, hot-3 still count" in said
    for token in ("hot-1", "hot-2", "hot-3"):
        report_health(token=token, said={"state": "ready", "frozen": {name: "stolen"}}, now=clock.now())
    said = at_console(ana).get(page).content.decode()
    assert "Suspended here only" not in said
    assert "hot-1, hot-2, hot-3 count nothing that Ben Brandt signs" in said
    assert "Ben Brandt (suspended)" in at_console(ana).get("/treasury/signers/").content.decode()


def test_tells_who_suspends_people_and_stops_no_signer_that_others_must(exchange: Exchange) -> None:
    sam, page = exchange.staff.sam.identity, f"/staff/{exchange.staff.ben.identity.pk}/"
    assert send(sam, page, f"{page}suspend", reason="a laptop was stolen")["Location"] == page
    said = at_console(sam).get(page).content.decode()
    assert "Suspended here only: hot-1, hot-2, hot-3 still count" in said
    assert not SignerOrder.objects.filter(subject__startswith="officer:").exists()
