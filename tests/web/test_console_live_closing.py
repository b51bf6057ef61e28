"""The console's socket, as it opens and closes …"""

from __future__ import annotations

import json
import socket
import time
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import redis
from channels.layers import channel_layers
from django.conf import settings as django_settings

from backoffice.console import consumers
from core import clock, hints
from core.access import doors as access_doors
from core.access.domain.sessions import IDLE
from core.access.domain.tokens import LEEWAY_S, Bearer, Rules
from core.access.models import OfficerSession
from core.access.roles import Role
from core.staff.actions import suspend_person
from devstack.standins.edge_issuer import LIFETIME_S
from tests import doors
from tests.doors import at_console
from tests.officers import Staff, enrol
from tests.pages import SOON_S, Opens, code_of, end_roles, status_of, tell, watch
from tests.sockets import Server

pytestmark = pytest.mark.slow


@pytest.fixture
def staff(console: Server) -> Staff:
    return enrol(now=clock.now(), more={"eve": Role.SUPPORT})


def looks(number: int) -> None:
    """Wait until sockets were looked at so often."""
    seen: list[None] = []
    ask, consumers._ask = consumers._ask, None  # type: ignore[assignment]

    async def counted(scope: Any) -> Any:
        seen.append(None)
        return await ask(scope)

    consumers._ask = counted  # type: ignore[assignment]
    try:
        while len(seen) < number:
            time.sleep(0.02)
    finally:
        consumers._ask = ask


def test_closes_at_once_when_its_officer_is_suspended_and_opens_no_more(
    staff: Staff, opens: Opens, told: None
) -> None:
    bens, anas = opens(staff.ben.identity), opens(staff.ana.identity)
    suspend_person(person=staff.ben.identity.pk, reason="left", actor=staff.ana.actor, now=clock.now())
    assert code_of(bens) == consumers.Close.RIGHTS_ENDED
    assert status_of(opens, staff.ben.identity, entered=False) == 403
    assert watch(anas, "cases") == ["cases"], "nobody else is thrown out"


def test_drops_the_topics_of_a_role_that_ended_and_closes_with_the_last(
    staff: Staff, opens: Opens, told: None
) -> None:
    ws = opens(staff.ana.identity)
    assert watch(ws, "cases", "refills") == ["cases", "refills"]
    end_roles(staff.ana.identity, Role.COMPLIANCE_OFFICER)
    assert json.loads(ws.recv(SOON_S)) == {"watching": ["refills"]}
    tell("kyc.case.opened")
    tell("custody.refill.proposed")
    assert json.loads(ws.recv(SOON_S)) == {"stale": ["refills"]}
    end_roles(staff.ana.identity)
    assert code_of(ws) == consumers.Close.RIGHTS_ENDED


def test_closes_with_one_click_that_ends_all_sessions(staff: Staff, opens: Opens, told: None) -> None:
    first, second = opens(staff.ana.identity), opens(staff.ana.identity)
    stolen = doors.token(staff.ana.identity)
    at_console(staff.ana.identity).post("/session/end-all")
    assert {code_of(first), code_of(second)} == {consumers.Close.RIGHTS_ENDED}
    assert status_of(opens, staff.ana.identity, token=stolen, entered=False) == 403


def test_closes_when_a_session_elsewhere_replaces_its_own(staff: Staff, opens: Opens, told: None) -> None:
    ws = opens(staff.ana.identity)
    at_console(staff.ana.identity, fresh=True).enter()
    assert code_of(ws) == consumers.Close.SESSION_OVER


def test_closes_by_itself_where_nobody_said_that_rights_ended(
    staff: Staff, opens: Opens, unheard: None
) -> None:
    ws = opens(staff.ben.identity)
    suspend_person(person=staff.ben.identity.pk, reason="left", actor=staff.ana.actor, now=clock.now())
    # A suspension ends the session too, and a look that was under way may meet that first.
    assert code_of(ws) in {consumers.Close.RIGHTS_ENDED, consumers.Close.SESSION_OVER}


def test_closes_when_the_token_runs_out(
    staff: Staff, opens: Opens, unheard: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    ws, bearer = opens(staff.ana.identity), access_doors.bearer

    def later(assertion: str, *, rules: Rules, now: datetime) -> Bearer:
        return bearer(assertion, rules=rules, now=now + timedelta(seconds=LIFETIME_S + LEEWAY_S))

    monkeypatch.setattr(access_doors, "bearer", later)
    assert code_of(ws) == consumers.Close.RIGHTS_ENDED


def test_keeps_no_idle_session_alive_and_closes_with_it(staff: Staff, opens: Opens, unheard: None) -> None:
    ws = opens(staff.ana.identity)
    OfficerSession.objects.update(seen_at=clock.now() - IDLE / 2)
    before = OfficerSession.objects.get().seen_at
    assert watch(ws, "cases") == ["cases"]
    looks(3)
    assert OfficerSession.objects.get().seen_at == before
    OfficerSession.objects.update(seen_at=clock.now() - IDLE)
    assert code_of(ws) == consumers.Close.SESSION_OVER
    assert OfficerSession.objects.get().ended_why == "idle"


def test_opens_for_nobody_who_is_not_inside_and_from_no_other_page(staff: Staff, opens: Opens) -> None:
    ana = staff.ana.identity
    assert status_of(opens, ana, entered=False) == 403, "no session was entered"
    end_roles(staff.eve.identity)
    assert status_of(opens, staff.eve.identity) == 403, "no role"
    assert status_of(opens, ana, token="rubbish") == 403
    for origin in ("https://evil.example", "http://console.localhost", "null", None):
        assert status_of(opens, ana, origin=origin) == 403


def test_closes_before_a_page_that_does_not_listen(
    staff: Staff, opens: Opens, told: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "PAUSE_S", 0.0)
    monkeypatch.setattr(hints, "GATHER_S", 0.0)
    ends, end = list[consumers.Close](), consumers.Live.end

    async def ending(self: consumers.Live, code: consumers.Close) -> None:
        ends.append(code)
        await end(self, code)

    monkeypatch.setattr(consumers.Live, "end", ending)
    ws = opens(staff.ana.identity, deaf=True)
    watch(ws, *(f"withdrawals/{uuid4()}" for _ in range(consumers.KEYS_MAX)))
    monkeypatch.setattr(consumers, "SAY_WITHIN_S", 0.2)
    while not ends:
        tell("custody.payment.signed")
        time.sleep(0.002)
    assert ends == [consumers.Close.TOO_SLOW]
    assert code_of(ws) == consumers.Close.TOO_SLOW


def test_closes_before_whoever_sends_what_no_page_would(staff: Staff, opens: Opens) -> None:
    for rubbish in ("{", "[]", '{"watch": "all"}', json.dumps({"watch": ["a"] * 33}), "x" * 5000, b"\0"):
        ws = opens(staff.ana.identity)
        ws.send(rubbish)
        assert code_of(ws) == consumers.Close.BAD_MESSAGE


def test_is_one_of_so_many_of_a_session(staff: Staff, opens: Opens, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumers, "SOCKETS_MAX", 2)
    first = opens(staff.ana.identity)
    opens(staff.ana.identity)
    assert status_of(opens, staff.ana.identity) == 403
    opens(staff.ben.identity)
    first.close()
    while consumers._open.total() == 3:
        time.sleep(0.02)
    opens(staff.ana.identity)


def test_outlives_seven_seconds_of_silence(staff: Staff, opens: Opens) -> None:
    # redis-py's own time-out is five, and the channel layer waits for as long at a time.
    ws = opens(staff.ana.identity)
    watch(ws, "cases")
    with pytest.raises(TimeoutError):
        ws.recv(7)
    tell("kyc.case.opened")
    assert json.loads(ws.recv(SOON_S)) == {"stale": ["cases"]}


def _layers(settings: Any, host: dict[str, Any]) -> dict[str, Any]:
    """The channel layers as they are, but over this connection to Redis."""
    layer = settings.CHANNEL_LAYERS["default"]
    return {"default": {**layer, "CONFIG": {**layer["CONFIG"], "hosts": [host]}}}


def test_is_refused_while_redis_hangs_so_that_pages_poll(staff: Staff, opens: Opens, settings: Any) -> None:
    opens(staff.ana.identity)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"redis://127.0.0.1:{silent.getsockname()[1]}"
        settings.CHANNEL_LAYERS = _layers(settings, {"address": address, "socket_timeout": None})
        channel_layers.backends.clear()
        assert status_of(opens, staff.ana.identity) == 403
    assert at_console(staff.ana.identity).get("/pulse", headers={"HX-Request": "true"}).status_code == 200
    channel_layers.backends.clear()


def test_closes_when_redis_goes_away(staff: Staff, opens: Opens, settings: Any) -> None:
    ours = f"ours-{uuid4().hex}"  # others test beside us in the same Redis
    named = {"address": django_settings.REDIS_URL, "socket_timeout": None, "client_name": ours}
    settings.CHANNEL_LAYERS = _layers(settings, named)
    channel_layers.backends.clear()
    ws = opens(staff.ana.identity)
    watch(ws, "cases")
    with redis.Redis.from_url(django_settings.REDIS_URL) as admin:
        for client in admin.client_list():
            if client["name"] == ours:
                admin.client_kill_filter(_id=client["id"])
    assert code_of(ws) == consumers.Close.TRY_LATER
    channel_layers.backends.clear()


def test_is_told_when_the_server_drains(staff: Staff, opens: Opens, console: Server) -> None:
    ws = opens(staff.ana.identity)
    console.drain()
    assert code_of(ws) == 1012
