"""What happens to a withdrawal at the customer's end: asked for, taken back, given up."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from core import audit, ledger
from core.action import action
from core.actor import Actor
from core.approvals import moving
from core.approvals.domain.requests import State as RequestState
from core.refusals import NotAllowed, Refused
from custody import locks, queries
from custody.actions import announcing, asking
from custody.domain import withdrawals
from custody.domain.withdrawals import State
from custody.events import Event
from custody.models import Payment, Withdrawal
from customers.models import Customer
from kernel.money import Amount


class ClientIdUsed(Refused):
    """This client id already names a withdrawal of this customer; `withdrawal` is its id."""

    code = "withdrawal.client_id_used"

    def __init__(self, sentence: str, *, withdrawal: UUID) -> None:
        super().__init__(sentence, target=f"custody.withdrawal/{withdrawal}")
        self.withdrawal = withdrawal


@action(Event.WITHDRAWAL_REQUESTED)
def request_withdrawal(
    *,
    customer_id: UUID,
    client_id: str,
    amount: Amount,
    destination: str,
    label: str,
    actor: Actor,
    now: datetime,
) -> Withdrawal:
    """A new withdrawal with its funds on hold: `amount` for the destination, and the fixed fee on top.

    Only the customer asks, only within the tier's limit, and one client id never names two withdrawals.
    """
    asking.check_asking(actor, customer_id, client_id, amount.asset)
    locks.customer_withdrawals(customer_id)
    used = Withdrawal.objects.filter(customer_id=customer_id, client_id=client_id).first()
    if used is not None:
        raise ClientIdUsed(
            "Nothing new was asked for: this client id names an earlier request.", withdrawal=used.pk
        )
    customer = Customer.objects.select_related("identity").get(pk=customer_id)
    if not customer.identity.is_active:
        raise NotAllowed("Nothing was asked for: this account is suspended.")
    queries.check_held(customer.pk, now=now, undone="Nothing was asked for")
    # A tier that may only look hears so, whatever the price feed does.
    asking.check_limit(customer, 0, now=now)
    held, agreed = asking.terms(amount)
    price, value_cents = asking.valued(amount, now=now)
    asking.check_limit(customer, value_cents, now=now)
    beneficiary = asking.beneficiary(customer, amount.asset, destination, label, now=now)
    row = Withdrawal.objects.create(
        customer=customer,
        client_id=client_id,
        asset=amount.asset,
        units=amount.units,
        fee_units=agreed.fee.units,
        fee_cap_units=agreed.fee_cap.units,
        destination=beneficiary.address,
        beneficiary=beneficiary,
        price_cents=price.cents,
        priced_at=price.quoted_at,
        value_cents=value_cents,
        requested_at=now,
        expires_at=now + withdrawals.SCREEN_WITHIN,
    )
    account = ledger.account(ledger.AccountKind.CUSTOMER_FUNDING, amount.asset, customer.pk)
    ledger.hold(account, held, row.hold_reference, now=now)
    audit.record(
        Event.WITHDRAWAL_REQUESTED,
        row,
        actor=actor,
        now=now,
        after={
            "state": row.state,
            "amount": amount,
            "fee": row.fee,
            "destination": row.destination,
            "value_cents": value_cents,
            "client_id": client_id,
        },
    )
    announcing.moved(row, now=now)
    return row


@action(Event.WITHDRAWAL_CANCELLED)
def cancel_withdrawal(*, withdrawal_id: UUID, actor: Actor, now: datetime) -> Withdrawal:
    """The customer's own withdrawal taken back, before it is approved; the funds are free again, at once or
    as soon as `let_go` says.
    """
    if actor.identity is None:
        raise NotAllowed(
            "Only the customer cancels a withdrawal.", target=f"custody.withdrawal/{withdrawal_id}"
        )
    row = locks.withdrawal(withdrawal_id, customer=actor.identity)
    end(row, State.CANCELLED, event=Event.WITHDRAWAL_CANCELLED, actor=actor, now=now)
    return row


@action(Event.WITHDRAWAL_EXPIRED)
def expire_withdrawal(*, withdrawal_id: UUID, actor: Actor, now: datetime) -> Withdrawal:
    """A withdrawal whose time ran out before there was a transaction; not yet due ones stay as they are."""
    row = locks.withdrawal(withdrawal_id)
    if row.expires_at <= now and State.EXPIRED in withdrawals.NEXT[State(row.state)]:
        end(row, State.EXPIRED, event=Event.WITHDRAWAL_EXPIRED, actor=actor, now=now)
    return row


def end(
    row: Withdrawal,
    state: State,
    *,
    event: Event,
    actor: Actor,
    now: datetime,
    reason: str = "",
    before: State | None = None,
) -> None:
    """Close a claimed withdrawal without paying it: the hold is given back, its approval request closed.

    Where the signers' lane may still complete its transaction, hold and coins are kept until `let_go`: else
    the customer could spend what is paid out as well. `before` is where the act found it, where that took
    more than one step.
    """
    before = before or State(row.state)
    row.move_to(state, reason=reason or row.reason)
    payment = queries.payment_of(row)
    if payment is None or not queries.is_payable_by_lane(payment, now=now):
        _give_back(row, payment, now=now)
    request = row.request
    if request is not None and request.state in (RequestState.OPEN, RequestState.APPROVED):
        moving.move(request, RequestState.WITHDRAWN, now=now)
    audit.record(
        event, row, actor=actor, now=now, before={"state": before}, after={"state": row.state}, reason=reason
    )
    announcing.moved(row, now=now)


@action(Event.WITHDRAWAL_LET_GO)
def let_go(*, withdrawal_id: UUID, actor: Actor, now: datetime) -> Withdrawal:
    """Give back what an ended withdrawal has kept, once no signer takes the lane's old message any more.

    Before that nothing changes, nor where the transaction is in a block all the same: then its hold is what
    was paid, and a person must look (the health screen says so).
    """
    row = locks.withdrawal(withdrawal_id)
    payment = queries.payment_of(row)
    if payment is None or State(row.state) not in withdrawals.UNPAID or not queries.is_kept(row, payment):
        return row
    if payment.height is not None or queries.is_payable_by_lane(payment, now=now):
        return row
    _give_back(row, payment, now=now)
    audit.record(
        Event.WITHDRAWAL_LET_GO,
        row,
        actor=actor,
        now=now,
        after={"state": row.state, "txid": payment.txid, "coins_free": payment.abandoned_at is not None},
    )
    announcing.moved(row, now=now)
    return row


def _give_back(row: Withdrawal, payment: Payment | None, *, now: datetime) -> None:
    """The hold, and the coins of a transaction that nobody can complete."""
    if payment is not None and payment.abandoned_at is None and payment.asked_at is None:
        _release_unsigned(payment, now=now)
    ledger.void_hold(row.hold_reference, now=now, expired=row.state == State.EXPIRED)


def _release_unsigned(payment: Payment, *, now: datetime) -> None:
    """Let go of the coins of a payment that officers' approvals were never put to signers for.

    Where the lane was asked and too few signers said no, an answer may still be somewhere: then the coins
    stay claimed for good.
    """
    if payment.offered_at is None or queries.is_hopeless(payment, since=payment.offered_at):
        Payment.objects.filter(pk=payment.pk).update(abandoned_at=now)
        payment.abandoned_at = now
        payment.locks.filter(released_at=None).update(released_at=now)


def whole_seconds(moment: datetime) -> datetime:
    """The moment in UTC without fractions, as intents write it."""
    return moment.astimezone(UTC).replace(microsecond=0)
