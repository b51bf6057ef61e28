"""Which version of a payment counts, as blocks come and go: the one in a block, else the one to send again.

These are parts of other acts: they write within an open action, on a payment that it has claimed.
"""

from __future__ import annotations

from custody import queries
from custody.actions.payments import update
from custody.domain.payments import Step
from custody.models import Payment, PaymentVersion, Utxo, UtxoLock


def adopt(row: Payment, version: PaymentVersion) -> None:
    """The payment is this version from here on: what it costs, and what is sent again."""
    update(
        row,
        txid=version.txid,
        fee_units=version.fee_units,
        vsize=version.vsize,
        change_units=version.change_units,
        raw=version.raw,
        signed_at=version.signed_at,
        handed_at=version.handed_at,
        sent_at=version.sent_at,
    )


def confirm(row: Payment, txid: str) -> None:
    """A block has this transaction of the payment."""
    if row.txid != txid:
        adopt(row, row.versions.get(txid=txid))


def void_others(row: Payment, txid: str, *, height: int) -> list[Payment]:
    """The change of other versions, which a former block had, is gone as if this one had spent it; so are
    payments of ours that claim it. With its block that is taken back.
    """
    gone = Utxo.objects.filter(txid__in=queries.txids_of(row) - {txid}, spent_in=None)
    coins = list(gone.values_list("pk", flat=True))
    Utxo.objects.filter(pk__in=coins).update(spent_in=height, spent_by=txid)
    claims = UtxoLock.objects.filter(utxo__in=coins, released_at=None).select_related("payment")
    return [claim.payment for claim in claims.order_by("pk")]


def after_loss(row: Payment) -> None:
    """The payment waits for a block again: by the version whose change another payment of ours claims, or
    else by the dearest that a node had, or else by the dearest that is signed.

    What was settled stays the version that the ledger knows.
    """
    if row.owner.state != Step.BROADCAST:
        return
    claimed, signed = queries.claimed_version(row), row.versions.exclude(raw="")
    had, dearest = signed.exclude(sent_at=None), "-fee_units"
    version = (
        row.versions.filter(txid=claimed).first()
        if claimed
        else had.order_by(dearest).first() or signed.order_by(dearest).first()
    )
    if version is not None and version.txid != row.txid:
        adopt(row, version)
