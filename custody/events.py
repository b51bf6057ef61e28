"""What custody writes into the audit log, and what it announces."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

from core import outbox


class Event(StrEnum):
    """Acts, in the order of their roads."""

    WITHDRAWAL_REQUESTED = "custody.withdrawal.requested"
    WITHDRAWAL_SCREENED = "custody.withdrawal.screened"
    WITHDRAWAL_RELEASED = "custody.withdrawal.released"
    WITHDRAWAL_APPROVED = "custody.withdrawal.approved"
    WITHDRAWAL_REJECTED = "custody.withdrawal.rejected"
    WITHDRAWAL_CANCELLED = "custody.withdrawal.cancelled"
    WITHDRAWAL_EXPIRED = "custody.withdrawal.expired"
    WITHDRAWAL_LET_GO = "custody.withdrawal.let_go"
    WITHDRAWAL_FAILED = "custody.withdrawal.failed"
    PAYMENT_BUILT = "custody.payment.built"
    WITHDRAWAL_RETURNED = "custody.withdrawal.returned"
    PAYMENT_OFFERED = "custody.payment.offered"
    PAYMENT_ASKED = "custody.payment.asked"
    PAYMENT_EXPORTED = "custody.payment.exported"
    PAYMENT_SIGNATURE_STORED = "custody.payment.signature_stored"
    PAYMENT_REFUSED = "custody.payment.refused"
    PAYMENT_SIGNED = "custody.payment.signed"
    PAYMENT_HANDED = "custody.payment.handed"
    PAYMENT_BROADCAST = "custody.payment.broadcast"
    PAYMENT_RAISED = "custody.payment.raised"
    PAYMENT_REPLACED = "custody.payment.replaced"
    PAYMENT_CONFIRMED = "custody.payment.confirmed"
    PAYMENT_REORGANISED = "custody.payment.reorganised"
    PAYMENT_CONFLICTED = "custody.payment.conflicted"
    PAYMENT_SETTLED = "custody.payment.settled"
    PAYMENT_FEE_CORRECTED = "custody.payment.fee_corrected"
    ADDRESS_ASSIGNED = "custody.address.assigned"
    BLOCK_READ = "custody.block.read"
    BLOCK_UNWOUND = "custody.block.unwound"
    DEPOSIT_BOOKED = "custody.deposit.booked"
    REFILL_PROPOSED = "custody.refill.proposed"
    REFILL_REQUESTED = "custody.refill.requested"
    REFILL_DISMISSED = "custody.refill.dismissed"
    REFILL_APPROVED = "custody.refill.approved"
    REFILL_REJECTED = "custody.refill.rejected"
    REFILL_EXPIRED = "custody.refill.expired"
    REFILL_LAPSED = "custody.refill.lapsed"
    REFILL_FAILED = "custody.refill.failed"
    SWEEP_PROPOSED = "custody.sweep.proposed"
    SWEEP_REQUESTED = "custody.sweep.requested"
    SWEEP_DISMISSED = "custody.sweep.dismissed"
    SWEEP_APPROVED = "custody.sweep.approved"
    SWEEP_REJECTED = "custody.sweep.rejected"
    SWEEP_EXPIRED = "custody.sweep.expired"
    SWEEP_LAPSED = "custody.sweep.lapsed"
    SWEEP_FAILED = "custody.sweep.failed"
    ADJUSTMENT_REQUESTED = "custody.adjustment.requested"
    ADJUSTMENT_POSTED = "custody.adjustment.posted"
    ADJUSTMENT_REJECTED = "custody.adjustment.rejected"
    ADJUSTMENT_EXPIRED = "custody.adjustment.expired"
    ORDER_DRAFTED = "custody.signer_order.drafted"
    ORDER_ASKED = "custody.signer_order.asked"
    ORDER_SIGNED = "custody.signer_order.signed"
    ORDER_ANSWERED = "custody.signer_order.answered"
    ORDER_REJECTED = "custody.signer_order.rejected"
    ORDER_EXPIRED = "custody.signer_order.expired"
    STATEMENT_TAKEN = "custody.customer_statement.taken"
    STATEMENT_ANSWERED = "custody.customer_statement.answered"
    STATEMENTS_FORGOTTEN = "custody.customer_statement.forgotten"
    RECONCILIATION_CHANGED = "custody.reconciliation.changed"
    RECONCILIATION_ANSWERED = "custody.reconciliation.answered"
    REGISTRY_HEARD = "custody.registry.heard"
    REGISTRY_LOADED = "custody.registry.loaded"
    PRICE_REPORTED = "custody.price.reported"


@outbox.message("custody.withdrawal_moved")
class WithdrawalMoved:
    """A withdrawal reached a state. `state` says which; the customer's id comes with it for their own
    channel.
    """

    withdrawal: UUID
    customer: UUID
    state: str


@outbox.message("custody.refill_moved")
class RefillMoved:
    """A refill reached a state."""

    refill: UUID
    state: str


@outbox.message("custody.sweep_moved")
class SweepMoved:
    """A sweep reached a state."""

    sweep: UUID
    state: str


@outbox.message("custody.signature_stored")
class SignatureStored:
    """A token's signatures arrived; there may now be enough of them."""

    payment: UUID
    token: str


@outbox.message("custody.fee_raised")
class FeeRaised:
    """There is a further version of a payment, which signers and then a node are to be given."""

    version: UUID


@outbox.message("custody.block_read")
class BlockRead:
    """A block was read, or taken back: coins may have become spendable, payments final."""

    height: int
    hash: str


@outbox.message("custody.deposit_booked")
class DepositBooked:
    """A deposit is deep enough and stands in the ledger; `customer` is None for one in suspense."""

    deposit: UUID
    customer: UUID | None


@outbox.message("custody.address_assigned")
class AddressAssigned:
    """A customer has a deposit address."""

    customer: UUID
    address: str


@outbox.message("custody.adjustment_moved")
class AdjustmentMoved:
    """An adjustment reached a state."""

    adjustment: UUID
    state: str


@outbox.message("custody.signer_order_moved")
class SignerOrderMoved:
    """An officers' order to the signers reached a state."""

    order: UUID
    state: str


@outbox.message("custody.statement_taken")
class StatementTaken:
    """A customer signed something that signers are to learn."""

    statement: UUID


@outbox.message("custody.registry_loaded")
class RegistryLoaded:
    """Wallets and addresses stand as this version of the registry describes them."""

    version: int


@outbox.message("custody.price_reported")
class PriceReported:
    """A newer price is known."""

    asset: str
