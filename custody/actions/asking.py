"""Whether a customer may have the withdrawal that they ask for: by whom, how much, at what price, where to.

Nothing here writes but the beneficiary of a destination that is new; each refusal says what did not happen.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.conf import settings

from core import freezes
from core.actor import Actor
from core.refusals import NotAllowed, Refused
from custody import queries
from custody.domain import beneficiaries, limits, withdrawals
from custody.models import Address, Beneficiary
from customers.models import Customer
from kernel import script
from kernel.bech32 import BadAddress
from kernel.money import Amount

CLIENT_ID_MAX = 32


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


def check_asking(actor: Actor, customer_id: UUID, client_id: str, asset: str) -> None:
    """Nothing, if a customer asks for themselves, under a plain client id, and no freeze covers it."""
    if actor.kind != "customer" or actor.identity != customer_id:
        raise NotAllowed(
            "Only the customer asks for a withdrawal.", target=f"customers.customer/{customer_id}"
        )
    if not 1 <= len(client_id) <= CLIENT_ID_MAX or not client_id.isascii() or not client_id.isprintable():
        raise AmountRefused(f"Nothing was asked for: a client id has 1 to {CLIENT_ID_MAX} plain characters.")
    freezes.check(*queries.withdrawal_stops(asset, customer_id))


def terms(amount: Amount) -> tuple[Amount, withdrawals.Terms]:
    """What is held for so much, and the asset's terms; AmountRefused."""
    try:
        return withdrawals.to_hold(amount), withdrawals.terms(amount.asset)
    except withdrawals.TooSmall as error:
        raise AmountRefused(f"Nothing was asked for: {error}.") from error
    except withdrawals.NotWithdrawable as error:
        raise AmountRefused(f"Nothing was asked for: {amount.asset} is not withdrawn here.") from error


def valued(amount: Amount, *, now: datetime) -> tuple[limits.Quote, int]:
    """The fresh price, and what so much is worth in cents; PriceUnknown."""
    quote = queries.latest_quote(amount.asset, now=now)
    try:
        cents = limits.value(amount, quote, now=now)
    except limits.NoPrice as error:
        raise PriceUnknown(
            "Nothing was asked for: there is no fresh price right now. Try again in a minute."
        ) from error
    if quote is None or cents <= 0:
        raise PriceUnknown("Nothing was asked for: there is no price right now. Try again in a minute.")
    return quote, cents


def check_limit(customer: Customer, asked: int, *, now: datetime) -> None:
    """Nothing, if so many cents more fit into the tier's 24 hours; TierTooLow or LimitReached."""
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


def beneficiary(
    customer: Customer, asset: str, destination: str, label: str, *, now: datetime
) -> Beneficiary:
    """The customer's beneficiary at this address, entered where it is new; DestinationRefused."""
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
