"""The real engine for tests: a process of its own on sockets of its own, and settlement beside it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import connections

from core import audit, clock, ledger
from core.action import action
from core.actor import system
from core.ledger import AccountKind, Leg
from core.outbox import delivery
from customers.events import Event
from engine_bridge import gateway, listing, queries
from engine_bridge.adapters import administration, client, inspection, session, transfers
from engine_bridge.adapters.channel import EngineAway
from engine_bridge.daemons.settlement import Settlement
from engine_bridge.domain.commands import CANCELLATION_LIFETIME_MS
from kernel.money import Amount

ROOT: Final = Path(__file__).resolve().parents[1]
START_S: Final = 60.0
PATIENCE_S: Final = 60.0
"""Ends a hang, and decides nothing: where a test is about time that runs out, it sets its own."""


def binary() -> Path:
    """The engine's binary, as `make setup` or CI has built it."""
    given = os.environ.get("ENGINE_BINARY")
    found = (
        [Path(given)]
        if given
        else sorted(
            (ROOT / "engine/target").glob("*/countersign-engine"), key=lambda path: path.stat().st_mtime
        )
    )
    assert found, "build the engine first: cargo build --manifest-path engine/Cargo.toml"
    return found[-1]


class Engine:
    """One engine over one journal. `kill` is kill -9; `start` again replays."""

    def __init__(self, folder: Path, *, options: Sequence[str] = (), waits: bool = False) -> None:
        """One that waits takes no orders before the bridge has confirmed it, as outside of tests."""
        self.folder = folder
        self._options = [*options, *([] if waits else ["--trade-unconfirmed"])]
        self.orders, self.transfers, self.admin = (folder / f"{name}.sock" for name in ("o", "t", "a"))
        self._process: subprocess.Popen[bytes] | None = None
        self._log = (folder / "engine.log").open("ab")

    def start(self) -> Engine:
        journal = self.folder / "journal"
        fresh = not journal.exists()
        journal.mkdir(exist_ok=True)
        command = [
            str(binary()), "serve", "--dir", str(journal), "--socket", str(self.orders), "--transfers-socket",
            str(self.transfers), "--admin-socket", str(self.admin), "--segment-mib", "1", "--no-fsync",
        ]  # fmt: skip
        self._process = subprocess.Popen(
            command + self._options + (["--init"] if fresh else []),
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        self._wait_until_it_runs()
        return self

    def kill(self) -> None:
        """kill -9, as a power cut would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to end."""
        if self._process is not None and self._process.poll() is None:
            self.go_on()  # a test that failed may have left it paused
            self._end(signal.SIGTERM)
        self._log.close()

    def ended(self) -> int:
        """Wait until it has ended by itself; its exit code."""
        assert self._process is not None
        return self._process.wait(60)

    def pause(self) -> None:
        """Leave it connected and dead: nothing answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED)

    def go_on(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def status(self) -> administration.ShardReading:
        return administration.status(f"unix:{self.admin}")

    def _end(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(60)

    def _wait_until_it_runs(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            try:
                if self.status().state == "running" and self._takes_orders():
                    return
            except EngineAway:
                time.sleep(0.02)
        raise AssertionError((self.folder / "engine.log").read_text()[-2000:])

    def _takes_orders(self) -> bool:
        """Whether somebody listens at the orders' socket, which is the last to open."""
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.orders)) == 0


class Venue:
    """An engine with its markets listed, and settlement by hand (`settle`) or by a thread (`settling`)."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.settlement = Settlement(f"unix:{engine.transfers}")

    def open(self) -> Venue:
        list(listing.put_all(f"unix:{self.engine.admin}", actor=system("test"), now=clock.now()))
        self.settle()
        return self

    def settle(self) -> None:
        """Have everything written that the engine has done so far."""
        wanted = self.engine.status().event_seq
        deadline = time.monotonic() + 120
        while queries.settlement().last_event_seq < wanted:
            self.settlement.step()
            view = queries.settlement()
            assert not view.halted, view.halted
            assert time.monotonic() < deadline, view

    def deliver(self) -> None:
        """Run what is due in the outbox of the engine's subscribers, once each."""
        for delivery_id in delivery.claim_due(now=clock.now()):
            delivery.deliver(delivery_id, now=clock.now())

    @contextmanager
    def settling(self) -> Iterator[None]:
        """Settlement and the outbox at work beside the test, each as a worker would."""
        stop = threading.Event()

        def work() -> None:
            settlement = Settlement(f"unix:{self.engine.transfers}")
            try:
                while not stop.is_set():
                    if not settlement.step():
                        stop.wait(0.02)
            finally:
                settlement.close()
                connections.close_all()

        def relay() -> None:
            try:
                while not stop.wait(0.02):
                    self.deliver()
            finally:
                connections.close_all()

        threads = [threading.Thread(target=target, daemon=True) for target in (work, relay)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join(60)


@contextmanager
def engine_running(*, waits: bool = False) -> Iterator[Engine]:
    """An engine in a folder of its own; socket paths stay short. Callers give it time to answer."""
    with patient(), tempfile.TemporaryDirectory(prefix="cs-", dir="/tmp") as folder:
        engine = Engine(Path(folder), waits=waits)
        try:
            yield engine.start()
        finally:
            engine.stop()


@contextmanager
def patient() -> Iterator[None]:
    """No call to the engine runs out of time because the machine is busy."""
    limits = [(module, name) for module, names in _LIMITS for name in names]
    before = [(module, name, getattr(module, name)) for module, name in (*limits, _LIFETIME)]
    for module, name in limits:
        setattr(module, name, PATIENCE_S)
    setattr(*_LIFETIME, CANCELLATION_LIFETIME_MS)
    try:
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)


@contextmanager
def venue_open(*, waits: bool = False) -> Iterator[Venue]:
    """An engine, this process's settings pointing at it, its markets listed and settled."""
    before = {name: getattr(settings, name) for name in _TARGETS}
    with engine_running(waits=waits) as engine:
        for name, path in zip(_TARGETS, (engine.orders, engine.transfers, engine.admin), strict=True):
            setattr(settings, name, f"unix:{path}")
        venue = Venue(engine)
        try:
            yield venue.open()
        finally:
            venue.settlement.close()
            gateway.close_bridge()
            for name, value in before.items():
                setattr(settings, name, value)


_LIMITS: Final = (
    (client, ("CONNECT_S", "ANSWER_S")),
    (session, ("HELLO_TIMEOUT_S",)),
    (administration, ("CALL_S",)),
    (inspection, ("CALL_S",)),
    (transfers, ("CALL_S",)),
)
_LIFETIME: Final = (gateway, "ORDER_LIFETIME_MS")
_TARGETS: Final = ("ENGINE_TARGET", "ENGINE_TRANSFERS_TARGET", "ENGINE_ADMIN_TARGET")


@action(Event.TIER_SET)
def fund(
    *, customer: UUID, amount: Amount, kind: AccountKind, actor: Any, now: datetime, reference: str
) -> None:
    """Coins in the hot wallet for a customer, and on, step by step, where they are wanted."""
    steps = (
        ("custody.deposit", AccountKind.HOT_WALLET, AccountKind.CUSTOMER_FUNDING),
        ("engine.transfer_started", AccountKind.CUSTOMER_FUNDING, AccountKind.IN_TRANSIT),
        ("engine.transfer_settled", AccountKind.IN_TRANSIT, AccountKind.CUSTOMER_TRADING),
    )
    for entry, *ends in steps if kind is AccountKind.CUSTOMER_TRADING else steps[:1]:
        source, target = (
            ledger.account(end, amount.asset, None if end is AccountKind.HOT_WALLET else customer)
            for end in ends
        )
        ledger.post(entry, reference, [Leg(source, -amount), Leg(target, amount)], now=now)
    audit.record(Event.TIER_SET, f"customers.customer/{customer}", actor=actor, now=now, reason="test money")


def give(customer: UUID, text: str, asset: str, *, kind: AccountKind = AccountKind.CUSTOMER_FUNDING) -> None:
    """Fund by decimal, e.g. give(tom.customer.pk, "1.5", "BTC")."""
    fund(
        customer=customer,
        amount=Amount.parse(text, asset),
        kind=kind,
        actor=system("test"),
        now=clock.now(),
        reference=f"{customer}/{time.monotonic_ns()}",
    )
