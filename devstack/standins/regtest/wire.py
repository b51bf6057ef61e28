"""Transactions and blocks as bytes: parsed, hashed, and put together."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import bdkpython as bdk

NETWORK = bdk.Network.REGTEST


class BadBytes(ValueError):
    """The bytes are no transaction, block or address."""


def double_sha256(data: bytes) -> bytes:
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


def compact_size(number: int) -> bytes:
    """Bitcoin's variable-length integer."""
    if number < 0xFD:
        return number.to_bytes(1, "little")
    if number <= 0xFFFF:
        return b"\xfd" + number.to_bytes(2, "little")
    return b"\xfe" + number.to_bytes(4, "little")


class Reader:
    """Reads forward through bytes; running off the end is `BadBytes`."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, count: int) -> bytes:
        part = self.data[self.at : self.at + count]
        if len(part) != count:
            raise BadBytes("ends too early")
        self.at += count
        return part

    def number(self, width: int) -> int:
        return int.from_bytes(self.take(width), "little")

    def size(self) -> int:
        first = self.number(1)
        return first if first < 0xFD else self.number({0xFD: 2, 0xFE: 4, 0xFF: 8}[first])

    def string(self) -> bytes:
        return self.take(self.size())


@dataclass(frozen=True)
class OutPoint:
    txid: str
    index: int


@dataclass(frozen=True)
class Input:
    previous: OutPoint
    script: bytes
    sequence: int
    witness: tuple[bytes, ...]


@dataclass(frozen=True)
class Output:
    value: int
    script: bytes


@dataclass(frozen=True)
class Transaction:
    """One parsed transaction, beside the very bytes that it came from."""

    raw: bytes
    version: int
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    locktime: int
    stripped: bytes

    @classmethod
    def parse(cls, raw: bytes) -> Transaction:
        reader = Reader(raw)
        parsed = cls.read(reader)
        if reader.at != len(raw):
            raise BadBytes("bytes after the transaction")
        return parsed

    @classmethod
    def read(cls, reader: Reader) -> Transaction:
        """The transaction that starts where the reader stands."""
        began = reader.at
        version = reader.number(4)
        has_witness = reader.data[reader.at : reader.at + 2] == b"\x00\x01"
        if has_witness:
            reader.take(2)
        body = reader.at
        bare = [
            (OutPoint(reader.take(32)[::-1].hex(), reader.number(4)), reader.string(), reader.number(4))
            for _ in range(reader.size())
        ]
        outputs = tuple(Output(reader.number(8), reader.string()) for _ in range(reader.size()))
        stripped_body = reader.data[body : reader.at]
        witnesses: list[tuple[bytes, ...]] = [()] * len(bare)
        if has_witness:
            witnesses = [tuple(reader.string() for _ in range(reader.size())) for _ in bare]
        if not bare:
            raise BadBytes("no inputs")
        locktime = reader.number(4)
        return cls(
            raw=reader.data[began : reader.at],
            version=version,
            inputs=tuple(
                Input(*each, witness=witness) for each, witness in zip(bare, witnesses, strict=True)
            ),
            outputs=outputs,
            locktime=locktime,
            stripped=version.to_bytes(4, "little") + stripped_body + locktime.to_bytes(4, "little"),
        )

    @cached_property
    def txid(self) -> str:
        return double_sha256(self.stripped)[::-1].hex()

    @cached_property
    def wtxid(self) -> str:
        return double_sha256(self.raw)[::-1].hex()

    @property
    def weight(self) -> int:
        return 3 * len(self.stripped) + len(self.raw)

    @property
    def vsize(self) -> int:
        return -(-self.weight // 4)

    @property
    def is_coinbase(self) -> bool:
        return self.inputs[0].previous == OutPoint("00" * 32, 0xFFFFFFFF)


@dataclass(frozen=True)
class Block:
    """One parsed block, beside its bytes."""

    raw: bytes
    version: int
    previous: str
    merkle_root: str
    time: int
    bits: int
    nonce: int
    transactions: tuple[Transaction, ...]

    @classmethod
    def parse(cls, raw: bytes) -> Block:
        reader = Reader(raw)
        version, previous, root = reader.number(4), reader.take(32)[::-1].hex(), reader.take(32)[::-1].hex()
        time, bits, nonce = reader.number(4), reader.number(4), reader.number(4)
        transactions = tuple(Transaction.read(reader) for _ in range(reader.size()))
        if reader.at != len(raw):
            raise BadBytes("bytes after the block")
        return cls(raw, version, previous, root, time, bits, nonce, transactions)

    @cached_property
    def hash(self) -> str:
        return double_sha256(self.raw[:80])[::-1].hex()

    @property
    def weight(self) -> int:
        return 3 * self.stripped_size + len(self.raw)

    @property
    def stripped_size(self) -> int:
        return (
            80 + len(compact_size(len(self.transactions))) + sum(len(tx.stripped) for tx in self.transactions)
        )


def merkle_root(leaves: list[bytes]) -> bytes:
    """Bitcoin's Merkle root, which repeats the last leaf of an odd row."""
    row = list(leaves)
    while len(row) > 1:
        row += row[-1:] if len(row) % 2 else []
        row = [double_sha256(row[i] + row[i + 1]) for i in range(0, len(row), 2)]
    return row[0]


def script_number(number: int) -> bytes:
    """A push of the minimal script number, as BIP34 wants the height in the coinbase."""
    if number <= 16:
        return bytes([0x50 + number]) if number else b"\x00"
    body = number.to_bytes(number.bit_length() // 8 + 1, "little")
    return bytes([len(body)]) + body


def coinbase(*, height: int, value: int, script: bytes, extra_nonce: bytes, commitment: bytes) -> bytes:
    """The coinbase transaction with its witness commitment."""
    signature = script_number(height) + bytes([len(extra_nonce)]) + extra_nonce
    outputs = [(value, script), (0, b"\x6a\x24\xaa\x21\xa9\xed" + commitment)]
    return b"".join(
        [
            (2).to_bytes(4, "little") + b"\x00\x01" + b"\x01" + bytes(32) + b"\xff\xff\xff\xff",
            compact_size(len(signature)) + signature + b"\xff\xff\xff\xff",
            compact_size(len(outputs)),
            *(v.to_bytes(8, "little") + compact_size(len(s)) + s for v, s in outputs),
            b"\x01\x20" + bytes(32) + bytes(4),
        ]
    )


def script_of(address: str) -> bytes:
    """The output script that pays a regtest address."""
    try:
        return bytes(bdk.Address(address, NETWORK).script_pubkey().to_bytes())
    except bdk.AddressParseError as error:
        raise BadBytes(f"Invalid address: {address}") from error


def address_of(script: bytes) -> str | None:
    """The regtest address of a script, when it has one."""
    try:
        return str(bdk.Address.from_script(bdk.Script(script), NETWORK))
    except bdk.FromScriptError:
        return None


def script_kind(script: bytes) -> str:
    """Core's name of the script's form; "nonstandard" for what a mempool refuses."""
    if len(script) == 34 and script[:2] == b"\x00\x20":
        return "witness_v0_scripthash"
    if len(script) == 22 and script[:2] == b"\x00\x14":
        return "witness_v0_keyhash"
    if len(script) == 34 and script[:2] == b"\x51\x20":
        return "witness_v1_taproot"
    if len(script) == 25 and script[:3] == b"\x76\xa9\x14" and script[23:] == b"\x88\xac":
        return "pubkeyhash"
    if len(script) == 23 and script[:2] == b"\xa9\x14" and script[22:] == b"\x87":
        return "scripthash"
    if script[:1] == b"\x6a":
        return "nulldata"
    return "nonstandard"
