"""Whoever acts from a device …"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from core import action, clock
from core.access import postures, rights
from core.access.adapters.identities import AGAIN_S, FRESH_S
from core.access.adapters.pinned import BadStatus
from core.access.domain.tokens import User
from core.access.models import Identity
from core.audit.models import AuditEvent
from core.freezes.models import Freeze
from custody import queries
from tests import doors
from tests.doors import at_console, edge
from tests.exchange import Exchange
from tests.forms import answered


def last() -> Any:
    return AuditEvent.objects.order_by("-id")[0].doc


def moved_on(seconds: float) -> None:
    doors.clock.moment += seconds


def raises(error: Exception) -> Callable[[], bytes]:
    def fault() -> bytes:
        raise error

    return fault


def held(exchange: Exchange) -> str:
    """What Ana may release."""
    return f"/withdrawals/{exchange.held.pk}/release"


WHY = {"reason": "the sender is known to us"}
FAULTS: dict[str, Callable[[], bytes]] = {
    "hang": raises(httpx.ReadTimeout("slow")),
    "500": raises(BadStatus(500)),
    "html": lambda: b"<html>please enable cookies</html>",
    "redirect": raises(BadStatus(302)),
    "wrong user": lambda: json.dumps({"email": "eve@countersign.example", "user_uuid": "e"}).encode(),
    "no posture": lambda: b"{}",
}


def test_is_written_down_with_it_in_every_event(exchange: Exchange) -> None:
    ana = exchange.staff.ana
    client = at_console(ana.identity, fresh=True)
    client.defaults["HTTP_CF_CONNECTING_IP"] = "192.0.2.7"
    pulled = client.post("/freezes/pull", {"scope": "asset:BTC", "reason": "a leak"})
    freeze = AuditEvent.objects.filter(doc__action="freezes.freeze.pulled").latest("id").doc
    assert freeze["actor"] == {
        "identity": str(ana.identity.pk),
        "kind": "officer",
        "label": ana.identity.display_name,
        "subject": ana.identity.access_subject,
        "device": "laptop-of-ana",
        "ip": "192.0.2.7",
        "request": pulled["X-Request-Id"],
    }
    assert (freeze["reason"], freeze["after"]["scope"]) == ("a leak", "asset:BTC")
    started = AuditEvent.objects.filter(doc__action="access.session.started").latest("id").doc
    assert started["actor"]["device"] == started["after"]["device"] == "laptop-of-ana"
    page = client.get("/session/").content.decode()
    assert "laptop-of-ana" in page


@pytest.mark.parametrize(
    ("posture", "sentence"),
    [
        ({"disk_encryption": False}, "disk of this device is not encrypted"),
        ({"managed": False}, "not a device that the exchange manages"),
    ],
)
def test_that_fails_is_told_what_to_do_and_is_let_on_seconds_after_the_repair(
    exchange: Exchange, posture: dict[str, bool], sentence: str
) -> None:
    ana, path = exchange.staff.ana.identity, held(exchange)
    client = at_console(ana)
    edge.says(ana, **posture)
    client.get("/")
    moved_on(AGAIN_S)
    refused = client.post(path, WHY)
    assert refused.status_code == 403
    assert sentence in refused.content.decode()
    (check,) = posture
    assert last()["action"] == "access.posture.refused"
    assert last()["target"] == "permission/custody:withdrawal:release"
    assert last()["after"] == {"path": path, "code": "access.posture_failed", "lacks": f"posture/{check}"}
    edge.says(ana)
    assert client.post(path, WHY).status_code == 403, "asked within the last five seconds"
    moved_on(AGAIN_S)
    assert client.post(path, WHY).status_code == 302


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_of_which_nothing_is_known_reads_on_and_stops_things_and_does_nothing_else(
    exchange: Exchange, fault: Callable[[], bytes]
) -> None:
    staff = exchange.staff
    edge.fault = fault
    ana = at_console(staff.ana.identity)
    assert ana.get("/withdrawals/").status_code == 200
    before = AuditEvent.objects.count()
    refused = ana.post(held(exchange), WHY)
    assert (refused.status_code, b"access.posture_unknown" in refused.content) == (403, True)
    assert AuditEvent.objects.count() == before + 1
    assert ana.post("/freezes/pull", {"scope": "asset:BTC", "reason": "a leak"}).status_code == 302
    assert Freeze.objects.filter(scope="asset:BTC").exists()
    suspend = f"/staff/{staff.eve.identity.pk}/suspend"
    assert ana.post(suspend, {"reason": "she left"}).status_code == 302
    assert not Identity.objects.get(pk=staff.eve.identity.pk).is_active
    assert "not known: the edge does not say" in ana.get("/session/").content.decode()


def test_is_let_on_by_the_last_answer_while_the_edge_is_away_and_not_for_longer(exchange: Exchange) -> None:
    client, path = at_console(exchange.staff.ana.identity), held(exchange)
    client.get("/")
    edge.fault = raises(httpx.ReadTimeout("slow"))
    moved_on(FRESH_S - 120)
    assert client.post(path, WHY).status_code == 302
    moved_on(FRESH_S)
    assert client.post(path, WHY).status_code == 403


def test_does_nothing_that_was_held_up_until_the_answer_served_no_longer(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the door and the act, where the edge is not asked any more."""
    client, path = at_console(exchange.staff.ana.identity), held(exchange)
    client.get("/")
    moment = clock.now
    for late_s, status in ((FRESH_S, 403), (FRESH_S - 60, 302)):
        with monkeypatch.context() as slow:

            def held_up(*_: Any, late_s: float = late_s) -> str:
                slow.setattr(clock, "now", lambda: moment() + timedelta(seconds=late_s))
                return ""

            slow.setattr(rights, "elevations_of", held_up)
            assert client.post(path, WHY).status_code == status


def test_that_was_looked_at_too_long_ago_is_told_so(exchange: Exchange) -> None:
    edge.found_at = (clock.now() - timedelta(hours=1)).timestamp()
    refused = at_console(exchange.staff.ana.identity).post(held(exchange), WHY)
    assert (refused.status_code, b"access.posture_stale" in refused.content) == (403, True)


def test_approves_from_a_good_one_only_and_rejects_from_any(exchange: Exchange) -> None:
    ben, row = exchange.staff.ben, exchange.request
    edge.says(ben.identity, managed=False)
    refused = answered(ben, row)
    assert refused.status_code == 403
    assert "not a device that the exchange manages" in refused.content.decode()
    told = [event.doc["action"] for event in AuditEvent.objects.order_by("-id")[:2]]
    assert told == ["approvals.request.read", "access.posture.refused"]
    assert not row.signatures.exists()
    assert answered(ben, row, verb="reject", reason="I know nothing of it").status_code == 302
    assert row.signatures.get().verb == "reject"


def test_that_is_not_good_enough_lets_nothing_go_and_still_stops_what_waits(exchange: Exchange) -> None:
    ana = at_console(exchange.staff.ana.identity)
    edge.says(exchange.staff.ana.identity, managed=False)
    refill = f"/treasury/refills/{exchange.refill.pk}"
    assert ana.post(held(exchange), WHY).status_code == 403
    assert ana.post(f"{refill}/request").status_code == 403
    assert ana.post(f"{refill}/dismiss", WHY).status_code == 302
    assert ana.post(f"/withdrawals/{exchange.held.pk}/reject", WHY).status_code == 302
    assert queries.withdrawal(exchange.held.pk).state == "rejected"
    assert queries.refill(exchange.refill.pk).state == "dismissed"
    # To give up is open as well: it is the withdrawal's state that says no here.
    given_up = ana.post(f"/withdrawals/{exchange.released.pk}/fail", WHY)
    assert "screened cannot become failed" in given_up.content.decode()


def test_is_asked_about_anew_once_its_session_is_over(exchange: Exchange) -> None:
    ana = exchange.staff.ana.identity
    client = at_console(ana)
    client.get("/")
    edge.says(ana, managed=False)
    asked = edge.asked
    client.get("/")
    assert edge.asked == asked
    client.post("/leave")
    assert client.get("/").status_code == 200, "entered again"
    assert edge.asked > asked
    assert client.post(held(exchange), WHY).status_code == 403


def test_belongs_to_a_group_where_the_deployment_asks_for_one(exchange: Exchange, settings: Any) -> None:
    client, path = at_console(exchange.staff.ana.identity), held(exchange)
    settings.STAFF_GROUPS = frozenset({"backoffice"})
    refused = client.post(path, WHY)
    assert (refused.status_code, b"access.outside_groups" in refused.content) == (403, True)
    assert client.post("/freezes/pull", {"scope": "asset:BTC", "reason": "a leak"}).status_code == 302


def test_is_not_asked_about_inside_a_transaction(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(action, "is_open", lambda: True)
    with pytest.raises(RuntimeError, match="inside an action"):
        postures.known("t", User("s", "e", clock.now(), clock.now()))
