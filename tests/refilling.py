"""Refills for tests: a hot wallet that runs low, and the steps until cold signers have answered."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from custody import actions, queries
from custody.models import Payment, Refill
from kernel import canonical
from tests.treasury import BTC, ROBOT, Treasury, signatures

COLD: Final = ("cold-1", "cold-3", "cold-5")


def low(now: datetime) -> Treasury:
    """Hot holds 1 BTC of Tom's and wants 3 when it falls below 2; cold holds 100."""
    found = Treasury.open(now, refill_below=2 * BTC, target=3 * BTC)
    found.deposit(BTC)
    found.fund("cold", 100 * BTC)
    return found


def built(treasury: Treasury) -> Refill:
    """Approved, and its transaction stored."""
    row = treasury.refill_requested()
    treasury.sign_off(row)
    treasury.built(queries.refill(row.pk))
    return queries.refill(row.pk)


def exported(treasury: Treasury) -> Refill:
    """On a stick, on its way to the cold signers."""
    row = built(treasury)
    actions.export_bundle(refill_id=row.pk, actor=treasury.staff.ana.actor, now=treasury.now)
    return queries.refill(row.pk)


def signed(treasury: Treasury) -> tuple[Refill, Payment]:
    """Back from the cold signers, and put together."""
    row = exported(treasury)
    carry(treasury, row, *COLD)
    payment = queries.payment_of(row)
    assert payment is not None
    raw = queries.signed_psbt(payment).finalised().encoded()
    return row, actions.store_signed(payment_id=payment.pk, raw=raw, actor=ROBOT, now=treasury.now)


def partial(payment: Any, signer: str, **changes: Any) -> bytes:
    """The file that comes back from a cold signer."""
    answer = {
        "v": 1,
        "type": "signed",
        "token": signer,
        "txid": payment.txid,
        "signatures": signatures(payment.psbt, signer),
    }
    return canonical.encode(answer | changes) + b"\n"


def carry(treasury: Treasury, row: Refill, *tokens: str) -> None:
    """These tokens' files, brought back."""
    payment = queries.payment_of(row)
    for token in tokens:
        actions.import_signatures(
            refill_id=row.pk, data=partial(payment, token), actor=treasury.staff.ana.actor, now=treasury.now
        )
