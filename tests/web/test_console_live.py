"""The console's socket …"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from enum import EnumMeta
from typing import Any, Final
from uuid import uuid4

import pytest
import redis
from channels.layers import channel_layers
from django.conf import settings as django_settings
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from backoffice.console import consumers, topics
from core import audit, clock, hints
from core.access.domain.sessions import IDLE
from core.access.domain.tokens import LEEWAY_S
from core.access.models import Identity, OfficerSession, RoleGrant
from core.access.roles import HOLDERS, Role
from core.action import action
from core.actor import system
from core.freezes.actions.freezing import pull_freeze
from core.freezes.events import Event
from core.refusals import NotAllowed
from core.staff.actions import suspend_person
from core.staff.events import Event as StaffEvent
from devstack.standins import edge_issuer
from tests import doors
from tests.doors import at_console
from tests.officers import Staff, enrol
from tests.sockets import Server, console_served

pytestmark = pytest.mark.slow

SOON_S: Final = 30.0

Opens = Callable[..., ClientConnection]


@pytest.fixture
def console(real_database: str, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    doors.open_doors(settings, monkeypatch)
    with console_served(settings) as server:
        yield server


@pytest.fixture
def staff(console: Server) -> Staff:
    return enrol(now=clock.now(), more={"eve": Role.SUPPORT})


@pytest.fixture
def opens(console: Server, settings: Any) -> Iterator[Opens]:
    """Open the socket as a page of somebody's does, in the session that they have entered."""
    made = ExitStack()

    def opened(
        identity: Identity,
        *,
        token: str = "",
        origin: str | None = "",
        entered: bool = True,
        deaf: bool = False,
    ) -> Any:
        browser = at_console(identity)
        if entered:
            browser.get("/")
        cookie = browser.cookies.get(settings.SESSION_COOKIE_NAME)
        headers = {doors.doors.ASSERTION: token or doors.token(identity)}
        if cookie is not None:
            headers["Cookie"] = f"{settings.SESSION_COOKIE_NAME}={cookie.value}"
        return made.enter_context(
            connect(
                f"ws://console.localhost:{console.port}/live",
                sock=_line(console, deaf=deaf),
                max_queue=1 if deaf else 16,
                additional_headers=headers,
                origin=settings.CONSOLE_ORIGIN if origin == "" else origin,
                proxy=None,
            )
        )

    with made:
        yield opened


def _line(console: Server, *, deaf: bool) -> socket.socket:
    """A connection; to one who does not listen, with next to no room for what was not heard."""
    line = socket.socket()
    if deaf:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        console.listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2048)
    line.connect(("127.0.0.1", console.port))
    return line


def watch(ws: ClientConnection, *keys: str) -> list[str]:
    """Ask for hints; what was granted."""
    ws.send(json.dumps({"watch": keys}))
    return json.loads(ws.recv(SOON_S))["watching"]


def code_of(ws: ClientConnection) -> int:
    """With which code the socket closes."""
    deadline = time.monotonic() + SOON_S
    try:
        while (left := deadline - time.monotonic()) > 0:
            ws.recv(left)
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd is not None else 1006
    raise TimeoutError("the socket is open still")


def status_of(opens: Opens, *args: Any, **how: Any) -> int:
    with pytest.raises(InvalidStatus) as refused:
        opens(*args, **how)
    return refused.value.response.status_code


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> None:
    """No socket is looked at but when something was said."""
    monkeypatch.setattr(consumers, "LOOK_EVERY_S", 3600.0)


@pytest.fixture
def unheard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is said, and sockets are looked at often."""
    monkeypatch.setattr(hints, "committed", lambda name, target: None)
    monkeypatch.setattr(consumers, "LOOK_EVERY_S", 0.1)


def tell(name: str, target: str = "") -> None:
    hints._courier.take((name, target))


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


def end_roles(identity: Identity, *roles: Role) -> None:
    """End these roles of somebody, or all."""

    @action(StaffEvent.ROLE_ENDED)
    def ended(*, actor: Any, now: Any) -> None:
        grants = RoleGrant.objects.filter(identity=identity, revoked_at=None)
        grants = grants.filter(role__in=roles) if roles else grants
        assert grants.update(revoked_at=now) > 0
        audit.record(StaffEvent.ROLE_ENDED, identity, actor=actor, now=now)

    ended(actor=system("test"), now=clock.now())


def test_says_what_to_ask_for_again_and_nothing_else(staff: Staff, opens: Opens) -> None:
    mine, other = str(uuid4()), str(uuid4())
    ws = opens(staff.ana.identity)
    assert watch(ws, "withdrawals", f"withdrawals/{mine}", "everything", "withdrawals/../x") == [
        "withdrawals",
        f"withdrawals/{mine}",
    ]
    tell("custody.withdrawal.released", f"custody.withdrawal/{other}")
    assert json.loads(ws.recv(SOON_S)) == {"stale": ["withdrawals"]}, "no id but those that the page has"
    tell("custody.withdrawal.released", f"custody.withdrawal/{mine}")
    assert json.loads(ws.recv(SOON_S)) == {"stale": ["withdrawals", f"withdrawals/{mine}"]}
    tell("custody.payment.signed", f"custody.payment/{other}")
    assert json.loads(ws.recv(SOON_S)) == {"stale": ["withdrawals", f"withdrawals/{mine}"]}


def test_tells_nobody_of_what_their_role_does_not_open(staff: Staff, opens: Opens) -> None:
    keys = list(topics.Topic)
    for officer in (staff.ana, staff.ben, staff.dot, staff.eve):
        ws = opens(officer.identity)
        roles = set(RoleGrant.objects.filter(identity=officer.identity).values_list("role", flat=True))
        may = {key for key in keys if HOLDERS[str(topics.OPENS[key])] & set(map(Role, roles))}
        assert set(watch(ws, *keys)) == may
        for name in topics.FOLLOWS:
            tell(f"{name}.moved", "custody.withdrawal/1")
        said: set[str] = set()
        while said < may:
            said |= set(json.loads(ws.recv(SOON_S))["stale"])
        assert said == may


def test_is_told_by_another_courier_where_the_last_one_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    courier, ended, sent = hints._Courier(), threading.Thread(target=str), threading.Event()
    ended.start()
    ended.join()
    courier._thread = ended

    async def send(acts: Any) -> None:
        sent.set()

    monkeypatch.setattr(hints, "_send", send)
    courier.take(("custody.withdrawal.released", "custody.withdrawal/1"))
    assert sent.wait(SOON_S)


def test_hears_of_an_act_once_it_has_committed(staff: Staff, monkeypatch: pytest.MonkeyPatch) -> None:
    now = clock.now()
    heard: list[str] = []
    monkeypatch.setattr(hints, "committed", lambda name, target: heard.append(name))

    @action(Event.PULLED)
    def outer(*, fails: bool, actor: Any, now: Any) -> None:
        pull_freeze(scope="asset:BTC", reason="a leak", actor=actor, now=now)
        assert heard == []
        if fails:
            raise NotAllowed("nothing happened")

    with pytest.raises(NotAllowed):
        outer(fails=True, actor=staff.ana.actor, now=now)
    assert heard == []
    outer(fails=False, actor=staff.ana.actor, now=now)
    assert heard == ["freezes.freeze.pulled"]


def test_knows_a_place_for_every_act_of_the_house() -> None:
    rooms = [vars(module).get("Event") for name, module in sys.modules.items() if name.endswith(".events")]
    acts = {str(act) for room in rooms if isinstance(room, EnumMeta) for act in room}
    assert len(acts) >= 120
    stems = {act.rpartition(".")[0] for act in acts}
    assert stems >= topics.HARMLESS
    apps = {stem.partition(".")[0] for stem in stems}
    placed = topics.FOLLOWS.keys() | topics.QUIET | topics.RIGHTS
    assert {stem for stem in stems if stem not in placed and stem.partition(".")[0] not in placed} == set()
    assert placed - stems - apps == set()


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
    assert code_of(ws) == consumers.Close.RIGHTS_ENDED


def test_closes_when_the_token_runs_out(
    staff: Staff, opens: Opens, unheard: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    opens(staff.ana.identity)
    monkeypatch.setattr(edge_issuer, "LIFETIME_S", -LEEWAY_S + 3)
    ws = opens(staff.ana.identity, token=doors.token(staff.ana.identity), entered=False)
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


def test_says_a_thousand_changes_in_a_few_words(staff: Staff, opens: Opens) -> None:
    ws = opens(staff.ana.identity)
    watch(ws, "withdrawals", "cases")
    for number in range(1000):
        tell("custody.withdrawal.released", f"custody.withdrawal/{number}")
    tell("kyc.case.opened")
    said = []
    while "cases" not in (said[-1] if said else ()):
        said.append(json.loads(ws.recv(SOON_S))["stale"])
    assert len(said) <= 10


def test_says_to_look_at_everything_once_more_happened_than_it_can_tell(
    staff: Staff, opens: Opens, told: None
) -> None:
    ws = opens(staff.ana.identity)
    watch(ws, "withdrawals", "cases")
    quiet = [f"freezes.freeze/{number}" for number in range(hints.WAITING_MAX + 1)]
    # As many as are kept, of which one is on the page: nothing is said of the others.
    with hints._courier._changed:
        for target in quiet[2:]:
            tell("freezes.freeze.pulled", target)
        tell("kyc.case.opened")
    assert json.loads(ws.recv(SOON_S)) == {"stale": ["cases"]}
    with hints._courier._changed:
        for target in quiet:
            tell("freezes.freeze.pulled", target)
    assert json.loads(ws.recv(SOON_S)) == {"stale": ["cases", "withdrawals"]}


def test_closes_before_a_page_that_does_not_listen(
    staff: Staff, opens: Opens, told: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "SAY_WITHIN_S", 0.2)
    monkeypatch.setattr(consumers, "PAUSE_S", 0.0)
    monkeypatch.setattr(hints, "GATHER_S", 0.0)
    ends, end = list[consumers.Close](), consumers.Live.end

    async def ending(self: consumers.Live, code: consumers.Close) -> None:
        ends.append(code)
        await end(self, code)

    monkeypatch.setattr(consumers.Live, "end", ending)
    ws = opens(staff.ana.identity, deaf=True)
    watch(ws, *(f"withdrawals/{uuid4()}" for _ in range(consumers.KEYS_MAX)))
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


def test_is_refused_while_redis_hangs_so_that_pages_poll(staff: Staff, opens: Opens, settings: Any) -> None:
    opens(staff.ana.identity)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"redis://127.0.0.1:{silent.getsockname()[1]}"
        settings.CHANNEL_LAYERS = {
            "default": {
                **settings.CHANNEL_LAYERS["default"],
                "CONFIG": {"hosts": [{"address": address, "socket_timeout": None}]},
            }
        }
        channel_layers.backends.clear()
        assert status_of(opens, staff.ana.identity) == 403
    assert at_console(staff.ana.identity).get("/pulse", headers={"HX-Request": "true"}).status_code == 200
    channel_layers.backends.clear()


def test_closes_when_redis_goes_away(staff: Staff, opens: Opens) -> None:
    ws = opens(staff.ana.identity)
    watch(ws, "cases")
    with redis.Redis.from_url(django_settings.REDIS_URL) as admin:
        admin.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    assert code_of(ws) == consumers.Close.TRY_LATER


def test_is_told_when_the_server_drains(staff: Staff, opens: Opens, console: Server) -> None:
    ws = opens(staff.ana.identity)
    console.drain()
    assert code_of(ws) == 1012
