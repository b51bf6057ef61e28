"""A payment whose fee was raised, as far as a test wants it."""

from __future__ import annotations

from custody import actions, queries
from custody.models import Payment, PaymentVersion
from kernel.transaction import Transaction
from tests.treasury import ROBOT, Treasury, signatures


def raised(treasury: Treasury, payment: Payment, rate: int = 10) -> PaymentVersion:
    """A further version, which nobody has signed."""
    return actions.raise_fee(
        payment_id=payment.pk, feerate=rate, reason="no block took it", actor=ROBOT, now=treasury.now
    )


def answered(treasury: Treasury, version: PaymentVersion, *tokens: str) -> PaymentVersion:
    """These tokens sign it, and their signatures are stored."""
    psbt = queries.version_psbt(queries.version(version.pk)).base64()
    for token in tokens:
        actions.store_version_signature(
            version_id=version.pk,
            token=token,
            given=signatures(psbt, token),
            actor=ROBOT,
            now=treasury.now,
        )
    return queries.version(version.pk)


def signed(treasury: Treasury, payment: Payment, rate: int = 10) -> PaymentVersion:
    """Two tokens have signed it and the raw transaction is stored."""
    version = answered(treasury, raised(treasury, payment, rate), "hot-2", "hot-3")
    raw = queries.signed_version(version).finalised().encoded()
    return actions.store_version_signed(version_id=version.pk, raw=raw, actor=ROBOT, now=treasury.now)


def replaced(treasury: Treasury, payment: Payment, rate: int = 10) -> PaymentVersion:
    """A node has taken it in the place of the one before."""
    version = signed(treasury, payment, rate)
    actions.report_replaced(version_id=version.pk, actor=ROBOT, now=treasury.now)
    return queries.version(version.pk)


def refused(treasury: Treasury, version: PaymentVersion, code: str) -> None:
    """Two of three tokens refuse it: too few are left."""
    for token in ("hot-1", "hot-2"):
        actions.report_version_refusal(
            version_id=version.pk, token=token, code=code, detail="", actor=ROBOT, now=treasury.now
        )


def raw_of(version: PaymentVersion) -> Transaction:
    """The stored transaction."""
    return Transaction.parse(bytes.fromhex(version.raw))
