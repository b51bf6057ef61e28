"""What officers are told that a sweep or a refill leaves …"""

from __future__ import annotations

from datetime import datetime

import pytest

from custody import actions, queries
from custody.domain import refills, sweeps
from custody.models import Utxo
from tests import refilling, sweeping
from tests.treasury import BTC, ROBOT

pytestmark = pytest.mark.django_db


def held(name: str) -> int:
    return next(one.total.units for one in queries.all_standings() if one.wallet.name == name)


def test_is_what_a_sweep_leaves_once_a_block_has_it(now: datetime) -> None:
    treasury = sweeping.full(now)
    treasury.request(sats=BTC // 10)
    row, payment = sweeping.built(treasury)
    told = queries.outlook(row)
    assert told is not None
    assert (told.now.units, told.now_bps, told.promised.units) == (8 * BTC, 800, BTC // 10)
    after = 8 * BTC - row.units - payment.fee_units
    assert (told.after.units, told.left) == (after, after - BTC // 10)
    assert told.after_bps == after * 10_000 // (100 * BTC - payment.fee_units)
    assert not told.is_low
    actions.mark_sweep_asked(sweep_id=row.pk, actor=ROBOT, now=now)
    treasury.sign(payment, *sweeping.HOT)
    raw = queries.signed_psbt(payment).finalised()
    actions.store_signed(payment_id=payment.pk, raw=raw.encoded(), actor=ROBOT, now=now)
    treasury.mine(raw)
    assert held("hot") == after
    assert queries.outlook(queries.sweep(row.pk)) is None


def test_is_low_and_short_where_the_wallet_changed_meanwhile(now: datetime) -> None:
    """Before it is built the fee is the highest that it can be, so nothing is told too well."""
    treasury = sweeping.full(now)
    row = treasury.sweep_requested()
    treasury.request(sats=BTC // 10)
    told = queries.outlook(row)
    assert told is not None
    assert told.left == 8 * BTC - row.units - sweeps.FEE_CAP.units - BTC // 10
    assert not told.is_low
    Utxo.objects.filter(wallet=row.source, units=2 * BTC).update(spent_in=1, spent_by="ab" * 32)
    gone = queries.outlook(row)
    assert gone is not None
    assert (gone.left, gone.after.units) == (told.left - 2 * BTC, told.after.units - 2 * BTC)
    assert (gone.left < 0, gone.spare.units, gone.is_low) == (True, -gone.left, True)


def test_is_what_a_refill_brings(now: datetime) -> None:
    treasury = refilling.low(now)
    row = treasury.refill_requested()
    told = queries.outlook(row)
    assert told is not None
    assert (told.now.units, told.after.units, told.left) == (BTC, BTC + row.units, BTC + row.units)
    cold = 100 * BTC - row.units - refills.FEE_CAP.units
    assert told.after_bps == (BTC + row.units) * 10_000 // (BTC + row.units + cold)
    assert row.request is not None
    assert queries.outlook_of(row.request) == told
    assert queries.outlook_of(treasury.screened(sats=BTC // 10).request) is None  # type: ignore[arg-type]
