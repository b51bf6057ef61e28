"""Starting a transfer between funding and trading. Settlement closes it, from the engine's event."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from core import audit, freezes, ledger, outbox
from core.action import action
from core.actor import Actor
from core.freezes.domain import scopes
from core.ledger import AccountKind, Leg
from core.refusals import Refused
from engine_bridge.actions.accounts import open_account
from engine_bridge.domain import assets
from engine_bridge.events import Event, TransferStarted
from engine_bridge.models import TradingBalance, Transfer
from kernel.money import Amount


class UntradedAsset(Refused):
    """The asset has no place at the venue."""

    code: ClassVar[str] = "transfer.asset"


class EmptyTransfer(Refused):
    """Nothing would be moved."""

    code: ClassVar[str] = "transfer.amount"


class OtherTransfer(Refused):
    """The client's id belongs to a transfer of something else."""

    code: ClassVar[str] = "transfer.client_id"


class BeyondAvailable(Refused):
    """The trading account has less than that free of orders."""

    code: ClassVar[str] = "transfer.insufficient"


@action(Event.TRANSFER_STARTED)
def start_transfer(
    *, customer_id: UUID, amount: Amount, into_venue: bool, client_id: str = "", actor: Actor, now: datetime
) -> Transfer:
    """Begin a transfer; the same client id again gives the first one.

    Inwards the money leaves funding here and is in transit; outwards nothing moves until the engine gave it
    up.
    """
    freezes.check(scopes.customer(customer_id), f"asset:{amount.asset}")
    if amount.asset not in assets.NUMBERS:
        raise UntradedAsset(f"Nothing was moved: {amount.asset} is not traded here.")
    if amount.units <= 0:
        raise EmptyTransfer("Nothing was moved: the amount must be above zero.")
    account = open_account(customer_id=customer_id, now=now)
    # Claim: two calls with one client id must not both begin.
    type(account).objects.select_for_update().get(pk=account.pk)
    if client_id:
        known = Transfer.objects.filter(account=account, client_id=client_id).first()
        if known is not None:
            return _same(known, amount, into_venue)
    if not into_venue:
        _within_available(account.pk, amount)
    row = Transfer.objects.create(
        account=account,
        asset=amount.asset,
        units=amount.units,
        into_venue=into_venue,
        client_id=client_id,
        created_at=now,
    )
    if into_venue:
        funding = ledger.account(AccountKind.CUSTOMER_FUNDING, amount.asset, customer_id)
        transit = ledger.account(AccountKind.IN_TRANSIT, amount.asset, customer_id)
        legs = [Leg(funding, -amount), Leg(transit, amount)]
        ledger.post("engine.transfer_started", str(row.pk), legs, now=now)
    audit.record(
        Event.TRANSFER_STARTED, row, actor=actor, now=now, after={"amount": amount, "into_venue": into_venue}
    )
    outbox.publish(TransferStarted(transfer=str(row.pk)), now=now)
    return row


def _same(known: Transfer, amount: Amount, into_venue: bool) -> Transfer:
    if (known.asset, known.units, known.into_venue) != (amount.asset, amount.units, into_venue):
        raise OtherTransfer("Nothing was moved: this clientId was used for another transfer.")
    return known


def _within_available(account_id: int, amount: Amount) -> None:
    """An early answer from the mirror; the engine's is the one that counts."""
    row = TradingBalance.objects.filter(account_id=account_id, asset=amount.asset).first()
    if row is None or row.units - row.held < amount.units:
        raise BeyondAvailable("Nothing was moved: the trading account has less than that available.")
