"""With an authenticator of their own, in a real browser, an officer …"""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from core.approvals.actions import submit_signature
from core.approvals.models import ApprovalRequest
from core.audit.models import AuditEvent
from core.clock import now
from core.factors.models import Passkey
from custody.models import Withdrawal
from tests.browser.conftest import Site
from tests.browser.passkeys import plug_in
from tests.browser.test_console_screens import ALL_RULES, COLOURS, keep, violations

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def looked_at(page: Page, name: str) -> None:
    """axe finds nothing in either scheme, and there is a picture for whoever wants one."""
    for scheme, rules in (("light", ALL_RULES), ("dark", COLOURS)):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        assert violations(page, rules) == []
        keep(page, f"{name}-{scheme}")


def test_confirms_exactly_what_is_on_the_page(site: Site, visit: Any) -> None:
    ana, held = site.exchange.staff.ana, site.exchange.held
    page = visit(ana.identity).open(f"/withdrawals/{held.pk}/")
    plug_in(page, ana.key, rp_id="console.localhost")
    page.fill("#release-reason", "papers seen")
    page.click("button:has-text('Release')")
    expect(page.locator("h2").first).to_have_text("Release this withdrawal to its checkers")
    looked_at(page, "confirm-money")
    # A script in the page changes the form after the question was asked: the server asks again, about that.
    page.evaluate("document.querySelector('#ceremony [name=reason]').value = 'nothing was seen'")
    page.click("#touch")
    expect(page.locator("#refusal")).to_contain_text("What you confirmed is not what arrived.")
    expect(page.locator(".words")).to_have_text("nothing was seen")
    assert Withdrawal.objects.get(pk=held.pk).state == "on_hold"
    looked_at(page, "confirm-refused")
    page.click("#touch")
    expect(page.locator(".note")).to_contain_text("Released from screening.")
    deed = AuditEvent.objects.filter(doc__target=f"custody.withdrawal/{held.pk}").order_by("-id")[0]
    assert deed.doc["actor"]["proof"].startswith("factors.challenge/")


def test_registers_a_passkey_that_counts_after_a_second_person_agreed(site: Site, visit: Any) -> None:
    staff = site.exchange.staff
    page = visit(staff.dot.identity).open("/authenticators/")
    plug_in(page, staff.dot.key, rp_id="console.localhost")
    looked_at(page, "authenticators")
    page.click("text=Register a passkey")
    page.click("#touch")
    expect(page.locator("h1")).to_have_text("A new passkey")
    looked_at(page, "new-passkey")
    # The key that answered is known already; a second authenticator makes the new one.
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "usb", "hasUserVerification": True, "isUserVerified": True}
    session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    page.fill("#label", "blue key")
    page.fill("#reason", "the old one is worn")
    page.click("#touch")
    expect(page.locator(".note")).to_contain_text("It counts once another officer has approved it.")
    made = Passkey.objects.get(name="blue key")
    assert (made.state, made.confirmed, made.attestation) == ("pending", False, "packed")
    assert bytes(made.attestation_object)
    request = ApprovalRequest.objects.get(kind="factors.enrol_passkey", state="open")
    signed = staff.ben.answer(request)
    submit_signature(request_id=request.pk, signed=signed, actor=staff.ben.actor, now=now())
    made.refresh_from_db()
    assert made.confirmed


def test_registers_an_authenticator_app(site: Site, visit: Any) -> None:
    staff = site.exchange.staff
    page = visit(staff.dot.identity).open("/authenticators/")
    plug_in(page, staff.dot.key, rp_id="console.localhost")
    page.click("text=An authenticator app")
    page.fill("#label", "telephone")
    page.click("text=Register an app")
    looked_at(page, "confirm-code")
    page.click("#touch")
    expect(page.locator("h1")).to_have_text("Put this secret into your app")
    looked_at(page, "new-code")


def test_starts_a_session_with_two_keystrokes(site: Site, visit: Any) -> None:
    ana = site.exchange.staff.ana
    page = visit(ana.identity, enters=False).open("/withdrawals/")
    plug_in(page, ana.key, rp_id="console.localhost")
    expect(page.locator("h1")).to_have_text("Start your session")
    looked_at(page, "enter")
    page.keyboard.press("Enter")
    expect(page.locator("#touch")).to_be_focused()
    looked_at(page, "enter-confirm")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{site.console}/withdrawals/")
    expect(page.locator("h1")).to_have_text("Withdrawals")
