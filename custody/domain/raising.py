"""A further version of a payment that no block takes: the same coins, the same payment, less change.

What the change loses, the miner gets. So a version is told by its change alone, at most one of all versions
is ever confirmed, and what is burned by raising, however often, is what the one that confirms pays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from custody.domain import coins
from custody.domain.coins import DUST_SATS, Script
from kernel import script
from kernel.psbt import Psbt
from kernel.transaction import Output, multisig_vsize

INCREMENT: Final = 1
"""Sats a vbyte that nodes ask of a replacement beside what it replaces (BIP 125, rule 4). Bitcoin Core asks
for this or, in newer releases, a tenth of it.
"""


class NotRaisable(ValueError):
    """Base of the reasons why no further version can be built."""


class NoChange(NotRaisable):
    """Nothing, or too little, comes back to us: there is nothing to take a higher fee from."""


class TooDear(NotRaisable):
    """The fee would be higher than was approved, or than signers take."""


class NotHigher(NotRaisable):
    """Nodes would not take it in the place of what they have."""


@dataclass(frozen=True, slots=True)
class Caps:
    """What one version may cost: sats in all, and (where that is known) sats for each vbyte."""

    fee: int
    feerate: int | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """One version: how much comes back to us (0: there is no such output), its fee and its size signed."""

    change: int
    fee: int
    vsize: int


def raised(psbt: Psbt, *, feerate: int, over: Sequence[Version], evicted: int, caps: Caps) -> Version:
    """The version that pays `feerate` sats a vbyte, and can take the place of each of those that it is laid
    `over`; NoChange, TooDear or NotHigher.

    `psbt` is the first version: one payment, and change behind it. `evicted` are the fees of everything that
    leaves nodes' memories with the version that they have: somebody else's children of it, and itself.
    Change that would be dust goes to the miner as well.
    """
    pays, change, wallet = parts(psbt)
    spare, count = psbt.coins_sats - pays.sats, len(psbt.spends)
    if min(one.change for one in over) == 0:
        raise NoChange("nothing comes back to us any more that a higher fee could be taken from")
    size = coins.vsize(count, (pays, change), wallet)
    fee = feerate * size
    _check_higher(fee, size, over, evicted)
    if spare - fee < DUST_SATS:
        size = coins.vsize(count, (pays,), wallet)
        if spare < feerate * size:
            raise NoChange(f"what comes back to us reaches for {spare // size} sats a vbyte at the most")
        fee = spare
        _check_higher(fee, size, over, evicted)
    if fee > caps.fee:
        reach = min(caps.fee, spare) // size
        raise TooDear(f"{fee} sats of fee where {caps.fee} are allowed: {reach} sats a vbyte at the most")
    outputs = (pays,) if fee == spare else (pays, change)
    shortest = multisig_vsize(count, outputs, threshold=wallet.threshold, keys=wallet.keys)
    if caps.feerate is not None and fee > caps.feerate * shortest:
        raise TooDear(f"signers take {caps.feerate} sats a vbyte at the most")
    return Version(spare - fee, fee, size)


def least(psbt: Psbt, over: Sequence[Version]) -> int:
    """The lowest fee rate, in whole sats a vbyte, at which nodes take a further version; NotRaisable where
    there is no change.
    """
    pays, change, wallet = parts(psbt)
    size = coins.vsize(len(psbt.spends), (pays, change), wallet)
    return -(-_needed(size, over, evicted=0) // size)


def highest(psbt: Psbt, caps: Caps) -> int:
    """The highest fee rate, in whole sats a vbyte, that the caps and the change allow; NoChange."""
    pays, change, wallet = parts(psbt)
    count, spare = len(psbt.spends), psbt.coins_sats - pays.sats
    size = coins.vsize(count, (pays, change), wallet)
    fee = min(caps.fee, spare if spare <= caps.fee else spare - DUST_SATS)
    if caps.feerate is not None:
        shortest = multisig_vsize(count, (pays, change), threshold=wallet.threshold, keys=wallet.keys)
        fee = min(fee, caps.feerate * shortest)
    return max(fee, 0) // size


def build(first: Psbt, change: int) -> Psbt:
    """The version of the transaction with so much change, unsigned; of the same coins."""
    pays, back, _ = parts(first)
    outputs = (pays, replace(back, sats=change)) if change else (pays,)
    bare = tuple(replace(spend, signatures={}) for spend in first.spends)
    return Psbt(replace(first.transaction, outputs=outputs), bare)


def parts(psbt: Psbt) -> tuple[Output, Output, Script]:
    """What it pays, what comes back, and to which script; NoChange where it has another form."""
    found = psbt.transaction.outputs
    if len(found) != 2:
        raise NoChange("nothing comes back to us that a higher fee could be taken from")
    pays, change = found
    threshold, keys = script.read_multisig(psbt.spends[0].witness_script)
    return pays, change, Script(threshold, len(keys), change.script)


def _check_higher(fee: int, size: int, over: Sequence[Version], evicted: int) -> None:
    needed = _needed(size, over, evicted)
    if fee < needed:
        raise NotHigher(f"{fee} sats of fee replace nothing: it takes {-(-needed // size)} sats a vbyte")


def _needed(size: int, over: Sequence[Version], evicted: int) -> int:
    """The lowest fee at this size: more a vbyte than each, and more in all by what the relay of it costs."""
    by_rate = max(one.fee * size // one.vsize + 1 for one in over)
    return max(by_rate, max(evicted, *(one.fee for one in over)) + INCREMENT * size)
