"""On every screen of the console …"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from django.db import connection
from playwright.sync_api import Page

from core import clock
from core.approvals.actions import submit_signature
from core.audit import cosigning
from core.audit.models import AuditEvent
from core.audit.sources import OwnLog
from core.freezes.actions import pull_freeze
from custody import actions, queries
from custody.adapters import feerates
from custody.models import Payment, SignerHealth
from engine_bridge.actions import ask_fee_level
from engine_bridge.actions.bands import adopt_band
from engine_bridge.adapters import vitals
from engine_bridge.adapters.administration import ShardReading
from engine_bridge.adapters.inspection import Depth, Indication, Verification
from engine_bridge.domain.markets import Band
from tests import raising
from tests.actions.test_core_audit_sealing import seal_all
from tests.auditing import watching
from tests.browser.conftest import Site
from tests.notaries import soft_log
from tests.recoveries import RAE, draft_recovery, running
from tests.traders import new_password
from tests.treasury import BTC, ROBOT, customer_actor, trader

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ALL_RULES: Final = {
    "type": "tag",
    "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
}
LOG: Final = "countersign/test/audit"
COLOURS: Final = {"type": "rule", "values": ["color-contrast"]}
"""All that differs between light and dark."""
REMEMBERS: Final = """
{
  const { Color } = axe.commons.color;
  const { parseString } = Color.prototype;
  const known = new Map();
  Color.prototype.parseString = function (text) {
    if (!known.has(text)) known.set(text, parseString.call(new Color(), text));
    const { r, g, b, alpha } = known.get(text);
    return Object.assign(this, { r, g, b, alpha });
  };
}
null
"""
"""axe reads the same few colours again for each text and all that lies behind it: two fifths of its time."""
SHOTS: Final = os.environ.get("SCREENSHOTS", "")
"""A folder to which each screen's picture goes; none are taken without one."""


def screens(site: Site, settings: Any) -> dict[str, str]:
    """Each screen's path, by its name."""
    exchange = site.exchange
    asked, obeyed = (make(exchange.staff.ana, clock.now()) for make in (draft_recovery, running))
    sweep = exchange.proposed_sweep()
    raised, (held, refused) = slow_payment(site), payments(site)
    return {
        "home": "/",
        "approvals": "/approvals/",
        "approval": f"/approvals/{exchange.request.pk}/",
        "policy": "/approvals/policy/",
        "policy_draft": f"/approvals/policy/{exchange.draft.pk}/",
        "withdrawals": "/withdrawals/",
        "withdrawal": f"/withdrawals/{exchange.held.pk}/",
        "held": f"/withdrawals/{held.withdrawal_id}/",
        "refused": f"/withdrawals/{refused.withdrawal_id}/",
        "raised": f"/withdrawals/{raised.withdrawal_id}/",
        "treasury": "/treasury/",
        "signers": "/treasury/signers/",
        "recovery": f"/treasury/signers/orders/{asked.pk}/",
        "recovering": f"/treasury/signers/orders/{obeyed.pk}/",
        "refill": f"/treasury/refills/{exchange.refill.pk}/",
        "sweep": f"/treasury/sweeps/{sweep}/",
        "adjustments": "/treasury/adjustments/",
        "cases": "/identity/",
        "case": f"/identity/{exchange.case.pk}/",
        "markets": "/markets/",
        "market": f"/markets/{exchange.market.symbol}/",
        "fees": charged(site),
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
        **sealed(site, settings),
        "freezes": "/freezes/",
        "health": "/health/",
        "missing": "/nothing/of/the/kind/",
    }


def sealed(site: Site, settings: Any) -> dict[str, str]:
    """An event that is proven, one that was changed since, and one that is gone, in a log of which one of two
    witnesses has seen the head; and acts under the name of somebody who did not do all of them.
    """
    ana = site.exchange.staff.ana.identity
    AuditEvent.texts.append(
        f'{{"action":"a","actor":{{"label":"{ana.display_name}"}},"at":"2026-01-01T00:00:00Z"}}'
    )
    log, seal = soft_log(site.folder, origin=LOG)
    seal_all(seal, now=clock.now())
    settings.AUDIT_KEY_FILE, settings.AUDIT_ORIGIN = site.folder / "key.txt", LOG
    settings.AUDIT_WITNESSES_FILE = site.folder / "witnesses.txt"
    with watching(site.folder, log) as among:
        cosigning.collect(OwnLog(log), among[:1], now=clock.now())
        settings.AUDIT_WITNESSES_FILE.write_text("".join(f"{one.cosigner} {one.socket}\n" for one in among))
    event, changed, gone = AuditEvent.texts.order_by("pk")[2:5]
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_event DISABLE TRIGGER audit_event_rows")
        cursor.execute(
            'UPDATE audit_event SET canon = replace(canon, \'"at":"2\', \'"at":"3\')'
            " WHERE tx = %s AND n = %s",
            changed.pk,
        )
        cursor.execute("DELETE FROM audit_event WHERE tx = %s AND n = %s", gone.pk)
        cursor.execute("ALTER TABLE audit_event ENABLE ALWAYS TRIGGER audit_event_rows")
    return {
        "event": f"/audit/{event.id}/",
        "changed": f"/audit/{changed.id}/",
        "gone": f"/audit/{gone.id}/",
        "gap": f"/audit/?before={gone.id + 1}",
        "namesakes": f"/audit/?{urlencode({'actor': ana.display_name})}",
    }


def test_axe_finds_nothing_and_the_policy_stops_nothing(site: Site, visit: Any, settings: Any) -> None:
    officer, auditor = visit(site.exchange.staff.ana.identity), visit(site.exchange.staff.dot.identity)
    watched(site)
    found = {}
    for name, path in screens(site, settings).items():
        page = (auditor if path.startswith("/audit/") else officer).open(path)
        for scheme, rules in (("light", ALL_RULES), ("dark", COLOURS)):
            page.emulate_media(color_scheme=scheme)
            found[f"{name}, {scheme}"] = violations(page, rules)
            keep(page, f"{name}-{scheme}")
    assert found == {name: [] for name in found}


def slow_payment(site: Site) -> Payment:
    """One that no block took, raised once by a node's yes and once more with a signer's no."""
    treasury, una = site.exchange.treasury, trader("Una", tier=2)
    treasury.deposit(BTC, una)
    row = treasury.approved(sats=1_000_000, customer_id=una.pk, actor=customer_actor(una))
    payment = treasury.broadcast(row)
    raising.replaced(treasury, payment, rate=9)
    raising.refused(treasury, raising.raised(treasury, payment, rate=24), "SIGNER_FROZEN")
    feerates.leave(31, blocks=6, now=clock.now())
    return queries.payment(payment.pk)


def payments(site: Site) -> tuple[Payment, Payment]:
    """One that a freeze and a new password hold back, signed, and one that the signers have refused."""
    treasury, now = site.exchange.treasury, clock.now()
    held = treasury.signed(treasury.approved(sats=1_000_000))
    treasury.deposit(BTC)
    refused = treasury.signing(treasury.approved(sats=1_000_000))
    for token in ("hot-1", "hot-2"):
        actions.report_refusal(
            payment_id=refused.pk, token=token, code="SIGNER_FROZEN", detail="frozen", actor=ROBOT, now=now
        )
    scope = f"customer:{treasury.tom.pk}"
    pull_freeze(scope=scope, reason="he says it was not him", actor=site.exchange.staff.sam.actor, now=now)
    new_password(treasury.tom.pk, now=now)
    told = {"maker": RAE, "reason": "the safe was opened", "at": now.isoformat(), "version": 2}
    told |= {"from": (now + timedelta(days=3)).isoformat(), "is_recovery": True}
    veto = {"maker": str(site.exchange.staff.ben.identity.pk), "reason": "not by us", "at": now.isoformat()}
    signers = SignerHealth.objects.filter(token__startswith="hot-")
    signers.update(announced={"ab" * 32: told}, frozen={"hot": "a laptop was stolen"}, journal_lines=9)
    signers.filter(token="hot-2").update(vetoed={"ab" * 32: veto}, registry_digest="cd" * 32)
    return held, refused


def charged(site: Site) -> str:
    """Fees: one account's approved and on their way to the engine, another's asked for; and a price band."""
    staff, now, tom = site.exchange.staff, clock.now(), site.exchange.treasury.tom
    by: dict[str, Any] = {"reason": "quotes both sides", "actor": staff.ana.actor, "now": now}
    asked = ask_fee_level(customer_id=tom.pk, level="MM1", **by)
    for officer in (staff.ben, staff.cy):
        submit_signature(request_id=asked.pk, signed=officer.answer(asked), actor=officer.actor, now=now)
    ask_fee_level(customer_id=trader("Ugo", tier=2).pk, level="VIP1", **by)
    adopt_band(instrument=site.exchange.market.pk, found=Band(50_000, 400_000), actor=ROBOT, now=now)
    return "/fees/"


def watched(site: Site) -> None:
    """What a watcher would have left of an engine whose journal was found damaged, and of its book."""
    now = clock.now()
    reading = ShardReading(
        epoch=3, state="running", engine_seq=812_004, durable_seq=812_004, event_seq=1_904_377,
        queue_depth=12, open_orders=40_112, accounts=318, fsync_p50_us=171, fsync_p99_us=602,
        journal_bytes=73_400_320,
        snapshot_seq=800_000, state_hash="5e" * 32, state_hash_seq=812_004, engine_time=now, version="0.1.0",
        consumers={"settlement": 1_904_301}, queue_limit=131_072,
        flush_us_buckets=(0,) * 5 + (3, 19, 2_204, 9_120, 1_310, 88, 12, 0, 1) + (0,) * 7,
    )  # fmt: skip
    began = now - timedelta(minutes=3)
    finding = "/srv/journal/journal-00000000000000400123.seg is corrupt at byte 70912: a block is damaged"
    broken = Verification("broken", began, now, 0, 0, 0, 0, 0, 393_216, "", "", finding)
    vitals.leave(reading, broken, now=now)
    bids, asks = (tuple((600_000 + step * at, 1_000 * at, at) for at in range(1, 13)) for step in (-10, 10))
    call = Indication(600_000, 40_000, 1_000, "buy")
    vitals.leave_depth(site.exchange.market.pk, Depth(1_904_377, bids, asks, call), state="open", now=now)


def violations(page: Page, rules: dict[str, Any]) -> list[str]:
    """What axe finds, in a line each. It comes once to a page, and tells of nothing that is right."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT + REMEMBERS)
    run = "options => axe.run(options).then(report => report.violations)"
    return [
        f"{each['id']}: {node['html'][:120]} {node.get('failureSummary', '')[:300]}"
        for each in page.evaluate(run, {"runOnly": rules, "resultTypes": ["violations"]})
        for node in each["nodes"]
    ]


def keep(page: Page, name: str) -> None:
    """The picture, where somebody wants to look."""
    if SHOTS:
        page.screenshot(path=Path(SHOTS) / f"{name}.png", full_page=True)
