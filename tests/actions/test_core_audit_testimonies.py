"""Past the database, a writer's testimony …"""

from __future__ import annotations

import contextlib
import errno
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from core import daemon
from core.action import action
from core.actor import Actor
from core.audit import hearing as listening
from core.audit import probing, queries, sealing, testifying
from core.audit.comparing import Comparison
from core.audit.hearing import Ear, hearing
from core.audit.models import AuditEvent
from core.health import Status
from core.refusals import Conflict
from kernel import merkle
from tests.actions.test_core_audit_sealing import Event, do, seal_all
from tests.auditing import ORIGIN
from tests.notaries import soft_log
from tests.trading import until
from tests.vaults import serving


@pytest.fixture
def ear(real_database: str, tmp_path: Path, settings: Any) -> Iterator[Ear]:
    settings.AUDIT_TESTIMONY_SOCKET = tmp_path / "sealer.sock"
    found = Ear()
    with hearing(settings.AUDIT_TESTIMONY_SOCKET, found):
        yield found
    testifying._line._drop()


def heard(ear: Ear, count: int) -> list[tuple[int, bytes]]:
    """So many testimonies, as soon as they have come."""
    deadline, found = time.monotonic() + 60, list(ear.take())
    while len(found) < count:
        assert time.monotonic() < deadline
        found += ear.take()
        time.sleep(0.01)
    return found


@action(Event.DONE)
def refused(*, actor: Actor, now: datetime) -> None:
    from core import audit

    audit.record(Event.DONE, "thing/undone", actor=actor, now=now)
    raise Conflict("no")


def test_comes_for_each_event_that_was_committed_alone(ear: Ear, robot: Actor, now: datetime) -> None:
    do(count=2, actor=robot, now=now)
    with pytest.raises(Conflict):
        refused(actor=robot, now=now)
    rows = AuditEvent.texts.order_by("pk")
    assert [row.doc["action"] for row in rows] == ["test.done", "test.done", "test.done.refused"]
    assert heard(ear, 3) == [(row.id, merkle.leaf(row.canon.encode())) for row in rows]


def test_stops_nobody_where_no_sealer_listens(
    real_database: str, tmp_path: Path, settings: Any, robot: Actor, now: datetime
) -> None:
    settings.AUDIT_TESTIMONY_SOCKET = tmp_path / "nobody.sock"
    do(count=2, actor=robot, now=now)
    assert AuditEvent.texts.count() == 2


def test_comes_to_the_sealer_that_leads_and_to_no_standby(
    ear: Ear, tmp_path: Path, settings: Any, robot: Actor, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.AUDIT_ORIGIN = soft_log(tmp_path, origin=ORIGIN)[0].name
    settings.AUDIT_KEY_FILE, settings.AUDIT_NOTARY_SOCKET = tmp_path / "key.txt", tmp_path / "nobody.sock"
    stops: list[Callable[..., Any]] = []
    tries: list[bool] = []
    asked = daemon._try_lock
    monkeypatch.setattr(daemon.signal, "signal", lambda number, handler: stops.append(handler))
    monkeypatch.setattr(daemon, "_try_lock", lambda name: tries.append(asked(name)) or tries[-1])
    place = settings.AUDIT_TESTIMONY_SOCKET
    before = place.stat().st_ino
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [daemon.lock_key(sealing.LEADER)])
        standby = threading.Thread(target=call_command, args=("seal_audit",))
        standby.start()
        until(lambda: len(tries) > 1)
        assert not any(tries)
        assert place.stat().st_ino == before
        do(count=1, actor=robot, now=now)
        assert len(heard(ear, 1)) == 1
        cursor.execute("SELECT pg_advisory_unlock_all()")
    until(lambda: place.stat().st_ino != before)
    for stop in stops:
        stop()
    standby.join(60)
    assert not standby.is_alive()


def test_is_heard_again_by_a_sealer_that_leads_again(
    tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.AUDIT_TESTIMONY_SOCKET = tmp_path / "sealer.sock"
    monkeypatch.setattr(listening, "SPEAKERS_PER_USER", 2)
    found, line = Ear(), testifying._Line()
    for number in range(1, listening.SPEAKERS_PER_USER + 3):
        with hearing(settings.AUDIT_TESTIMONY_SOCKET, found):
            line.say(testifying.message(number, bytes(32)))
            assert heard(found, 1) == [(number, bytes(32))]
    line._drop()


class Crowded(socket.socket):
    """A listener that has no descriptor free for the first who comes."""

    is_full = True

    def accept(self) -> Any:
        if self.is_full:
            self.is_full = False
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()


def test_is_heard_though_somebody_could_not_be_let_in(tmp_path: Path) -> None:
    found, stopped, told = Ear(), threading.Event(), bytes(range(32))
    with (
        Crowded(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener,
        socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as writer,
    ):
        listener.bind(str(tmp_path / "sealer.sock"))
        listener.listen()
        thread = threading.Thread(target=found.listen, args=(listener, stopped), daemon=True)
        thread.start()
        writer.connect(str(tmp_path / "sealer.sock"))
        writer.send((7).to_bytes(8, "big") + told)
        assert heard(found, 1) == [(7, told)]
        assert not listener.is_full
        stopped.set()
        thread.join()


def test_is_taken_from_nobody_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that was taken over says more and more: the others are heard in between."""
    monkeypatch.setattr(listening, "PACKETS_AT_ONCE", 5)
    found = Ear()
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with here, there:
        here.setblocking(False)
        for number in range(1, 13):
            there.send(testifying.message(number, bytes(32)))
        counts = []
        for _ in range(3):
            assert found._hear(here)
            counts.append(len(list(found.take())))
        assert counts == [5, 5, 2]


def test_is_heard_of_a_writer_whose_place_others_took(
    tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connections that say nothing take no more than one user's places, and what was said before is kept."""
    settings.AUDIT_TESTIMONY_SOCKET = tmp_path / "sealer.sock"
    monkeypatch.setattr(listening, "SPEAKERS_PER_USER", 3)
    line = testifying._Line()
    found = Ear()
    with hearing(settings.AUDIT_TESTIMONY_SOCKET, found), contextlib.ExitStack() as held:
        line.say(testifying.message(1, bytes(32)))
        idle = [held.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)) for _ in range(5)]
        for one in idle:
            one.connect(str(settings.AUDIT_TESTIMONY_SOCKET))
        idle[0].settimeout(60)
        assert idle[0].recv(1) == b""
        line.say(testifying.message(2, bytes(32)))
        assert heard(found, 2) == [(1, bytes(32)), (2, bytes(32))]
        line._drop()


def test_is_counted_where_there_was_no_room_for_it(
    real_database: str,
    tmp_path: Path,
    settings: Any,
    robot: Actor,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.AUDIT_TESTIMONY_SOCKET = tmp_path / "sealer.sock"
    monkeypatch.setattr(listening, "WAITING_MAX", 3)
    found, stopped, line = Ear(), threading.Event(), testifying._Line()
    said = testifying.message(7, bytes(32))
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(settings.AUDIT_TESTIMONY_SOCKET))
        listener.listen()
        for _ in range(5_000):  # nobody takes them in: the socket fills
            line.say(said)
        thread = threading.Thread(target=found.listen, args=(listener, stopped), daemon=True)
        thread.start()
        deadline = time.monotonic() + 60
        while found.unheard < 5_000 - 3:
            assert time.monotonic() < deadline
            time.sleep(0.01)
            line.say(said)
        stopped.set()
        thread.join()
        line._drop()
    assert list(found.take()) == [(7, bytes(32))] * 3
    comparison = Comparison(found)
    for moment in (now, now):
        comparison.begin(now=moment)
    _, seal = soft_log(tmp_path, origin="countersign/test/audit")
    seal_all(seal, now=now)
    lost = AuditEvent.objects.get()
    assert (lost.doc["action"], lost.doc["after"]) == ("audit.testimonies.lost", {"count": found.unheard})
    readings = [probing.read_log(now + timedelta(minutes=minutes)) for minutes in (59, 61)]
    assert [reading.status for reading in readings] == [Status.DEGRADED, Status.UP]
    assert readings[0].facts["losses of testimonies within the hour"] == 1
    found.unheard += 2  # more of them add no more than a line a minute to the flood
    for seconds in (59, 60):
        comparison.begin(now=now + timedelta(seconds=seconds))
        assert AuditEvent.texts.count() == seconds - 58
    assert AuditEvent.objects.order_by("-pk")[0].doc["after"] == {"count": 2}


def test_shows_what_the_databases_owner_did_to_events_before_their_seal(
    ear: Ear, tmp_path: Path, robot: Actor, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, seal = soft_log(tmp_path, origin="countersign/test/audit")
    comparison = Comparison(ear)
    do(count=3, actor=robot, now=now)
    first, second, _ = (row.id for row in AuditEvent.texts.order_by("pk"))
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_event DISABLE TRIGGER audit_event_rows")
        changed = (
            "UPDATE audit_event SET canon = replace(canon, 'thing/0', 'thing/9') WHERE tx << 20 | n = %s"
        )
        cursor.execute(changed, [first])
        cursor.execute("DELETE FROM audit_event WHERE tx << 20 | n = %s", [second])
        cursor.execute("ALTER TABLE audit_event ENABLE ALWAYS TRIGGER audit_event_rows")
    said = heard(ear, 3)
    monkeypatch.setattr(ear, "take", lambda: said)
    comparison.begin(now=now)
    deadline = time.monotonic() + 600
    while queries.waiting():
        assert time.monotonic() < deadline
        sealing.seal_next(seal, now=now, sealed=comparison.sealed)
    gone = AuditEvent.objects.filter(doc__action="audit.event.gone").order_by("pk")
    assert [row.doc["target"] for row in gone] == [f"audit.auditevent/{pk}" for pk in (first, second)]
    assert [row.doc["after"]["leaf"] is None for row in gone] == [False, True]
    reading = probing.read_log(now)
    assert (reading.status, reading.facts["changed before the seal"]) == (Status.DOWN, 2)


def test_is_looked_up_in_the_tree_where_another_sealer_went_on(
    ear: Ear, tmp_path: Path, robot: Actor, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, seal = soft_log(tmp_path, origin="countersign/test/audit")
    comparison = Comparison(ear)
    do(count=2, actor=robot, now=now)
    (number, told), forged = heard(ear, 2)[0], (AuditEvent.texts.order_by("-pk")[0].id, bytes(32))
    monkeypatch.setattr(ear, "take", lambda: [(number, told), forged])
    comparison.begin(now=now)
    deadline = time.monotonic() + 600
    while queries.waiting():
        assert time.monotonic() < deadline
        sealing.seal_next(seal, now=now)  # the other one
    monkeypatch.setattr(ear, "take", list)
    comparison.begin(now=now)
    gone = AuditEvent.objects.get(doc__action="audit.event.gone")
    assert gone.doc["target"] == f"audit.auditevent/{forged[0]}"


@pytest.mark.parametrize("ahead", [0, 5], ids=["up to it", "past it"])
def test_shows_an_event_past_which_somebody_moved_the_sealers_cursor(
    ear: Ear, tmp_path: Path, robot: Actor, now: datetime, monkeypatch: pytest.MonkeyPatch, ahead: int
) -> None:
    """So the owner would keep it from ever being sealed, with nothing waiting on any screen."""
    _, seal = soft_log(tmp_path, origin="countersign/test/audit")
    do(count=1, actor=robot, now=now)
    seal_all(seal, now=now)
    comparison = Comparison(ear)
    do(count=1, actor=robot, now=now)
    said = heard(ear, 2)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_checkpoint DISABLE TRIGGER audit_checkpoint_rows")
        cursor.execute("UPDATE audit_checkpoint SET last_id = %s", [said[1][0] + ahead])
    if ahead:
        monkeypatch.setattr(ear, "take", list)
        comparison.begin(now=now)
    monkeypatch.setattr(ear, "take", lambda: said)
    comparison.begin(now=now)
    gone = AuditEvent.objects.filter(doc__action="audit.event.gone")
    assert f"audit.auditevent/{said[1][0]}" in {row.doc["target"] for row in gone}


def test_raises_no_flood_of_alarms_whoever_lies(
    ear: Ear, robot: Actor, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    comparison = Comparison(ear)
    do(count=1, actor=robot, now=now)
    (number, told) = heard(ear, 1)[0]
    monkeypatch.setattr(ear, "take", lambda: [(number, told), *[(number, bytes(32))] * 30])
    comparison.begin(now=now)
    monkeypatch.setattr(ear, "take", list)
    comparison.begin(now=now + timedelta(seconds=59))
    comparison.begin(now=now + timedelta(seconds=61))
    gone = AuditEvent.objects.filter(doc__action="audit.event.gone").order_by("pk")
    assert len(gone) == 21
    assert gone[20].doc["after"] == {"count": 10}


def test_is_needed_for_no_longer_than_the_probe_of_the_seal_allows(
    real_database: str, tmp_path: Path, robot: Actor, now: datetime
) -> None:
    assert sealing.INTERVAL_S < probing.SEALED_WITHIN.total_seconds() <= 1
    do(count=1, actor=robot, now=now)
    lags = {0.9: Status.UP, 1.1: Status.DEGRADED, 29: Status.DEGRADED, 31: Status.DOWN}
    for lag_s, status in lags.items():
        reading = probing.read_log(now + timedelta(seconds=lag_s))
        assert (reading.status, reading.facts["lag in ms"]) == (status, int(lag_s * 1000))
    _, seal = soft_log(tmp_path, origin="countersign/test/audit")
    while queries.waiting():
        sealing.seal_next(seal, now=now)
    assert probing.read_log(now + timedelta(days=1)).status is Status.UP


def test_the_vaults_alarms_are_read_by_a_probe_too(tmp_path: Path, now: datetime, settings: Any) -> None:
    from core.trusted import serving as sockets

    with serving(tmp_path, per_actor=0):
        assert probing.read_vault(now).status is Status.UP
        question: dict[str, Any] = dict.fromkeys(("subject", "actor", "purpose", "event"), "eve")
        question |= {"v": 1, "type": "open", "wrapped": "AA", "items": [{"place": "x", "sealed": "AA"}]}
        sockets.ask(settings.VAULT_SOCKET, question, patience_s=60)
        reading = probing.read_vault(now)
        assert (reading.status, reading.facts["alarms within the hour"]) == (Status.DEGRADED, 1)
    settings.VAULT_SOCKET = tmp_path / "nobody.sock"
    assert probing.read_vault(now).status is Status.DOWN
