"""What one event moves between the engine's accounts, as signed units per account and asset."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from engine_bridge.domain import assets
from engine_bridge.domain.events import Event, Traded, TransferClosed, Units
from engine_bridge.domain.orders import Side
from engine_bridge.domain.records import FEE_ACCOUNT
from kernel.money import Amount

Movements: TypeAlias = dict[tuple[int, str], int]
Flows: TypeAlias = dict[tuple[int, str, str], int]
"""What moved, by account, asset and kind of entry in the ledger."""

TRADE: Final = "engine.trade"
SETTLED: Final = "engine.transfer_settled"
RETURNED: Final = "engine.transfer_returned"


class Break(ValueError):
    """The events cannot be true of the books we hold: something is missing or differs. Nothing is written."""


def amount(units: Units) -> Amount:
    """The engine's sum as money; Break where its asset is not listed here."""
    try:
        return Amount(units.units, assets.code(units.asset_id))
    except assets.UntradedAsset:
        raise Break(f"the engine moved asset {units.asset_id}, which is not listed here") from None


def of_trade(trade: Traded) -> Movements:
    """Base one way, quote the other, and each side's fee out of what it receives to the venue's account."""
    return of_sums(trade, amount(trade.base), amount(trade.quote))


def of_sums(trade: Traded, base: Amount, quote: Amount) -> Movements:
    """The same, where the two sums are known as money already."""
    found: defaultdict[tuple[int, str], int] = defaultdict(int)
    for side, part in ((trade.taker_side.opposite, trade.maker), (trade.taker_side, trade.taker)):
        received, paid = (base, quote) if side is Side.BUY else (quote, base)
        found[part.account_id, received.asset] += received.units - part.fee.units
        found[part.account_id, paid.asset] -= paid.units
        found[FEE_ACCOUNT, received.asset] += part.fee.units
    return dict(found)


def of_transfer(body: TransferClosed) -> Movements:
    """Into the account or out of it; nothing where it was refused."""
    if body.refusal:
        return {}
    moved = amount(body.amount)
    return {(body.account_id, moved.asset): moved.units if body.into_venue else -moved.units}


def of_events(events: Iterable[Event]) -> Movements:
    """The sum of what these events move."""
    found: defaultdict[tuple[int, str], int] = defaultdict(int)
    for event in events:
        moved: Movements = {}
        if isinstance(event.body, Traded):
            moved = of_trade(event.body)
        elif isinstance(event.body, TransferClosed):
            moved = of_transfer(event.body)
        for key, units in moved.items():
            found[key] += units
    return dict(found)


def flows_of(events: Iterable[Event]) -> Flows:
    """What the entries of these events move at the venue, and what was on its way there and goes back."""
    found: defaultdict[tuple[int, str, str], int] = defaultdict(int)
    for event in events:
        body = event.body
        if isinstance(body, Traded):
            for (account, asset), units in of_trade(body).items():
                found[account, asset, TRADE] += units
        elif isinstance(body, TransferClosed) and body.refusal and body.into_venue:
            back = amount(body.amount)
            found[body.account_id, back.asset, RETURNED] -= back.units
        elif isinstance(body, TransferClosed):
            for (account, asset), units in of_transfer(body).items():
                found[account, asset, SETTLED] += units
    return dict(found)


@dataclass(frozen=True, slots=True)
class Difference:
    """One account's balance in the engine and in the ledger, where they are not the same."""

    account: int
    asset: str
    engine_units: int
    ledger_units: int


def differences(
    *, engine: Mapping[tuple[int, str], int], ledger: Mapping[tuple[int, str], int]
) -> tuple[Difference, ...]:
    """Every account and asset on which the two disagree; what one of them lacks counts as zero."""
    return tuple(
        Difference(account, asset, engine.get((account, asset), 0), ledger.get((account, asset), 0))
        for account, asset in sorted(engine.keys() | ledger.keys())
        if engine.get((account, asset), 0) != ledger.get((account, asset), 0)
    )
