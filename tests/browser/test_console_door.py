"""Somebody at the door …"""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Route

from core.access.models import OfficerSession
from tests.browser.conftest import Site
from tests.browser.test_console_screens import ALL_RULES, keep, violations
from tests.doors import edge

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_is_told_what_is_wrong_and_finds_the_way_on(site: Site, visit: Any) -> None:
    ana = site.exchange.staff.ana.identity
    edge.says(ana, disk_encryption=False)
    window = visit(ana)
    page = window.open(f"/withdrawals/{site.exchange.held.pk}/")
    release = page.locator(f'form[action="/withdrawals/{site.exchange.held.pk}/release"]')
    release.locator('[name="reason"]').fill("the sender is known to us")
    release.locator("button").first.click()
    page.wait_for_selector("text=the disk of this device is not encrypted")
    assert violations(page, ALL_RULES) == []
    keep(page, "device-refused")

    page = window.open("/session/")
    page.wait_for_selector("text=Disk encrypted")
    keep(page, "device-on-session")

    OfficerSession.objects.filter(officer=ana).update(country="FR", device="laptop-of-before")
    page = window.open("/freezes/")
    page.wait_for_selector("text=Your network or device has changed")
    assert violations(page, ALL_RULES) == []
    keep(page, "moved-reading")
    page.locator("#enter button").click()
    page.wait_for_selector("#ceremony")
    keep(page, "moved-entering")


def test_who_ends_everything_leaves_by_the_edges_own_way_out(site: Site, visit: Any) -> None:
    window = visit(site.exchange.staff.ana.identity)
    page, team = window.page, f"{site.approver}/"  # any other origin: the edge leads to its team's

    def way_out(route: Route) -> None:
        route.fulfill(status=302, headers={"Location": team})

    page.route("**/cdn-cgi/access/logout", way_out)
    page = window.open("/session/")
    page.locator('form[action="/session/end-all"] button').click()
    page.wait_for_url(team)
