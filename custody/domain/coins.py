"""Choosing coins for a payment, and the transaction that comes of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from kernel.psbt import Psbt
from kernel.transaction import Outpoint, Output, Transaction, multisig_vsize

DUST_SATS: Final = 330
"""Below this a P2WSH output is not relayed; such change goes to the fee instead."""
INPUTS_MAX: Final = 40
"""Keeps a cold bundle small enough to carry, and a transaction far below the relay limit."""
FEERATE_MIN: Final = 1
_CHANGELESS_POOL: Final = 12
_SIGNATURE_BYTES_MORE: Final = 1
"""A signature is 71 or 72 bytes; sizes are reckoned with the longer one."""


class NotEnoughCoins(ValueError):
    """The wallet's free coins do not cover the payment and its fee."""


class FeeAboveCap(ValueError):
    """At this fee rate the transaction costs more than was approved; it waits for a cheaper hour."""


class NotOurPayment(ValueError):
    """The transaction does something else than what was approved."""


@dataclass(frozen=True, slots=True)
class Coin:
    """A confirmed coin of ours that no other payment claims."""

    outpoint: Outpoint
    sats: int


@dataclass(frozen=True, slots=True)
class Script:
    """The shape of the wallet's multisig: `threshold` of `keys`, and where change goes."""

    threshold: int
    keys: int
    change: bytes


@dataclass(frozen=True, slots=True)
class Selection:
    """What to spend, and how: `change` is 0 where there is none."""

    coins: tuple[Coin, ...]
    outputs: tuple[Output, ...]
    fee: int
    change: int
    vsize: int


def select(
    coins: Sequence[Coin],
    *,
    pays: Output,
    feerate: int,
    fee_cap: int,
    wallet: Script,
    first: Collection[Outpoint] = (),
) -> Selection:
    """Coins that cover the payment and its fee at `feerate` sats per vbyte, with change to the wallet's own
    script.

    Without change where one to three coins come out even within a dust's breadth; else the largest coins
    first,
    so that few are needed. NotEnoughCoins, or FeeAboveCap. Those that are named `first` are taken before all
    others, and all of them.
    """
    if pays.sats < DUST_SATS:
        raise NotOurPayment(f"{pays.sats} sats are dust")
    rate = max(feerate, FEERATE_MIN)
    usable = sorted(
        (coin for coin in coins if coin.sats > DUST_SATS or coin.outpoint in first),
        key=lambda coin: (coin.outpoint not in first, -coin.sats, coin.outpoint),
    )
    even = None if first else _changeless(usable, pays, rate, wallet)
    found = even or _largest_first(usable, pays, rate, wallet, least=len(first))
    if found.fee > fee_cap:
        raise FeeAboveCap(f"{found.fee} sats of fee where {fee_cap} are allowed")
    return found


def vsize(inputs: int, outputs: Sequence[Output], wallet: Script) -> int:
    """The size of the signed transaction, with every signature at its longest."""
    shortest = multisig_vsize(inputs, outputs, threshold=wallet.threshold, keys=wallet.keys)
    return shortest + -(-inputs * wallet.threshold * _SIGNATURE_BYTES_MORE // 4)


def _changeless(coins: Sequence[Coin], pays: Output, rate: int, wallet: Script) -> Selection | None:
    for count in (1, 2, 3):
        size = vsize(count, (pays,), wallet)
        least = pays.sats + size * rate
        for chosen in combinations(coins[:_CHANGELESS_POOL], count):
            spare = sum(coin.sats for coin in chosen) - least
            if 0 <= spare < DUST_SATS:
                return Selection(chosen, (pays,), size * rate + spare, 0, size)
    return None


def _largest_first(
    coins: Sequence[Coin], pays: Output, rate: int, wallet: Script, *, least: int
) -> Selection:
    total = 0
    for count, coin in enumerate(coins[:INPUTS_MAX], start=1):
        total += coin.sats
        bare = vsize(count, (pays,), wallet)
        if count < least or total < pays.sats + bare * rate:
            continue
        size = vsize(count, (pays, Output(0, wallet.change)), wallet)
        change = total - pays.sats - size * rate
        chosen = tuple(coins[:count])
        if change >= DUST_SATS:
            return Selection(chosen, (pays, Output(change, wallet.change)), size * rate, change, size)
        return Selection(chosen, (pays,), total - pays.sats, 0, bare)
    raise NotEnoughCoins(f"{total} sats are free")


@dataclass(frozen=True, slots=True)
class Built:
    """What a PSBT that was checked does."""

    txid: str
    outpoints: tuple[Outpoint, ...]
    fee: int
    change: int


def build(selection: Selection, sources: Sequence[tuple[Transaction, bytes]], *, mark: int) -> Psbt:
    """The PSBT of a selection, with the mark of the intent that it pays; `sources` are each coin's previous
    transaction and witness script, in order.
    """
    return Psbt.build(
        [
            (coin.outpoint, previous, script)
            for coin, (previous, script) in zip(selection.coins, sources, strict=True)
        ],
        selection.outputs,
        locktime=mark,
    )


def check(psbt: Psbt, *, pays: Output, change: bytes, fee_cap: int) -> Built:
    """What the PSBT does, if it pays exactly what was approved and the rest to us; NotOurPayment
    otherwise.
    """
    outputs = list(psbt.transaction.outputs)
    if pays not in outputs:
        raise NotOurPayment("the approved output is not there")
    outputs.remove(pays)
    if len(outputs) > 1 or any(output.script != change for output in outputs):
        raise NotOurPayment("an output that nobody approved")
    if psbt.fee > fee_cap:
        raise NotOurPayment(f"{psbt.fee} sats of fee where {fee_cap} are allowed")
    return Built(
        txid=psbt.transaction.txid,
        outpoints=tuple(spent.outpoint for spent in psbt.transaction.inputs),
        fee=psbt.fee,
        change=sum(output.sats for output in outputs),
    )
