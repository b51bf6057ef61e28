"""A worker that is killed while it pays …

Each worker is a process of its own with its own connection, killed by SIGKILL before or after one of the
steps between approval and the chain. Another worker then takes over as the relay would let it.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from pytest_django.fixtures import Settings

from core.ledger import invariants
from custody import actions, queries
from custody.adapters import judge, signer_client
from custody.adapters.bitcoin import BitcoinNode
from custody.models import Payment
from kernel.transaction import Transaction
from tests.relay import work
from tests.stockroom import Lend
from tests.treasury import signatures
from tests.worlds import SMALL, Mined, World, opened

pytestmark = pytest.mark.slow

LATER = timedelta(minutes=10)

STEPS: list[tuple[Any, str]] = [
    (actions, "store_built"),
    (actions, "mark_asked"),
    (signer_client, "ask"),
    (actions, "store_signature"),
    (judge, "finalise"),
    (actions, "store_signed"),
    (BitcoinNode, "broadcast"),
    (actions, "report_broadcast"),
]
TICKS = 21
"""Before and after each step; asking and storing happen twice, and the last tick is reached by nobody."""


@pytest.fixture
def world(lend_real: Lend, settings: Settings, tmp_path: Path, now: datetime) -> Iterator[World]:
    with opened(lend_real(Mined(coins=1), now), settings, tmp_path / "node") as found:
        yield found


def soft_signer(_folder: Path, token: str, request: dict[str, Any]) -> signer_client.Signed:
    return signer_client.Signed(token, signatures(request["psbt"], token))


def killed_at(tick: int, *, now: datetime) -> bool:
    """A worker that is killed at the tick; whether it lived to reach it."""
    return killed(partial(work, now=now), STEPS, tick)


def killed(job: Callable[[], object], steps: list[tuple[Any, str]], tick: int) -> bool:
    """A process of its own that does the job and is killed at the tick; whether it lived to reach it."""
    connections.close_all()
    child = os.fork()
    if child == 0:
        try:
            arm(steps, tick, signal.SIGKILL)
            job()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def arm(steps: list[tuple[Any, str]], tick: int, blow: signal.Signals) -> None:
    """In the child: count the moments before and after every step; die or stand still at the given one."""
    passed = 0

    def count() -> None:
        nonlocal passed
        passed += 1
        if passed == tick:
            os.kill(os.getpid(), blow)

    def counted(step: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            count()
            result = step(*args, **kwargs)
            count()
            return result

        return run

    for owner, name in steps:
        setattr(owner, name, counted(getattr(owner, name)))


@pytest.fixture(autouse=True)
def _soft_signers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signer_client, "ask", soft_signer)


def test_leaves_a_payment_that_the_next_worker_makes_once(world: World) -> None:
    world.fund(TICKS)
    now, rows = world.treasury.now, []
    for tick in range(1, TICKS + 1):
        rows.append(world.approved())
        died = killed_at(tick, now=now)
        assert died == (tick < TICKS), f"the worker passes {TICKS - 1} moments: {tick}"
        world.treasury.now = now = now + LATER
        work(now=now)
        row = queries.withdrawal(rows[-1].pk)
        assert row.state == "broadcast", f"killed at moment {tick}: {row.state}"
    world.outside.mine(2)
    world.follow()
    work(now=now + LATER)
    paid = world.paid()
    for row in rows:
        assert queries.withdrawal(row.pk).state == "settled"
        assert paid[row.destination] == SMALL
    assert Payment.objects.count() == len(rows)
    assert world.treasury.funding().held.units == 0
    assert not any(invariants.broken().values())


def test_after_sending_leaves_bytes_that_are_sent_again_as_they_are(world: World) -> None:
    row = world.approved()
    assert killed_at(18, now=world.treasury.now)
    payment = queries.payment_of(row)
    assert payment is not None
    assert (payment.owner.state, payment.sent_at) == ("signed", None)
    sent = world.node.transaction(payment.txid)
    assert sent is not None
    assert sent.raw.hex() == payment.raw
    world.outside.mine(1)
    world.follow()
    work(now=world.treasury.now + LATER)
    assert queries.withdrawal(row.pk).state == "confirmed"
    assert world.paid()[row.destination] == SMALL


def test_before_sending_leaves_bytes_that_were_never_sent_and_are_not_made_anew(world: World) -> None:
    row = world.approved()
    assert killed_at(17, now=world.treasury.now)
    payment = queries.payment_of(row)
    assert payment is not None
    assert payment.owner.state == "signed"
    assert world.node.transaction(payment.txid) is None
    stored = payment.raw
    work(now=world.treasury.now + LATER)
    sent = world.node.transaction(payment.txid)
    assert sent is not None
    assert (sent.raw.hex(), Transaction.parse(sent.raw).txid) == (stored, payment.txid)


def test_finds_a_silent_signer_silent_and_asks_again_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    row, now = world.approved(), world.treasury.now
    monkeypatch.undo()
    work(now=now)
    assert queries.withdrawal(row.pk).state == "signing"
    monkeypatch.setattr(signer_client, "ask", soft_signer)
    work(now=now + LATER)
    assert queries.withdrawal(row.pk).state == "broadcast"
    assert world.paid()[row.destination] == SMALL


def test_as_block_watcher_leaves_books_that_the_next_one_completes(world: World) -> None:
    """Killed around reading a block, crediting and settling; each deposit and payment is booked once."""
    steps = [(actions, "read_blocks"), (actions, "book_deposit"), (actions, "settle_payment")]
    moments = 8  # the block that holds something, the two on top of it, one deposit, one payment
    rows, before = [], world.treasury.funding().posted.units
    for tick in range(1, moments + 2):
        rows.append(world.approved())
        work(now=world.treasury.now)
        own = queries.deposit_address_of(world.treasury.tom.pk)
        assert own is not None
        world.outside.pay(own.address, 2 * SMALL)
        world.outside.mine(3)
        died = killed(world.follow, steps, tick)
        assert died == (tick <= moments), f"the watcher passes {moments} moments: {tick}"
        world.follow()
        assert queries.withdrawal(rows[-1].pk).state == "settled"
    fees = sum(row.fee_units for row in rows)
    assert world.treasury.funding().posted.units == before + len(rows) * SMALL - fees
    assert not any(invariants.broken().values())
