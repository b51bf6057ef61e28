"""A worker that is killed while it raises a fee …

As in `test_custody_payout`: a process of its own, killed by SIGKILL before or after one of the steps. Another
worker then takes over.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from core import ledger
from core.ledger import AccountKind, invariants
from custody import actions, queries
from custody.adapters import judge, signer_client
from custody.adapters.bitcoin import BitcoinNode
from custody.models import Payment, PaymentVersion
from tests.faults.test_custody_payout import LATER, killed, soft_signer
from tests.relay import work
from tests.stockroom import Lend
from tests.treasury import ROBOT
from tests.worlds import SMALL, Mined, World, opened

pytestmark = pytest.mark.slow

STEPS: list[tuple[Any, str]] = [
    (actions, "raise_fee"),
    (signer_client, "ask"),
    (actions, "store_version_signature"),
    (judge, "finalise"),
    (actions, "store_version_signed"),
    (actions, "mark_version_handed"),
    (BitcoinNode, "broadcast"),
    (actions, "report_replaced"),
]
TICKS = 21
"""Before and after each step; asking and storing happen twice, and the last tick is reached by nobody."""


@pytest.fixture
def world(
    lend_real: Lend, settings: Settings, tmp_path: Path, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    monkeypatch.setattr(signer_client, "ask", soft_signer)
    with opened(lend_real(Mined(coins=1), now), settings, tmp_path / "node") as found:
        yield found


def raise_it(payment: Payment, *, now: datetime) -> None:
    """Raise the fee of a payment that has one version, and do what comes of it."""
    if not payment.versions.exists():
        actions.raise_fee(payment_id=payment.pk, feerate=20, reason="no block took it", actor=ROBOT, now=now)
    work(now=now)


def test_leaves_a_version_that_the_next_worker_brings_to_the_node(world: World) -> None:
    world.fund(TICKS)
    rows = []
    for tick in range(1, TICKS + 1):
        rows.append(world.approved())
        work(now=world.treasury.now)
        payment = queries.payment_of(rows[-1])
        assert payment is not None
        died = killed(partial(raise_it, payment, now=world.treasury.now), STEPS, tick)
        assert died == (tick < TICKS), f"the worker passes {TICKS - 1} moments: {tick}"
        world.treasury.now += LATER
        raise_it(payment, now=world.treasury.now)
        version = PaymentVersion.objects.get(payment=payment, number=2)
        assert queries.payment(payment.pk).txid == version.txid, f"killed at moment {tick}"
        waiting = world.node.mempool()
        assert (version.txid in waiting, payment.txid in waiting) == (True, False)
    world.outside.mine(2)
    world.follow()
    work(now=world.treasury.now + LATER)
    paid = world.paid()
    for row in rows:
        assert queries.withdrawal(row.pk).state == "settled"
        assert paid[row.destination] == SMALL
    fees = sum(one.fee_units for one in PaymentVersion.objects.filter(number=2))
    assert ledger.balance(ledger.account(AccountKind.NETWORK_FEES, "BTC")).posted.units == fees
    assert PaymentVersion.objects.count() == 2 * len(rows)
    assert world.treasury.funding().held.units == 0
    assert not any(invariants.broken().values())
