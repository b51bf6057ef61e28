"""The console's socket …"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from enum import EnumMeta
from typing import Any
from uuid import uuid4

import pytest

from backoffice.console import consumers, topics
from core import clock, hints
from core.access.models import RoleGrant
from core.access.roles import HOLDERS, Role
from core.action import action
from core.freezes.actions.freezing import pull_freeze
from core.freezes.events import Event
from core.refusals import NotAllowed
from tests.officers import Staff, enrol
from tests.pages import SOON_S, Opens, tell, watch
from tests.sockets import Server

pytestmark = pytest.mark.slow


@pytest.fixture
def staff(console: Server) -> Staff:
    return enrol(now=clock.now(), more={"eve": Role.SUPPORT})


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


def test_goes_on_in_a_child_that_is_born_while_the_courier_holds_its_lock() -> None:
    held, may_end = threading.Event(), threading.Event()

    def hold() -> None:
        with hints._courier._changed:
            held.set()
            may_end.wait(60)

    holding = threading.Thread(target=hold)
    holding.start()
    assert held.wait(60)
    if (child := os.fork()) == 0:
        signal.alarm(60)  # ends a hang
        tell("custody.withdrawal.released")
        os._exit(0)
    may_end.set()
    holding.join()
    assert os.waitpid(child, 0)[1] == 0


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


def test_says_a_thousand_changes_in_a_few_words(
    staff: Staff, opens: Opens, monkeypatch: pytest.MonkeyPatch
) -> None:
    ws = opens(staff.ana.identity)
    watch(ws, "withdrawals", "cases")
    monkeypatch.setattr(consumers, "PAUSE_S", 1.0)  # long enough for whoever makes the changes slowly
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
