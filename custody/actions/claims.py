"""A payment's claim on its coins, let go where nobody can be paid by it any more. Primitives."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings

from core import action as actions
from core.refusals import Refused
from custody import queries
from custody.domain import deposits
from custody.models import Payment


class StillPayable(Refused):
    """A transaction that pays this could still be completed or confirmed."""

    code = "payment.still_payable"


def has_final_rival(payment: Payment) -> bool:
    """Whether a coin of the payment was spent by another transaction, deep enough."""
    rivals = payment.locks.exclude(utxo__spent_by__in=["", *queries.txids_of(payment)])
    tip = queries.tip_height()
    return any(
        deposits.is_final(height, tip, settings.NETWORK)
        for height in rivals.values_list("utxo__spent_in", flat=True)
    )


def free(payment: Payment, *, now: datetime) -> None:
    """Let go of the coins of one that a block may still have: it stays known as ours."""
    actions.current()
    payment.locks.filter(released_at=None).update(released_at=now)


def release(payment: Payment, *, now: datetime) -> None:
    """Let go of it and of its coins: in a block it would be a stranger's."""
    free(payment, now=now)
    Payment.objects.filter(pk=payment.pk).update(abandoned_at=now)
