"""A probe of custody …"""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.db import connection

from core.daemon import lock_key
from core.health import Status
from custody import actions, probes, queries
from custody.domain import limits
from tests.stockroom import Lend
from tests.treasury import BTC, ROBOT, Treasury

pytestmark = pytest.mark.django_db


def refilled(now: datetime) -> Treasury:
    return Treasury.open(now, refill_below=BTC, target=2 * BTC)


@pytest.fixture
def treasury(lend: Lend, now: datetime) -> Treasury:
    return lend(refilled, now)


def test_sees_whether_somebody_follows_the_chain(treasury: Treasury) -> None:
    assert probes.read_watcher(treasury.now).status is Status.DOWN
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [lock_key("block-watcher")])
    assert probes.read_watcher(treasury.now).status is Status.DEGRADED
    treasury.mine()
    found = probes.read_watcher(treasury.now)
    assert (found.status, found.facts["height"]) == (Status.UP, 0)


def test_sees_prices_grow_old(treasury: Treasury) -> None:
    assert probes.read_prices(treasury.now).status is Status.UP
    late = treasury.now + limits.PRICE_AGE_MAX + timedelta(seconds=1)
    assert probes.read_prices(late).status is Status.DOWN


def test_sees_a_low_wallet_and_what_waits_for_a_person(treasury: Treasury) -> None:
    treasury.fund("cold", 99 * BTC)
    assert "Below its threshold: hot" in probes.read_hot_wallet(treasury.now).sentence
    treasury.deposit(BTC)
    assert probes.read_hot_wallet(treasury.now).status is Status.UP
    treasury.deposit(5 * BTC)
    found = probes.read_hot_wallet(treasury.now)
    assert (found.status, found.sentence) == (Status.DEGRADED, "5.71 % of all coins are hot, 5.00 % may be.")
    assert probes.read_payments(treasury.now).status is Status.UP

    for _ in range(2):
        tip = queries.tip()
        assert tip is not None
        actions.unwind_block(block_hash=tip.hash, actor=ROBOT, now=treasury.now)
    found = probes.read_payments(treasury.now)
    assert found.status is Status.DEGRADED
    assert "1 credited deposits that left the chain" in found.sentence
