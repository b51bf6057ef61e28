"""With a keyboard alone, or without any script, an officer …"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import expect

from core import clock
from custody.actions import reject_withdrawal
from custody.models import Withdrawal
from engine_bridge.adapters import vitals
from engine_bridge.adapters.inspection import Depth
from tests import doors
from tests.browser.conftest import Site, tab_to
from tests.browser.passkeys import plug_in

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_walks_the_list_and_releases_a_withdrawal_by_keys(site: Site, visit: Any) -> None:
    ana = site.exchange.staff.ana
    page = visit(ana.identity).open("/")
    plug_in(page, ana.key, rp_id="console.localhost")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("j")
    expect(page.locator("a.row").first).to_be_focused()
    page.keyboard.press("j")
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{site.console}/withdrawals/{site.exchange.held.pk}/")
    tab_to(page, "#release-reason")
    page.keyboard.type("jk? are letters here")
    assert page.locator("#release-reason").input_value() == "jk? are letters here"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    # What was typed is there to be read, and the next key confirms exactly that.
    expect(page.locator(".words")).to_have_text("jk? are letters here")
    expect(page.locator("#touch")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".note")).to_contain_text("Released from screening.")
    held = Withdrawal.objects.get(pk=site.exchange.held.pk)
    assert held.request is not None
    assert page.url == f"{site.console}/approvals/{held.request.pk}/"

    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()
    page.uncheck("#keys-on")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_hidden()


def test_sees_the_refusal_first_and_finds_what_was_typed(site: Site, visit: Any) -> None:
    ana = site.exchange.staff.ana
    page = visit(ana.identity).open("/treasury/adjustments/")
    plug_in(page, ana.key, rp_id="console.localhost")
    page.fill("#customer", "somebody")
    page.fill("#amount", "12.5")
    page.fill("#reason", "a wire arrived")
    page.click("text=Ask for the credit")
    page.click("#touch")
    expect(page.locator("#refusal")).to_be_focused()
    expect(page.locator("#refusal")).to_contain_text("choose the customer by their id")
    assert page.locator("#reason").input_value() == "a wire arrived"
    assert page.locator("#amount").input_value() == "12.5"


def test_sees_a_queue_move_when_a_colleague_acts(site: Site, visit: Any) -> None:
    staff = site.exchange.staff
    page = visit(staff.ben.identity).open("/withdrawals/?tab=on hold")
    expect(page.locator("html[data-told]")).to_have_count(1)
    row = page.locator(f'a.row[href="/withdrawals/{site.exchange.held.pk}/"]')
    expect(row).to_have_count(1)
    reject_withdrawal(
        withdrawal_id=site.exchange.held.pk, reason="a mixer", actor=staff.ana.actor, now=clock.now()
    )
    expect(row).to_have_count(0)


def test_sees_what_nothing_announces_as_soon_as_a_page_says_it_looks(site: Site, visit: Any) -> None:
    """An engine that halts a market while settlement stands: no act, and so no hint of it."""
    market = site.exchange.market
    window = visit(site.exchange.staff.sam.identity)
    window.page.clock.install()
    page = window.open(f"/markets/{market.symbol}/")
    expect(page.locator("html[data-told]")).to_have_count(1)
    expect(page.locator(".title")).to_contain_text("as settled")
    depth = Depth(7, (), (), None)
    vitals.leave_depth(market.pk, depth, state="halted", now=clock.now() + timedelta(seconds=60))
    page.clock.run_for(7_000)
    expect(page.locator(".title .state")).to_have_text("halted")
    expect(page.locator(".title")).not_to_contain_text("as settled")


def test_is_led_to_the_entrance_when_the_session_ends_elsewhere(site: Site, visit: Any) -> None:
    ana = site.exchange.staff.ana
    page = visit(ana.identity).open("/")
    expect(page.locator("html[data-told]")).to_have_count(1)
    doors.at_console(ana.identity, fresh=True).enter()
    expect(page.locator("main")).to_contain_text("You have started a session elsewhere")


def test_gets_fresh_counts_without_a_socket_and_without_losing_the_place(site: Site, visit: Any) -> None:
    window = visit(site.exchange.staff.ana.identity)
    window.page.route_web_socket("**/live", lambda socket: socket.close())
    window.page.clock.install()
    page = window.open("/")
    expect(page.locator("#side .count")).to_have_count(3)
    page.locator("a.row").nth(1).focus()
    focused = page.evaluate("document.activeElement.href")
    Withdrawal.objects.filter(pk=site.exchange.held.pk).update(state="rejected")
    page.clock.run_for(21_000)
    expect(page.locator("#side .count")).to_have_count(2)
    expect(page.locator("#mine-withdrawals")).to_have_count(0)
    assert page.evaluate("document.activeElement.href") == focused


def test_works_before_any_script(site: Site, visit: Any) -> None:
    ana = site.exchange.staff.ana
    page = visit(ana.identity, java_script_enabled=False).open("/withdrawals/?tab=on hold")
    page.click("a.row")
    page.fill("#release-reason", "Tom called")
    page.click("button:has-text('Release')")
    expect(page.locator("main")).to_contain_text("This moves money, so a code is not enough.")
    page.goto(f"{site.console}/withdrawals/{site.exchange.held.pk}/")
    page.click("summary:has-text('Reject')")
    page.fill("#reject-reason", "a mixer")
    page.click("button:has-text('Reject')")
    page.fill("#stepup_code", ana.app.code(time.time()))
    page.click("text=Confirm with the code")
    expect(page.locator("main")).to_have_attribute("data-state", "rejected")
