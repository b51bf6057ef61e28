"""What happens to a withdrawal at the customer's end: asked for, taken back, given up."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from django.conf import settings

from core import audit, freezes, ledger
from core.action import action
from core.actor import Actor
from core.approvals import moving
from core.approvals.domain.requests import State as RequestState
from core.refusals import NotAllowed, Refused
from custody import locks, queries
from custody.actions import announcing
from custody.domain import beneficiaries, limits, withdrawals
from custody.domain.withdrawals import State
from custody.events import Event
from custody.models import Address, Beneficiary, Payment, Withdrawal
from customers.models import Customer
from kernel import script
from kernel.bech32 import BadAddress
from kernel.money import Amount

CLIENT_ID_MAX = 32


class ClientIdUsed(Refused):
    """This client id already names a withdrawal of this customer; `withdrawal` is its id."""

    code = "withdrawal.client_id_used"

    def __init__(self, sentence: str, *, withdrawal: UUID) -> None:
        super().__init__(sentence, target=f"custody.withdrawal/{withdrawal}")
        self.withdrawal = withdrawal


class TierTooLow(Refused):
    """The customer's tier withdraws nothing at all."""

    code = "withdrawal.tier"
    status = 403


class LimitReached(Refused):
    """The 24 hours' limit of the tier has no room for this."""

    code = "withdrawal.limit"


class PriceUnknown(Refused):
    """Without a fresh price nobody can say whether this is within the limit."""

    code = "withdrawal.price_unknown"
    status = 503


class AmountRefused(Refused):
    """Too small, or an asset that is not withdrawn here."""

    code = "withdrawal.amount"
    status = 422


class DestinationRefused(Refused):
    """No address of this network, or one of our own."""

    code = "withdrawal.destination"
    status = 422


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
    _check_asking(actor, customer_id, client_id, amount.asset)
    locks.customer_withdrawals(customer_id)
    used = Withdrawal.objects.filter(customer_id=customer_id, client_id=client_id).first()
    if used is not None:
        raise ClientIdUsed(
            "Nothing new was asked for: this client id names an earlier request.", withdrawal=used.pk
        )
    customer = Customer.objects.select_related("identity").get(pk=customer_id)
    if not customer.identity.is_active:
        raise NotAllowed("Nothing was asked for: this account is suspended.")
    _check_limit(customer, 0, now=now)  # a tier that may only look hears so, whatever the price feed does
    held, agreed = _terms(amount)
    price, value_cents = _valued(amount, now=now)
    _check_limit(customer, value_cents, now=now)
    beneficiary = _beneficiary(customer, amount.asset, destination, label, now=now)
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
    row: Withdrawal, state: State, *, event: Event, actor: Actor, now: datetime, reason: str = ""
) -> None:
    """Close a claimed withdrawal without paying it: the hold is given back, its approval request closed.

    Where the signers' lane may still complete its transaction, hold and coins are kept until `let_go`: else
    the customer could spend what is paid out as well.
    """
    before = row.state
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


def _check_asking(actor: Actor, customer_id: UUID, client_id: str, asset: str) -> None:
    if actor.kind != "customer" or actor.identity != customer_id:
        raise NotAllowed(
            "Only the customer asks for a withdrawal.", target=f"customers.customer/{customer_id}"
        )
    if not 1 <= len(client_id) <= CLIENT_ID_MAX or not client_id.isascii() or not client_id.isprintable():
        raise AmountRefused(f"Nothing was asked for: a client id has 1 to {CLIENT_ID_MAX} plain characters.")
    freezes.check(*queries.withdrawal_stops(asset, customer_id))


def _terms(amount: Amount) -> tuple[Amount, withdrawals.Terms]:
    try:
        return withdrawals.to_hold(amount), withdrawals.terms(amount.asset)
    except withdrawals.TooSmall as error:
        raise AmountRefused(f"Nothing was asked for: {error}.") from error
    except withdrawals.NotWithdrawable as error:
        raise AmountRefused(f"Nothing was asked for: {amount.asset} is not withdrawn here.") from error


def _valued(amount: Amount, *, now: datetime) -> tuple[limits.Quote, int]:
    quote = queries.latest_quote(amount.asset)
    try:
        cents = limits.value(amount, quote, now=now)
    except limits.NoPrice as error:
        raise PriceUnknown(
            "Nothing was asked for: there is no fresh price right now. Try again in a minute."
        ) from error
    if quote is None or cents <= 0:
        raise PriceUnknown("Nothing was asked for: there is no price right now. Try again in a minute.")
    return quote, cents


def _check_limit(customer: Customer, asked: int, *, now: datetime) -> None:
    used = queries.used_cents(customer.pk, now=now)
    try:
        limits.check(tier=customer.tier, used=used, asked=asked)
    except limits.ViewOnly as error:
        raise TierTooLow(
            f"Nothing was asked for: tier {customer.tier} may look but not withdraw. "
            "Verify your identity first."
        ) from error
    except limits.LimitReached as error:
        raise LimitReached(
            f"Nothing was asked for: {_dollars(error.left)} of {_dollars(error.limit)} are left for these "
            "24 hours, and this is more. Wait, ask for less, or raise your tier."
        ) from error


def _dollars(cents: int) -> str:
    return f"${cents // 100:,}.{cents % 100:02d}"


def _beneficiary(
    customer: Customer, asset: str, destination: str, label: str, *, now: datetime
) -> Beneficiary:
    try:
        output = script.script_of(destination, settings.NETWORK)
        name = beneficiaries.label(label)
    except BadAddress as error:
        raise DestinationRefused(
            f"Nothing was asked for: this is no address on {settings.NETWORK}."
        ) from error
    except beneficiaries.BadLabel as error:
        raise DestinationRefused(f"Nothing was asked for: {error}.") from error
    if Address.objects.filter(script=output.hex()).exists():
        raise DestinationRefused("Nothing was asked for: this address is one of ours.")
    found, _ = Beneficiary.objects.get_or_create(
        customer=customer,
        asset=asset,
        address=script.address_of(output, settings.NETWORK),
        defaults={"label": name, "added_at": now},
    )
    return found
