"""Payments that wait for a block …"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import pytest

from core.freezes.actions import pull_freeze
from custody import locks, tasks
from custody.models import Payment
from custody.queries import payments
from tests.nodes import Node
from tests.stockroom import Lend
from tests.treasury import BTC, Treasury

pytestmark = pytest.mark.django_db

SMALL = BTC // 100


def four_coins(now: datetime) -> Treasury:
    found = Treasury.open(now)
    for _ in range(4):
        found.deposit(BTC)
    return found


@pytest.fixture
def treasury(lend: Lend, now: datetime) -> Treasury:
    return lend(four_coins, now)


def signed(treasury: Treasury) -> Payment:
    return treasury.signed(treasury.approved(sats=SMALL))


def names(node: Node, *known: Payment) -> list[int]:
    """Which payments the node was given, by their place in `known`; it forgets them."""
    raws = [bytes.fromhex(payment.raw) for payment in known]
    given, node.given = [raws.index(raw) for raw in node.given], []
    return given


def test_are_each_handed_over_again_and_keep_nobody_waiting(
    treasury: Treasury, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many stay away from the chain, what no node has comes first, and the others take turns."""
    monkeypatch.setattr(payments, "AGAIN_MAX", 2)
    known = [signed(treasury) for _ in range(4)]
    for payment in known[:3]:
        tasks.send(payment.pk, now=treasury.now)
    names(node, *known)
    pull_freeze(scope="asset:BTC", reason="odd", actor=treasury.staff.sam.actor, now=treasury.now)
    seen = []
    for _ in range(2):
        treasury.mine()
        tasks.send_again(now=treasury.now)
        seen.append(names(node, *known))
    assert sorted(seen) == [[0, 1], [2]], "the frozen one waits, and nobody behind it"
    tasks.send_unsent(now=treasury.now)
    assert names(node, *known) == []
    monkeypatch.setattr("custody.queries.stopped", lambda row, now: "")
    tasks.send_unsent(now=treasury.now)
    assert names(node, *known) == [3]


def test_are_not_locked_where_nothing_of_them_changes(
    treasury: Treasury, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = [signed(treasury), signed(treasury)]
    tasks.send(known[0].pk, now=treasury.now)
    locked: list[UUID] = []
    claim = locks.payment

    def claimed(payment_id: UUID) -> Payment:
        locked.append(payment_id)
        return claim(payment_id)

    monkeypatch.setattr(locks, "payment", claimed)
    pull_freeze(scope="asset:BTC", reason="odd", actor=treasury.staff.sam.actor, now=treasury.now)
    tasks.send_again(now=treasury.now)
    assert (names(node, *known), locked) == ([0, 0], [])
