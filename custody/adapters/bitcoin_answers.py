"""What a Bitcoin node answers, typed: amounts are exact satoshis, and what has another shape is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from kernel.money import Amount

SATS_PER_BITCOIN: Final = 100_000_000


class NodeAnswerUnreadable(Exception):
    """The node's answer has another shape or finer amounts than Bitcoin has: trust nothing of it."""


@dataclass(frozen=True, slots=True)
class ChainInfo:
    network: str
    height: int
    tip: str
    is_synced: bool


@dataclass(frozen=True, slots=True)
class OutPoint:
    txid: str
    index: int


@dataclass(frozen=True, slots=True)
class TxOut:
    index: int
    amount: Amount
    script: bytes
    address: str | None


@dataclass(frozen=True, slots=True)
class Transaction:
    """One transaction as the node shows it. `confirmations` is 0 in the mempool and negative off the main
    chain.
    """

    txid: str
    raw: bytes
    spends: tuple[OutPoint, ...]  # empty for a coinbase
    outputs: tuple[TxOut, ...]
    confirmations: int
    block: str | None
    is_coinbase: bool


@dataclass(frozen=True, slots=True)
class Block:
    """One block; `confirmations` is -1 when it is no longer on the main chain."""

    hash: str
    height: int
    previous: str | None
    time: int
    confirmations: int
    transactions: tuple[Transaction, ...]


@dataclass(frozen=True, slots=True)
class Unspent:
    outpoint: OutPoint
    amount: Amount
    script: bytes
    height: int
    is_coinbase: bool


@dataclass(frozen=True, slots=True)
class Scan:
    """Confirmed unspent outputs, as of this block."""

    height: int
    tip: str
    coins: tuple[Unspent, ...]


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Whether the node would take the transaction now, without taking it."""

    txid: str
    is_allowed: bool
    reason: str = ""
    fee: Amount | None = None
    vsize: int | None = None


def sats(value: object) -> int:
    """Satoshis of a JSON amount that was parsed without floats; refuses anything finer than one satoshi."""
    if isinstance(value, bool) or not isinstance(value, Decimal | int):
        raise NodeAnswerUnreadable(f"not an amount: {value!r}")
    units = Decimal(value) * SATS_PER_BITCOIN
    if units != units.to_integral_value():
        raise NodeAnswerUnreadable(f"finer than a satoshi: {value}")
    return int(units)


def bitcoin(value: object) -> Amount:
    """The same as an amount."""
    return Amount(units=sats(value), asset="BTC")


def text(answer: Mapping[str, Any], key: str) -> str:
    """The string under this name; NodeAnswerUnreadable."""
    value = answer.get(key)
    if not isinstance(value, str):
        raise NodeAnswerUnreadable(f"{key} is no string")
    return value


def integer(answer: Mapping[str, Any], key: str) -> int:
    """The whole number under this name; NodeAnswerUnreadable."""
    value = answer.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise NodeAnswerUnreadable(f"{key} is no integer")
    return value


def output(answer: Mapping[str, Any]) -> TxOut:
    """One output, in the form in which blocks and `gettxout` show it."""
    script = answer["scriptPubKey"]
    return TxOut(
        index=integer(answer, "n"),
        amount=bitcoin(answer["value"]),
        script=bytes.fromhex(text(script, "hex")),
        address=script.get("address"),
    )


def transaction(answer: Mapping[str, Any], *, confirmations: int, block: str | None) -> Transaction:
    """One transaction, in the form in which blocks and `getrawtransaction` show it."""
    inputs: Sequence[Mapping[str, Any]] = answer["vin"]
    return Transaction(
        txid=text(answer, "txid"),
        raw=bytes.fromhex(text(answer, "hex")),
        spends=tuple(
            OutPoint(text(each, "txid"), integer(each, "vout")) for each in inputs if "txid" in each
        ),
        outputs=tuple(output(each) for each in answer["vout"]),
        confirmations=confirmations,
        block=block,
        is_coinbase=any("coinbase" in each for each in inputs),
    )
