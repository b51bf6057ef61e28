"""PSBT version 0 (BIP 174), the strict part that a multisig spend needs.

A value of `Psbt` has passed every check that needs nothing but itself: each coin is proved by its full
previous transaction, each witness script is a sorted multisig that the coin pays to, each signature that is
present is right, nothing is repeated. Fields that we do not use are refused, so that nothing travels along
unread. What the transaction is *for* is judged elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Final

from kernel import encodings, script, secp256k1
from kernel.transaction import (
    SIGHASH_ALL,
    BadTransaction,
    Input,
    Outpoint,
    Output,
    Reader,
    SpendDigests,
    Transaction,
    sized,
)

MAGIC: Final = b"psbt\xff"

_UNSIGNED_TRANSACTION: Final = 0x00
_PREVIOUS_TRANSACTION: Final = 0x00
_WITNESS_COIN: Final = 0x01
_PARTIAL_SIGNATURE: Final = 0x02
_SIGHASH: Final = 0x03
_WITNESS_SCRIPT: Final = 0x05


class BadPsbt(ValueError):
    """Base of the reasons why a PSBT is refused; `code` is stable."""

    code: ClassVar[str] = "PSBT_MALFORMED"


class UnknownField(BadPsbt):
    """A field that a multisig spend does not need."""

    code = "PSBT_UNKNOWN_FIELD"


class RepeatedField(BadPsbt):
    """The same key twice in one map."""

    code = "PSBT_REPEATED_FIELD"


class AlreadySigned(BadPsbt):
    """The unsigned transaction carries signature scripts or witnesses."""

    code = "PSBT_NOT_UNSIGNED"


class RepeatedInput(BadPsbt):
    """The same coin twice."""

    code = "PSBT_REPEATED_INPUT"


class NoPreviousTransaction(BadPsbt):
    """A coin without its full previous transaction: its amount would be the sender's word only."""

    code = "PSBT_NO_PREVIOUS_TRANSACTION"


class WrongPreviousTransaction(BadPsbt):
    """The previous transaction has another id than the coin names, or too few outputs."""

    code = "PSBT_WRONG_PREVIOUS_TRANSACTION"


class WrongCoin(BadPsbt):
    """The witness coin (amount or script) is not the one in the previous transaction."""

    code = "PSBT_WRONG_COIN"


class WrongSighash(BadPsbt):
    """Another signature type than ALL, which would leave outputs open to change."""

    code = "PSBT_WRONG_SIGHASH"


class WrongWitnessScript(BadPsbt):
    """No sorted multisig, or not the one that the coin pays to."""

    code = "PSBT_WRONG_WITNESS_SCRIPT"


class ForeignSignature(BadPsbt):
    """A signature by a key outside the script, of another type, or over something else."""

    code = "PSBT_FOREIGN_SIGNATURE"


class NegativeFee(BadPsbt):
    """The outputs pay more than the coins hold."""

    code = "PSBT_NEGATIVE_FEE"


class DifferentTransaction(BadPsbt):
    """Signatures of another transaction cannot be combined into this one."""

    code = "PSBT_DIFFERENT_TRANSACTION"


class NotEnoughSignatures(BadPsbt):
    """Fewer signatures than the threshold: there is nothing to send yet."""

    code = "PSBT_NOT_ENOUGH_SIGNATURES"


@dataclass(frozen=True, slots=True)
class Spend:
    """What the PSBT knows about one input."""

    previous: Transaction
    witness_script: bytes
    signatures: Mapping[bytes, bytes] = field(default_factory=dict)  # compressed key -> DER and sighash byte


@dataclass(frozen=True, slots=True)
class Psbt:
    """An unsigned transaction, the coins it spends, and the signatures so far."""

    transaction: Transaction
    spends: tuple[Spend, ...]

    def __post_init__(self) -> None:
        inputs = self.transaction.inputs
        if not inputs or not self.transaction.outputs or len(inputs) != len(self.spends):
            raise BadPsbt("inputs, outputs and maps do not agree")
        if any(spent.script_sig or spent.witness for spent in inputs):
            raise AlreadySigned("the transaction inside a PSBT is unsigned")
        if len({spent.outpoint for spent in inputs}) != len(inputs):
            raise RepeatedInput("the same coin twice")
        for index, spend in enumerate(self.spends):
            _check_spend(index, inputs[index].outpoint, spend)
        if self.fee < 0:
            raise NegativeFee(f"the outputs pay {-self.fee} sats more than the coins hold")
        if any(spend.signatures for spend in self.spends):
            self._check_signatures(SpendDigests(self.transaction))

    @classmethod
    def build(
        cls,
        coins: Sequence[tuple[Outpoint, Transaction, bytes]],
        outputs: Sequence[Output],
        *,
        locktime: int = 0,
    ) -> Psbt:
        """A fresh PSBT over coins (outpoint, previous transaction, witness script), replaceable by fee."""
        transaction = Transaction(tuple(Input(coin[0]) for coin in coins), tuple(outputs), locktime=locktime)
        return cls(transaction, tuple(Spend(coin[1], coin[2]) for coin in coins))

    @classmethod
    def parse(cls, data: bytes) -> Psbt:
        """Read exactly one PSBT; a BadPsbt names the first fault."""
        try:
            return _parse(data)
        except BadTransaction as error:
            raise BadPsbt(str(error)) from None

    @classmethod
    def parse_base64(cls, text: str) -> Psbt:
        """The same from base64."""
        try:
            data = encodings.from_base64_standard(text)
        except encodings.BadEncoding as error:
            raise BadPsbt(str(error)) from None
        return cls.parse(data)

    def encoded(self) -> bytes:
        """The bytes that other wallet programs read."""
        parts = [
            MAGIC,
            _field(bytes([_UNSIGNED_TRANSACTION]), self.transaction.encoded(witnesses=False)),
            b"\x00",
        ]
        for index, spend in enumerate(self.spends):
            parts.append(_field(bytes([_PREVIOUS_TRANSACTION]), spend.previous.encoded()))
            parts.append(_field(bytes([_WITNESS_COIN]), self.coin(index).encoded()))
            for key, signature in sorted(spend.signatures.items()):
                parts.append(_field(bytes([_PARTIAL_SIGNATURE]) + key, signature))
            parts.append(_field(bytes([_SIGHASH]), SIGHASH_ALL.to_bytes(4, "little")))
            parts.append(_field(bytes([_WITNESS_SCRIPT]), spend.witness_script) + b"\x00")
        return b"".join([*parts, b"\x00" * len(self.transaction.outputs)])

    def base64(self) -> str:
        """The same as text."""
        return encodings.base64_standard(self.encoded())

    def coin(self, index: int) -> Output:
        """The coin that an input spends, as its previous transaction proves it."""
        return self.spends[index].previous.outputs[self.transaction.inputs[index].outpoint.index]

    @property
    def coins_sats(self) -> int:
        """What the inputs hold together."""
        return sum(self.coin(index).sats for index in range(len(self.spends)))

    @property
    def fee(self) -> int:
        """Sats left to the miner."""
        return self.coins_sats - sum(output.sats for output in self.transaction.outputs)

    def digests(self) -> list[bytes]:
        """What the keys sign, one digest per input."""
        shared = SpendDigests(self.transaction)
        return [self._digest(index, shared) for index in range(len(self.spends))]

    def with_signatures(self, new: Iterable[tuple[int, bytes, bytes]]) -> Psbt:
        """The PSBT with (input, key, DER and sighash byte) added; ForeignSignature for a wrong one."""
        added: list[dict[bytes, bytes]] = [dict(spend.signatures) for spend in self.spends]
        for index, key, signature in new:
            if not 0 <= index < len(added):
                raise ForeignSignature(f"there is no input {index}")
            added[index].setdefault(key, signature)
        spends = tuple(
            replace(spend, signatures=signatures)
            for spend, signatures in zip(self.spends, added, strict=True)
        )
        return replace(self, spends=spends)

    def combined(self, other: Psbt) -> Psbt:
        """The PSBT with the other's signatures too; both must hold the very same transaction and coins."""
        if replace(self, spends=_bare(self)) != replace(other, spends=_bare(other)):
            raise DifferentTransaction("the two PSBTs hold different transactions")
        return self.with_signatures(
            (index, key, signature)
            for index, spend in enumerate(other.spends)
            for key, signature in spend.signatures.items()
        )

    def missing(self) -> int:
        """How many more signers are needed, by the input that needs most."""
        return max(
            0,
            *(script.read_multisig(spend.witness_script)[0] - len(spend.signatures) for spend in self.spends),
        )

    def finalised(self) -> Transaction:
        """The transaction ready to send, with exactly the threshold of signatures on each input."""
        signed = []
        for spent, spend in zip(self.transaction.inputs, self.spends, strict=True):
            threshold, keys = script.read_multisig(spend.witness_script)
            signatures = [spend.signatures[key] for key in keys if key in spend.signatures][:threshold]
            if len(signatures) < threshold:
                raise NotEnoughSignatures(f"{len(signatures)} of {threshold} on {spent.outpoint}")
            signed.append(replace(spent, witness=(b"", *signatures, spend.witness_script)))
        return replace(self.transaction, inputs=tuple(signed))

    def _digest(self, index: int, shared: SpendDigests) -> bytes:
        return shared.digest(index, script_code=self.spends[index].witness_script, sats=self.coin(index).sats)

    def _check_signatures(self, shared: SpendDigests) -> None:
        for index, spend in enumerate(self.spends):
            keys, digest = script.read_multisig(spend.witness_script)[1], self._digest(index, shared)
            for key, signature in spend.signatures.items():
                if key not in keys:
                    raise ForeignSignature(f"input {index}: a key outside the script")
                if signature[-1:] != bytes([SIGHASH_ALL]):
                    raise ForeignSignature(f"input {index}: a signature of another type than ALL")
                try:
                    secp256k1.verify(key, digest, signature[:-1])
                except secp256k1.BadSignature as error:
                    raise ForeignSignature(f"input {index}: {error}") from None


def _bare(psbt: Psbt) -> tuple[Spend, ...]:
    return tuple(replace(spend, signatures={}) for spend in psbt.spends)


def _check_spend(index: int, outpoint: Outpoint, spend: Spend) -> None:
    if spend.previous.txid != outpoint.txid or outpoint.index >= len(spend.previous.outputs):
        raise WrongPreviousTransaction(f"input {index}: not the transaction that made {outpoint}")
    try:
        script.read_multisig(spend.witness_script)
    except (script.BadScript, secp256k1.BadKey) as error:
        raise WrongWitnessScript(f"input {index}: {error}") from None
    if script.p2wsh(spend.witness_script) != spend.previous.outputs[outpoint.index].script:
        raise WrongWitnessScript(f"input {index}: the coin does not pay to this script")


def _field(key: bytes, value: bytes) -> bytes:
    return sized(key) + sized(value)


def _map(reader: Reader) -> dict[bytes, bytes]:
    fields: dict[bytes, bytes] = {}
    while key := reader.text():
        if key in fields:
            raise RepeatedField(f"field {key[:1].hex()} is repeated")
        fields[key] = reader.text()
    return fields


def _parse(data: bytes) -> Psbt:
    if data[: len(MAGIC)] != MAGIC:
        raise BadPsbt("no PSBT")
    reader = Reader(data)
    reader.take(len(MAGIC))
    top = _map(reader)
    raw = top.pop(bytes([_UNSIGNED_TRANSACTION]), None)
    if raw is None:
        raise BadPsbt("no unsigned transaction")
    _refuse_rest(top)
    transaction = Transaction.parse(raw)
    if transaction.encoded(witnesses=False) != raw:
        raise AlreadySigned("the transaction inside a PSBT is unsigned")
    spends = tuple(
        _spend(index, spent.outpoint, _map(reader)) for index, spent in enumerate(transaction.inputs)
    )
    for _ in transaction.outputs:
        _refuse_rest(_map(reader))
    if not reader.exhausted:
        raise BadPsbt("bytes after the end")
    return Psbt(transaction, spends)


def _refuse_rest(fields: Mapping[bytes, bytes]) -> None:
    for key in fields:
        raise UnknownField(f"field {key[:1].hex()} is not part of a multisig spend of ours")


def _spend(index: int, outpoint: Outpoint, fields: dict[bytes, bytes]) -> Spend:
    raw = fields.pop(bytes([_PREVIOUS_TRANSACTION]), None)
    if raw is None:
        raise NoPreviousTransaction(f"input {index} comes without its previous transaction")
    previous = Transaction.parse(raw)
    coin = fields.pop(bytes([_WITNESS_COIN]), None)
    if coin is not None and (
        outpoint.index >= len(previous.outputs) or coin != previous.outputs[outpoint.index].encoded()
    ):
        raise WrongCoin(f"input {index}: amount or script differ from the previous transaction")
    sighash = fields.pop(bytes([_SIGHASH]), None)
    if sighash is not None and sighash != SIGHASH_ALL.to_bytes(4, "little"):
        raise WrongSighash(f"input {index}: only ALL is signed")
    witness_script = fields.pop(bytes([_WITNESS_SCRIPT]), None)
    if witness_script is None:
        raise WrongWitnessScript(f"input {index} comes without its witness script")
    signatures = {key[1:]: value for key, value in fields.items() if key[0] == _PARTIAL_SIGNATURE}
    _refuse_rest({key: value for key, value in fields.items() if key[0] != _PARTIAL_SIGNATURE})
    return Spend(previous, witness_script, signatures)
