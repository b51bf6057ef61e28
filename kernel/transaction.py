"""Bitcoin transactions, byte for byte: ids, sizes, and the digest that SIGHASH_ALL signs (BIP 143)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

SATS_MAX: Final = 21_000_000 * 100_000_000
SIGHASH_ALL: Final = 1
TRANSACTION_BYTES_MAX: Final = 400_000

_VSIZE_SCALE: Final = 4
_SHORT: Final = tuple(bytes([number]) for number in range(0xFD))


class BadTransaction(ValueError):
    """The bytes are not exactly one transaction."""


class Reader:
    """A cursor over bytes that refuses to run past their end."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        end = self.position + count
        if end > len(self.data):
            raise BadTransaction("the bytes end too early")
        self.position, start = end, self.position
        return self.data[start:end]

    def integer(self, count: int) -> int:
        """A little-endian number of `count` bytes."""
        start = self.position
        self.position = end = start + count
        if end > len(self.data):
            raise BadTransaction("the bytes end too early")
        return int.from_bytes(self.data[start:end], "little")

    def compact(self) -> int:
        """A compact size in its shortest form."""
        first = self.integer(1)
        if first < 0xFD:
            return first
        width = {0xFD: 2, 0xFE: 4, 0xFF: 8}[first]
        number = self.integer(width)
        if compact(number)[0] != first:
            raise BadTransaction("a compact size is not in its shortest form")
        return number

    def text(self) -> bytes:
        """Bytes behind their compact size."""
        start = self.position + 1
        if start > len(self.data):
            raise BadTransaction("the bytes end too early")
        size = self.data[start - 1]
        if size >= 0xFD:
            return self.take(self.compact())
        # Nearly all are short, and a wide transaction has hundreds of them.
        self.position = end = start + size
        if end > len(self.data):
            raise BadTransaction("the bytes end too early")
        return self.data[start:end]

    @property
    def exhausted(self) -> bool:
        """Whether every byte was read."""
        return self.position == len(self.data)


def compact(number: int) -> bytes:
    """A compact size in its shortest form."""
    if number < 0xFD:
        return _SHORT[number]
    for marker, width in ((0xFD, 2), (0xFE, 4), (0xFF, 8)):
        if number < 1 << 8 * width:
            return bytes([marker]) + number.to_bytes(width, "little")
    raise BadTransaction("too large for a compact size")


def sized(data: bytes) -> bytes:
    """Bytes behind their compact size."""
    return compact(len(data)) + data


@dataclass(frozen=True, slots=True, order=True)
class Outpoint:
    """A coin's name: the transaction id as explorers print it, and the output's number."""

    txid: str
    index: int

    def encoded(self) -> bytes:
        """The 36 bytes inside a transaction."""
        return bytes.fromhex(self.txid)[::-1] + self.index.to_bytes(4, "little")

    def __str__(self) -> str:
        return f"{self.txid}:{self.index}"


@dataclass(frozen=True, slots=True)
class Input:
    """A coin being spent, with its proof once there is one."""

    outpoint: Outpoint
    sequence: int = 0xFFFFFFFD  # replaceable by fee (BIP 125)
    script_sig: bytes = b""
    witness: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Output:
    """Sats paid to a script."""

    sats: int
    script: bytes

    def encoded(self) -> bytes:
        """The bytes inside a transaction."""
        return self.sats.to_bytes(8, "little") + sized(self.script)


@dataclass(frozen=True, slots=True)
class Transaction:
    """One transaction; equal values have equal bytes."""

    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    version: int = 2
    locktime: int = 0
    _txid: str = field(default="", init=False, repr=False, compare=False)

    @classmethod
    def parse(cls, data: bytes) -> Transaction:
        """Read exactly one transaction, with or without witnesses; BadTransaction names the first fault."""
        if len(data) > TRANSACTION_BYTES_MAX:
            raise BadTransaction(f"longer than {TRANSACTION_BYTES_MAX} bytes")
        reader = Reader(data)
        version = reader.integer(4)
        segwit = data[4:6] == b"\x00\x01"
        if segwit:
            reader.take(2)
        start = reader.position
        inputs = [_input(reader) for _ in range(_count(reader, 41))]
        outputs = [_output(reader) for _ in range(_count(reader, 9))]
        plain = data[:4] + data[start : reader.position] + data[-4:]
        if segwit:
            stacks = [tuple(reader.text() for _ in range(_count(reader, 1))) for _ in inputs]
            if not any(stacks):
                raise BadTransaction("the witness flag is set and every witness is empty")
            inputs = [replace(spent, witness=stack) for spent, stack in zip(inputs, stacks, strict=True)]
        locktime = reader.integer(4)
        if not reader.exhausted:
            raise BadTransaction("bytes after the end")
        found = cls(tuple(inputs), tuple(outputs), version, locktime)
        object.__setattr__(found, "_txid", _txid(plain))
        return found

    def encoded(self, *, witnesses: bool = True) -> bytes:
        """The bytes for the network; without witnesses, those that the transaction id commits to."""
        segwit = witnesses and any(spent.witness for spent in self.inputs)
        parts = [
            self.version.to_bytes(4, "little"),
            b"\x00\x01" if segwit else b"",
            compact(len(self.inputs)),
        ]
        for spent in self.inputs:
            sequence = spent.sequence.to_bytes(4, "little")
            parts.append(spent.outpoint.encoded() + sized(spent.script_sig) + sequence)
        parts.append(compact(len(self.outputs)))
        parts.extend(output.encoded() for output in self.outputs)
        if segwit:
            parts.extend(
                compact(len(spent.witness)) + b"".join(sized(item) for item in spent.witness)
                for spent in self.inputs
            )
        parts.append(self.locktime.to_bytes(4, "little"))
        return b"".join(parts)

    @property
    def txid(self) -> str:
        """The id as explorers print it; the witnesses do not change it."""
        return self._txid or _txid(self.encoded(witnesses=False))

    @property
    def weight(self) -> int:
        """Weight units (BIP 141)."""
        return len(self.encoded(witnesses=False)) * (_VSIZE_SCALE - 1) + len(self.encoded())

    @property
    def vsize(self) -> int:
        """Virtual bytes, rounded up: what fee rates count."""
        return -(-self.weight // _VSIZE_SCALE)


class SpendDigests:
    """The BIP 143 digests of one transaction. What all inputs share is hashed once, so cost stays linear."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        inputs = transaction.inputs
        self._head = (
            transaction.version.to_bytes(4, "little")
            + double_sha256(b"".join(spent.outpoint.encoded() for spent in inputs))
            + double_sha256(b"".join(spent.sequence.to_bytes(4, "little") for spent in inputs))
        )
        outputs = double_sha256(b"".join(output.encoded() for output in transaction.outputs))
        self._tail = outputs + transaction.locktime.to_bytes(4, "little") + SIGHASH_ALL.to_bytes(4, "little")

    def digest(self, index: int, *, script_code: bytes, sats: int) -> bytes:
        """What SIGHASH_ALL signs for one input: the coin, its amount, and every input and output."""
        spent = self._transaction.inputs[index]
        body = spent.outpoint.encoded() + sized(script_code) + sats.to_bytes(8, "little")
        return double_sha256(self._head + body + spent.sequence.to_bytes(4, "little") + self._tail)


def _txid(plain: bytes) -> str:
    return double_sha256(plain)[::-1].hex()


def double_sha256(data: bytes) -> bytes:
    """SHA-256 of SHA-256."""
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


def multisig_vsize(inputs: int, outputs: Sequence[Output], *, threshold: int, keys: int) -> int:
    """The size that a spend of P2WSH multisig coins will have, signed with 71 bytes per signature.

    Real ones are this size or a vbyte or two larger, so a fee-rate cap judged by it is never too generous.
    """
    base = 4 + len(compact(inputs)) + inputs * 41 + len(compact(len(outputs))) + 4
    base += sum(len(output.encoded()) for output in outputs)
    script = 3 + 34 * keys
    stack = 1 + 1 + threshold * 72 + len(compact(script)) + script
    return -(-(base * _VSIZE_SCALE + 2 + inputs * stack) // _VSIZE_SCALE)


def _count(reader: Reader, least: int) -> int:
    """How many items follow; more than could fit into the remaining bytes is refused before any is read."""
    count = reader.compact()
    if count * least > len(reader.data) - reader.position:
        raise BadTransaction("more items than bytes")
    return count


def _input(reader: Reader) -> Input:
    txid = reader.take(32)[::-1].hex()
    outpoint = Outpoint(txid, reader.integer(4))
    script_sig = reader.text()
    return Input(outpoint, reader.integer(4), script_sig)


def _output(reader: Reader) -> Output:
    sats = reader.integer(8)
    if sats > SATS_MAX:
        raise BadTransaction("more sats than can exist")
    return Output(sats, reader.text())
