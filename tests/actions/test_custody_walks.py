"""However the chain swings …"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import datetime
from random import Random

import pytest

from core import ledger
from core.freezes import Frozen
from core.ledger import AccountKind, invariants
from core.ledger.models import JournalEntry
from custody import actions, queries
from custody.actions.asking import LimitReached
from custody.domain.coins import NotEnoughCoins
from custody.models import Deposit, Payment, Utxo, Withdrawal
from kernel.transaction import Transaction
from tests.treasury import BTC, ROBOT, Treasury, customer_actor, raw_of

pytestmark = pytest.mark.django_db

STEPS = 25
SEED = int(os.environ.get("SEED", "20261121"))


@dataclass
class Walk:
    """A treasury, a mempool, and what each block took out of it."""

    treasury: Treasury
    random: Random
    mempool: list[Transaction] = field(default_factory=list)
    mined: list[list[Transaction]] = field(default_factory=list)
    given: int = 0

    def deposit(self) -> None:
        """Somebody pays Tom."""
        address = actions.assign_address(
            customer_id=self.treasury.tom.pk,
            asset="BTC",
            actor=customer_actor(self.treasury.tom),
            now=self.treasury.now,
        )
        sats = self.random.randrange(BTC // 10, BTC)
        self.mempool.append(self.treasury.coin(address.script, sats))
        self.given += sats

    def pay(self) -> None:
        """A withdrawal is made and sent, where funds, coins and freezes allow."""
        try:
            payment = self.treasury.broadcast(self.treasury.approved(sats=BTC // 50))
        except (Frozen, LimitReached, NotEnoughCoins, ledger.entries.InsufficientFunds):  # type: ignore[attr-defined]
            return
        self.mempool.append(raw_of(payment))

    def mine(self) -> None:
        """A block with some of what waits, parents before children."""
        taken = [each for each in self.mempool if self.random.random() < 0.7]
        left = [each for each in self.mempool if each not in taken]
        names = {each.txid for each in left}
        while orphans := [each for each in taken if names & {spent.outpoint.txid for spent in each.inputs}]:
            taken = [each for each in taken if each not in orphans]
            left += orphans
            names |= {each.txid for each in orphans}
        self.treasury.mine(*taken)
        self.mempool = left
        self.mined.append(taken)

    def unwind(self) -> None:
        """Up to three blocks leave; what they held waits again."""
        for _ in range(self.random.randrange(1, 4)):
            tip = queries.tip()
            if tip is None or not self.mined:
                return
            actions.unwind_block(block_hash=tip.hash, actor=ROBOT, now=self.treasury.now)
            self.mempool = self.mined.pop() + self.mempool

    def rest(self) -> None:
        """Everything is mined, deep enough, and booked."""
        self.treasury.mine(*self.mempool, empty=2)
        self.treasury.book()


def walk(seed: int, steps: int, now: datetime) -> None:
    at = Walk(Treasury.open(now, tier=4), Random(seed))
    moves = [at.deposit, at.mine, at.mine, at.pay, at.treasury.book, at.unwind]
    at.deposit()
    for _ in range(steps):
        at.random.choice(moves)()
        assert not any(invariants.broken().values()), f"seed {seed}"
    at.rest()
    rows = list(Withdrawal.objects.exclude(state__in=("requested", "on_hold", "approved")))
    assert {row.state for row in rows} <= {"settled"}, f"seed {seed}"
    assert set(Deposit.objects.values_list("state", flat=True)) == {"credited"}, f"seed {seed}"
    spent = sum(row.units + row.fee_units for row in rows)
    assert at.treasury.funding().posted.units == at.given - spent, f"seed {seed}"
    coins = sum(Utxo.objects.filter(spent_in=None, height__isnull=False).values_list("units", flat=True))
    held = ledger.balance(ledger.account(AccountKind.HOT_WALLET, "BTC")).posted.units
    assert coins == held, f"seed {seed}: the chain holds {coins}, the books {held}"
    assert JournalEntry.objects.filter(kind="custody.withdrawal").count() == len(rows)
    assert JournalEntry.objects.filter(kind="custody.deposit").count() == Deposit.objects.count()
    assert Payment.objects.count() == len(rows)


@pytest.mark.parametrize("offset", range(3))
def test_the_books_end_where_the_chain_does(offset: int, now: datetime) -> None:
    walk(SEED + offset, STEPS, now)


@pytest.mark.soak
@pytest.mark.parametrize("offset", range(3, 60))
def test_the_books_end_where_the_chain_does_after_long_walks(offset: int, now: datetime) -> None:
    walk(SEED + offset, 8 * STEPS, now)
