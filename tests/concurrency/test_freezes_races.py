"""A freeze that is pulled while what it forbids is under way …"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Any

import pytest
from django.db import connection

from core import audit, endings, freezes
from core.action import action
from core.actor import Actor
from core.audit.models import AuditEvent
from core.busy import OutcomeUnknown
from core.freezes.actions import pull_freeze
from core.freezes.domain.scopes import TRADER_API
from core.freezes.models import Freeze
from customers.models import Customer
from tests.officers import Staff, enrol
from tests.racing import closing, until_waiting
from tests.treasury import ROBOT, trader

WALLET = "wallet:hot"


class Event(StrEnum):
    PAID = "test.paid"
    ALARMED = "test.alarmed"


@action(Event.PAID)
def pay(
    *, meanwhile: Callable[[], Any], asks: tuple[str, ...] = (WALLET,), actor: Actor, now: datetime
) -> None:
    if asks:
        freezes.check(*asks)
    meanwhile()
    audit.record(Event.PAID, "custody.wallet/hot", actor=actor, now=now)


@action(Event.ALARMED)
def alarm(*, meanwhile: Callable[[], Any], actor: Actor, now: datetime) -> Freeze:
    """As a reorganisation does it: it pulls the freeze while it holds rows."""
    _hold_tom()
    meanwhile()
    return freezes.pull(WALLET, reason="a coin left", actor=actor, now=now)


def _hold_tom() -> None:
    Customer.objects.select_for_update(of=("self",)).get()


def paid() -> int:
    return AuditEvent.objects.filter(doc__action=Event.PAID).count()


class Pause:
    """A place where an act stands until it is let go."""

    def __init__(self) -> None:
        self._come, self._go = threading.Event(), threading.Event()

    def here(self) -> None:
        self._come.set()
        assert self._go.wait(60)

    def until_there(self, act: Future[Any]) -> None:
        assert self._come.wait(60), act.result()

    def end(self) -> None:
        self._go.set()


@pytest.fixture
def staff(real_database: str, now: datetime) -> Staff:
    trader("Tom", tier=2)
    return enrol(now=now)


def test_is_answered_at_once_and_what_has_only_begun_is_not_kept(staff: Staff, now: datetime) -> None:
    """What asked itself, and what is asked for by a door that was open when it began."""

    def by_the_door(meanwhile: Callable[[], Any]) -> None:
        with freezes.throughout(TRADER_API):
            pay(meanwhile=meanwhile, asks=(), actor=ROBOT, now=now)

    def by_itself(meanwhile: Callable[[], Any]) -> None:
        pay(meanwhile=meanwhile, actor=ROBOT, now=now)

    for scope, act in {WALLET: by_itself, TRADER_API: by_the_door}.items():
        with ExitStack() as ends, ThreadPoolExecutor(1) as beside:
            pause = Pause()
            ends.callback(pause.end)
            begun = beside.submit(closing(partial(act, pause.here)))
            pause.until_there(begun)
            pull_freeze(scope=scope, reason="odd", actor=staff.sam.actor, now=now)
            pause.end()
            with pytest.raises(freezes.Frozen):
                begun.result()
        assert paid() == 0
    pay(meanwhile=lambda: None, asks=(), actor=ROBOT, now=now)
    assert paid() == 1  # behind the door no act is asked for it any more


def test_is_answered_after_what_was_being_kept_at_that_moment(
    staff: Staff, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The act has looked for the last time, and is about to commit. The freeze is in force, and waits; who
    pulls it again, because they heard of no outcome, waits again.
    """
    pause, last = Pause(), endings.Held.check

    def stands(self: endings.Held) -> None:
        last(self)
        if threading.current_thread().name.startswith("paying"):
            pause.here()

    monkeypatch.setattr(endings.Held, "check", stands)
    pull = partial(pull_freeze, scope=WALLET, reason="odd", actor=staff.sam.actor, now=now)
    with ThreadPoolExecutor(1, "paying") as paying, ThreadPoolExecutor(1) as pulling:
        try:
            act = paying.submit(closing(partial(pay, meanwhile=lambda: None, actor=ROBOT, now=now)))
            pause.until_there(act)
            cut_off = pulling.submit(closing(pull))
            until_waiting([cut_off])
            waits, in_force = not cut_off.done(), Freeze.objects.filter(scope=WALLET).count()
            _end_waiting()
            with pytest.raises(OutcomeUnknown):
                cut_off.result()
            again = pulling.submit(closing(pull))
            until_waiting([again])
            waits_again = not again.done()
        finally:
            pause.end()
        act.result()
        assert again.result() == Freeze.objects.get()
    assert (waits, in_force, waits_again, paid()) == (True, 1, True, 1)


def test_of_an_alarm_that_holds_what_the_act_waits_for_stops_it_as_well(staff: Staff, now: datetime) -> None:
    """The act found the wallet free and waits for the alarm's row; the alarm does not wait for the act."""
    pause = Pause()
    with ThreadPoolExecutor(2) as beside:
        try:
            pulled = beside.submit(closing(partial(alarm, meanwhile=pause.here, actor=ROBOT, now=now)))
            pause.until_there(pulled)
            act = beside.submit(closing(partial(pay, meanwhile=_hold_tom, actor=ROBOT, now=now)))
            until_waiting([act])
        finally:
            pause.end()
        pulled.result()
        with pytest.raises(freezes.Frozen):
            act.result()
    assert paid() == 0


def _end_waiting() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_cancel_backend(pid) FROM pg_locks JOIN pg_stat_activity USING (pid)"
            " WHERE NOT granted AND datname = current_database()"
        )
