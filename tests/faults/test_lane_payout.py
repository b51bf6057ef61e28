"""A worker that is killed while the signers' lane pays …

Each worker is a process of its own with its own connection, killed by SIGKILL before or after one of the
steps between the screening and the chain. Another worker then takes over as the relay would let it. Signers
are real ones behind their sockets, and outlive every worker. What was sent is in a file, as a node keeps it.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest

from core.approvals.models import ApprovalRequest, Waiver
from core.audit.models import AuditEvent
from core.ledger import invariants
from custody import actions, lane_tasks, queries, tasks
from custody.actions import offers
from custody.adapters import judge, signer_client
from custody.models import Payment, Withdrawal
from kernel.transaction import Transaction
from tests.faults.test_custody_payout import killed
from tests.lane import DAY, SMALL, Node, Scene, Seasoned, opened
from tests.relay import work
from tests.signers import HOT
from tests.stockroom import Lend
from tests.treasury import BTC

MINUTES: Final = timedelta(minutes=10)


class Chain(Node):
    """Keeps what it is sent in a file, so that it outlives the worker that sent it."""

    def __init__(self, known: dict[str, Transaction], file: Path) -> None:
        super().__init__(known)
        self.file = file

    def broadcast(self, raw: bytes) -> Any:
        with self.file.open("a") as file:
            file.write(raw.hex() + "\n")
            os.fsync(file.fileno())
        return SimpleNamespace(delivered=True)

    def sent(self) -> set[str]:
        """Every transaction that was ever sent, as bytes."""
        return set(self.file.read_text().split())

    def times(self) -> int:
        """How often something was sent."""
        return len(self.file.read_text().split())


PAYING: Final[list[tuple[Any, str]]] = [
    (actions, "report_screening"),  # the waiver
    (actions, "store_built"),
    (actions, "mark_offered"),
    (signer_client, "ask"),
    (actions, "store_signature"),
    (judge, "finalise"),
    (actions, "store_signed"),
    (actions, "mark_handed"),
    (Chain, "broadcast"),
    (actions, "report_broadcast"),
]
PAID_AFTER: Final = 28
"""Moments before and after each step: marking, asking and storing happen twice, and building, which finds it
built the second time.
"""
REACHED: Final = {
    1: ("requested", 0, False),
    2: ("offered", 0, False),
    10: ("offered", 1, False),
    16: ("offered", 2, False),
    22: ("signed", 2, False),
    26: ("signed", 2, True),
    28: ("broadcast", 2, True),
}
"""From each moment on: the state, the signatures stored, whether the node was given the bytes. So it is known
that the worker died over this payment, and not over one before it that it was sending again.
"""
TELLING: Final = (2, 8, 16, 22, 26)
"""After the waiver, after one signer's answer, after the rows of both, after storing and after sending."""
ACTS: Final = [f"custody.payment.{done}" for done in ("built", "signed", "handed", "broadcast")]
FALLING: Final[list[tuple[Any, str]]] = [
    (actions, "mark_offered"),
    (signer_client, "ask"),
    (actions, "report_refusal"),
    (offers, "give_back"),  # in the middle of a transaction
]
FALLEN_AFTER: Final = 16
"""At least: the signer that would sign may be asked first, or never."""


class World:
    """The lane's scene with committed rows, and workers that die."""

    def __init__(self, scene: Scene, chain: Chain) -> None:
        self.scene, self.chain = scene, chain

    @property
    def now(self) -> datetime:
        return self.scene.treasury.now

    def dies(self, steps: list[tuple[Any, str]], moment: int) -> bool:
        """A worker that is killed at the moment; whether it lived to reach it."""
        return killed(partial(work, now=self.now), steps, moment)

    def later(self, span: timedelta = MINUTES) -> None:
        """Time passes, and the next worker takes what is due."""
        self.scene.treasury.now += span
        self.scene.signers.at(self.now)
        self.scene.fresh_price()
        work(now=self.now)

    def reached(self, row: Withdrawal) -> tuple[str, int, bool]:
        """How far its payment is: state, signatures stored, whether the node was given the bytes."""
        row = queries.withdrawal(row.pk)
        payment = queries.payment_of(row)
        if payment is None:
            return row.state, 0, False
        return row.state, payment.signatures.count(), payment.raw in self.chain.sent()

    def acts(self) -> Counter[tuple[str, str]]:
        """How often the audit log says that each of the payments was built, signed, handed over and sent."""
        docs = [event.doc for event in AuditEvent.objects.all()]
        return Counter((doc["target"], doc["action"]) for doc in docs if doc["action"] in ACTS)

    def outcome(self, row: Withdrawal) -> str:
        """`paid` by one transaction that was sent, or `asked` of officers once; never both, never two."""
        row = queries.withdrawal(row.pk)
        payment = queries.payment_of(row)
        sent = {raw for raw in self.chain.sent() if payment is not None and raw == payment.raw}
        requests = ApprovalRequest.objects.filter(subject=f"custody.withdrawal/{row.pk}").count()
        assert (row.state, len(sent), requests) in {("broadcast", 1, 0), ("screened", 0, 1)}
        assert Waiver.objects.filter(subject=f"custody.withdrawal/{row.pk}").count() == 1
        return "paid" if sent else "asked"


@pytest.fixture
def world(lend_real: Lend, now: datetime, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[World]:
    """Tom with one coin."""
    file = tmp_path / "sent"
    file.touch()
    with opened(lend_real(Seasoned(coins=1), now), patch=monkeypatch, drain=work) as scene:
        chain = Chain(scene.treasury.transactions, file)
        monkeypatch.setattr(tasks, "BitcoinNode", lambda url: nullcontext(chain))
        yield World(scene, chain)


@pytest.mark.parametrize(
    "moments", [TELLING, pytest.param(range(1, PAID_AFTER + 2), marks=pytest.mark.soak)], ids=["some", "all"]
)
def test_pays_once_wherever_it_died(world: World, moments: Sequence[int]) -> None:
    rows = []
    for moment in moments:
        world.scene.treasury.deposit(BTC)
        world.scene.drain()  # what is on the way is sent again after the blocks, and by nobody who dies here
        rows.append(world.scene.treasury.request(SMALL))
        died = world.dies(PAYING, moment)
        assert died == (moment <= PAID_AFTER), f"the worker passes {PAID_AFTER} moments: {moment}"
        assert world.reached(rows[-1]) == REACHED[max(each for each in REACHED if each <= moment)], moment
        world.later()
        assert world.outcome(rows[-1]) == "paid", f"killed at moment {moment}"
        world.scene.finish()
        world.scene.pass_time(DAY)
    assert len(world.chain.sent()) == Payment.objects.count() == len(rows)
    assert set(world.acts().values()) == {1}
    assert len(world.acts()) == len(ACTS) * len(rows)
    # Nobody counted a payment twice because it was asked again.
    fees = sum(row.fee_units for row in Payment.objects.all())
    memories = [desk.signer.memory for desk in world.scene.signers.desks.values()]
    spent = [
        memory.used("hot", window_s=0, now_ms=0, unattended=way)
        for memory in memories
        for way in (True, False)
    ]
    assert sum(spent) == 2 * (len(rows) * SMALL + fees)
    before = world.scene.treasury.funding().posted.units
    for row in rows:
        world.scene.confirm(row)
    paid = sum(row.units + row.fee_units for row in Withdrawal.objects.all())
    assert world.scene.treasury.funding().posted.units == before - paid
    assert not any(invariants.broken().values())


def test_changes_nothing_wherever_it_died_while_it_sent_again_after_a_block(world: World) -> None:
    row = world.scene.withdraw(SMALL)
    assert world.reached(row) == REACHED[PAID_AFTER]
    before = world.acts()
    for moment in range(1, 4):
        world.scene.treasury.mine()  # a block without it
        times = world.chain.times()
        assert world.dies(PAYING, moment) == (moment < 3), f"the worker passes 2 moments: {moment}"
        world.later()
        assert world.chain.times() > times
        assert world.outcome(row) == "paid"
    assert world.acts() == before
    assert len(world.chain.sent()) == Payment.objects.count() == 1
    assert not any(invariants.broken().values())


@pytest.mark.parametrize("mended", [False, True])
@pytest.mark.parametrize(
    "moments",
    [(6, 12), pytest.param(range(1, FALLEN_AFTER + 1), marks=pytest.mark.soak)],
    ids=["some", "all"],
)
def test_asks_officers_once_or_pays_wherever_it_died_while_signers_refused(
    world: World, mended: bool, moments: Sequence[int]
) -> None:
    """One signer of three would sign; the two others have no fresh word about the books, or get it late."""
    outcomes = []
    for moment in moments:
        for token in HOT[1:]:
            world.scene.signers.desks[token].signer._attested.clear()
        world.scene.treasury.deposit(BTC)
        row = world.scene.treasury.request(SMALL)
        assert world.dies(FALLING, moment), f"the worker passes {FALLEN_AFTER} moments at least: {moment}"
        if mended:
            assert world.scene.attest() == ["attested"] * 3
        world.later()
        outcomes.append(world.outcome(row))
        row = queries.withdrawal(row.pk)
        if row.state == "screened":
            # Officers end it, with the transaction that a signer may have signed, and no other.
            assert world.scene.approve(row).state == "broadcast"
            assert Payment.objects.get(withdrawal=row).raw in world.chain.sent()
        world.scene.finish()
        world.scene.pass_time(DAY)
    assert mended or set(outcomes) == {"asked"}
    assert len(world.chain.sent()) == Payment.objects.count() == len(outcomes)
    assert not any(invariants.broken().values())


def test_asks_officers_once_where_it_died_while_it_gave_a_silent_lane_up(world: World, settings: Any) -> None:
    folder, settings.SIGNERS_DIR = settings.SIGNERS_DIR, Path("/nowhere")
    row = world.scene.treasury.request(SMALL)
    work(now=world.now)
    assert queries.withdrawal(row.pk).state == "offered"
    world.scene.pass_time(timedelta(hours=2, seconds=1))
    steps: list[tuple[Any, str]] = [(actions, "return_offer"), (offers, "give_back")]
    for moment in (1, 2, 3, 4):  # before it, around the request inside of it, after it
        assert killed(partial(lane_tasks.tend_lane, now=world.now), steps, moment)
        assert queries.withdrawal(row.pk).state == ("screened" if moment == 4 else "offered")
    settings.SIGNERS_DIR = folder
    lane_tasks.tend_lane(now=world.now)
    world.later()
    assert world.outcome(row) == "asked"
