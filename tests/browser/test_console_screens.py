"""On every screen of the console …"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from core.audit.models import AuditEvent
from tests.browser.conftest import Site

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ALL_RULES: Final = {
    "type": "tag",
    "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
}
COLOURS: Final = {"type": "rule", "values": ["color-contrast"]}
"""All that differs between light and dark."""
SHOTS: Final = os.environ.get("SCREENSHOTS", "")
"""A folder to which each screen's picture goes; none are taken without one."""


def screens(site: Site) -> dict[str, str]:
    """Each screen's path, by its name."""
    exchange = site.exchange
    return {
        "home": "/",
        "approvals": "/approvals/",
        "approval": f"/approvals/{exchange.request.pk}/",
        "policy": "/approvals/policy/",
        "policy_draft": f"/approvals/policy/{exchange.draft.pk}/",
        "withdrawals": "/withdrawals/",
        "withdrawal": f"/withdrawals/{exchange.held.pk}/",
        "treasury": "/treasury/",
        "signers": "/treasury/signers/",
        "refill": f"/treasury/refills/{exchange.refill.pk}/",
        "adjustments": "/treasury/adjustments/",
        "cases": "/identity/",
        "case": f"/identity/{exchange.case.pk}/",
        "markets": "/markets/",
        "market": f"/markets/{exchange.market.symbol}/",
        "engine": "/engine/",
        "staff": "/staff/",
        "person": f"/staff/{exchange.una.pk}/",
        "session": "/session/",
        "authenticators": "/authenticators/",
        "emergencies": "/emergencies/",
        "elevations": "/staff/elevations/",
        "elevation": f"/staff/elevations/{exchange.row('grant')}/",
        "audit": "/audit/",
        "reads": "/audit/reads/",
        "seals": "/audit/seals/",
        "event": f"/audit/{AuditEvent.objects.order_by('id').values_list('pk', flat=True)[2]}/",
        "freezes": "/freezes/",
        "health": "/health/",
        "missing": "/nothing/of/the/kind/",
    }


def test_axe_finds_nothing_and_the_policy_stops_nothing(site: Site, visit: Any) -> None:
    officer, auditor = visit(site.exchange.staff.ana.identity), visit(site.exchange.staff.dot.identity)
    found = {}
    for name, path in screens(site).items():
        page = (auditor if name in ("audit", "event", "reads", "seals") else officer).open(path)
        for scheme, rules in (("light", ALL_RULES), ("dark", COLOURS)):
            page.emulate_media(color_scheme=scheme)
            found[f"{name}, {scheme}"] = violations(page, rules)
            keep(page, f"{name}-{scheme}")
    assert found == {name: [] for name in found}


def violations(page: Page, rules: dict[str, Any]) -> list[str]:
    """What axe finds, in a line each."""
    report = Axe().run(page, options={"runOnly": rules})
    return [
        f"{each['id']}: {node['html'][:120]} {node.get('failureSummary', '')[:300]}"
        for each in report.response["violations"]
        for node in each["nodes"]
    ]


def keep(page: Page, name: str) -> None:
    """The picture, where somebody wants to look."""
    if SHOTS:
        page.screenshot(path=Path(SHOTS) / f"{name}.png", full_page=True)
