"""A worker that stood still while another took over …

Each is a process of its own, stopped by SIGSTOP before or after one of the steps between approval and the
chain, as a machine that swaps or a suspended virtual machine does. Its lease runs out, another worker pays,
the chain confirms; then it wakes, and goes on where it stood.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from random import Random

import pytest
from django.db import connections
from pytest_django.fixtures import Settings

from core.audit.models import AuditEvent
from core.ledger import invariants
from custody import queries
from custody.adapters import signer_client
from custody.models import Payment, Withdrawal
from tests.faults.test_custody_payout import (
    LATER,
    STEPS,
    TICKS,
    arm,
    soft_signer,
)
from tests.relay import work
from tests.stockroom import Lend
from tests.worlds import SMALL, Mined, World, opened

pytestmark = pytest.mark.slow

SEED = int(os.environ.get("SEED", "20261129"))
TELLING = (2, 7, 14, 15, 17, 18)
"""Once it is built, with a signer's answer in hand, before the signatures are put together, with the whole
transaction in hand, before sending and after.
"""
ALL = range(1, TICKS)
ONCE = [
    f"custody.payment.{done}" for done in ("built", "asked", "signed", "broadcast", "confirmed", "settled")
]


@pytest.fixture
def world(
    lend_real: Lend, settings: Settings, tmp_path: Path, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    monkeypatch.setattr(signer_client, "ask", soft_signer)
    with opened(lend_real(Mined(coins=1), now), settings, tmp_path / "node") as found:
        yield found


def stands_still(tick: int, *, now: datetime) -> int | None:
    """The process of a worker that stopped at the tick; None where there was less to do."""
    connections.close_all()
    child = os.fork()
    if child == 0:
        try:
            arm(STEPS, tick, signal.SIGSTOP)
            work(now=now)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, os.WUNTRACED)
    return child if os.WIFSTOPPED(status) else None


def wakes(child: int | None) -> None:
    assert child is not None, "it stood still"
    os.kill(child, signal.SIGCONT)
    _, status = os.waitpid(child, 0)
    assert os.WIFEXITED(status)


def acts() -> Counter[tuple[str, str]]:
    docs = [event.doc for event in AuditEvent.objects.all()]
    return Counter((doc["target"], doc["action"]) for doc in docs if doc["action"] in ONCE)


def check(world: World, rows: Sequence[Withdrawal]) -> None:
    """Each is paid once and settled, and each act is on record once."""
    paid = world.paid()
    for row in rows:
        assert queries.withdrawal(row.pk).state == "settled"
        assert paid[row.destination] == SMALL
    assert Payment.objects.count() == len(rows)
    assert set(acts().values()) == {1}
    assert len(acts()) == len(ONCE) * len(rows)
    assert world.treasury.funding().held.units == 0
    assert not any(invariants.broken().values())


def confirmed(world: World) -> None:
    """Two blocks, read and booked by whoever is awake."""
    world.outside.mine(2)
    world.follow()
    work(now=world.treasury.now)


@pytest.mark.parametrize("ticks", [TELLING, pytest.param(ALL, marks=pytest.mark.soak)], ids=["some", "all"])
def test_pays_nobody_again_when_it_wakes(world: World, ticks: Sequence[int]) -> None:
    rows = []
    world.fund(len(ticks))
    for number, tick in enumerate(ticks):
        rows.append(world.approved())
        sleeper = stands_still(tick, now=world.treasury.now)
        world.treasury.now += LATER
        work(now=world.treasury.now)
        assert queries.withdrawal(rows[-1].pk).state == "broadcast", f"asleep at moment {tick}"
        if number % 2:
            wakes(sleeper)
            confirmed(world)
        else:
            confirmed(world)
            wakes(sleeper)
    check(world, rows)


@pytest.mark.soak
def test_pays_nobody_again_when_two_of_three_wake_in_any_order(world: World) -> None:
    random, rows = Random(SEED), []
    pairs = [(random.choice(ALL), random.choice(ALL)) for _ in range(60)]
    world.fund(len(pairs))
    for first, second in pairs:
        rows.append(world.approved())
        sleepers = []
        for tick in (first, second):
            sleepers.append(stands_still(tick, now=world.treasury.now))
            world.treasury.now += LATER
        work(now=world.treasury.now)
        random.shuffle(sleepers)
        for sleeper in filter(None, sleepers):
            wakes(sleeper)
        confirmed(world)
    check(world, rows)
