"""A form that freezes or halts …"""

from __future__ import annotations

from core import clock
from core.approvals.actions import submit_signature
from core.approvals.models import ApprovalRequest
from core.freezes.actions import ask_release, pull_freeze
from core.freezes.models import Freeze
from tests.doors import at_console
from tests.exchange import Exchange
from tests.forms import answered, refusal, send


def test_stops_a_market_at_once_and_releases_it_by_three(exchange: Exchange) -> None:
    page, sam = "/markets/BTC-USDT/", exchange.staff.sam.identity
    assert refusal(send(sam, page, f"{page}stop", state="open", reason="x")).startswith("Nothing was stopped")
    assert refusal(send(sam, page, f"{page}stop", state="halted")) == "Nothing was changed: say why."
    assert send(sam, page, f"{page}stop", state="halted", reason="one price").status_code == 302
    ana, frozen = exchange.staff.ana.actor, "The market BTC-USDT is frozen"
    assert refusal(send(sam, page, f"{page}release", reason="two prices")).startswith(frozen)
    release = ask_release(freeze_id=exchange.freeze.pk, reason="two prices", actor=ana, now=clock.now())
    for officer in (exchange.staff.ben, exchange.staff.cy):
        signed = officer.answer(release)
        submit_signature(request_id=release.pk, signed=signed, actor=officer.actor, now=clock.now())
    asked = send(sam, page, f"{page}release", reason="two prices")
    request = ApprovalRequest.objects.get(kind="engine.market_release")
    assert (asked.status_code, asked["Location"]) == (302, f"/approvals/{request.pk}/")
    shown = at_console(exchange.staff.ben.identity).get(asked["Location"]).content.decode()
    assert "Let BTC-USDT trade again" in shown


def test_freezes_at_once_and_releases_by_three(exchange: Exchange) -> None:
    page, ana = "/freezes/", exchange.staff.ana.identity
    assert refusal(send(ana, page, f"{page}pull", scope="everything", reason="x")).startswith(
        "Nothing of that name"
    )
    assert send(ana, page, f"{page}pull", scope="platform.withdrawals", reason="a leak").status_code == 302
    row = Freeze.objects.get(scope="platform.withdrawals")
    assert b"Frozen: platform.withdrawals" in at_console(exchange.staff.sam.identity).get("/").content
    asked = send(ana, page, f"{page}{row.pk}/release", reason="closed it")
    request = ApprovalRequest.objects.get(subject=f"freezes.freeze/{row.pk}")
    assert (asked.status_code, asked["Location"]) == (302, f"/approvals/{request.pk}/")
    for officer in (exchange.staff.ben, exchange.staff.cy):
        assert answered(officer, request).status_code == 302
    row.refresh_from_db()
    assert row.released_at is not None


def test_shows_over_every_screen_what_stops_the_most_however_much_was_frozen_since(
    exchange: Exchange,
) -> None:
    sam = exchange.staff.sam
    for number in range(6):
        pull_freeze(
            scope=f"customer:01900000-0000-7000-8000-00000000000{number}",
            reason="odd",
            actor=sam.actor,
            now=clock.now(),
        )
    pull_freeze(scope=exchange.freeze.scope, reason="me too", actor=sam.actor, now=clock.now())
    page = at_console(sam.identity).get("/").content.decode()
    assert page.count(f"Frozen: {exchange.freeze.scope},") == 1
    assert (page.count("Frozen: customer:"), "and 2 more" in page) == (4, True)
