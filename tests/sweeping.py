"""Sweeps for tests: a hot wallet that holds too much, and the steps until hot signers have answered."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from custody import actions, queries
from custody.models import Payment, Sweep
from tests.treasury import BTC, ROBOT, Treasury

HOT: Final = ("hot-1", "hot-3")


def full(now: datetime) -> Treasury:
    """Hot holds 2 and 6 BTC of Tom's and should hold 2, or 3 at the most; cold holds 92."""
    found = Treasury.open(now, refill_below=BTC, target=2 * BTC)
    found.deposit(2 * BTC)
    found.deposit(6 * BTC)
    found.fund("cold", 92 * BTC)
    return found


def built(treasury: Treasury) -> tuple[Sweep, Payment]:
    """Approved, and its transaction stored."""
    row = treasury.sweep_requested()
    treasury.sign_off(row)
    payment = treasury.built(queries.sweep(row.pk))
    return queries.sweep(row.pk), payment


def asked(treasury: Treasury) -> tuple[Sweep, Payment]:
    """Before the hot signers."""
    row, payment = built(treasury)
    return actions.mark_sweep_asked(sweep_id=row.pk, actor=ROBOT, now=treasury.now), payment


def signed(treasury: Treasury) -> tuple[Sweep, Payment]:
    """Signed by two of them, and sent."""
    row, payment = asked(treasury)
    treasury.sign(payment, *HOT)
    raw = queries.signed_psbt(payment).finalised().encoded()
    actions.store_signed(payment_id=payment.pk, raw=raw, actor=ROBOT, now=treasury.now)
    sent = actions.report_broadcast(payment_id=payment.pk, actor=ROBOT, now=treasury.now)
    return queries.sweep(row.pk), sent
