"""A witness's cosignature on a checkpoint, in the C2SP format tlog-cosignature (`cosignature/v1`, Ed25519).

It says: at this time, this was the largest tree of that log that I had seen, and it only appends to every
earlier one. It is one more signature line under the log's own note.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from kernel import encodings
from kernel.note import BadNote, NotSigned

TYPE: Final = 0x04
_DASH: Final = "\N{EM DASH}"
_KEY_ID_BYTES: Final = 4
_TIME_BYTES: Final = 8
_SIGNATURE_BYTES: Final = 64


@dataclass(frozen=True, slots=True)
class Cosigner:
    """A witness's key: its name and the 32 bytes of its Ed25519 public key."""

    name: str
    public_key: bytes

    def __post_init__(self) -> None:
        if not self.name or "+" in self.name or any(character.isspace() for character in self.name):
            raise BadNote("a witness's name has no spaces and no plus sign")
        if len(self.public_key) != 32:
            raise BadNote("an Ed25519 key has 32 bytes")

    @classmethod
    def parse(cls, text: str) -> Cosigner:
        """Read the verifier key form `name+hash+base64`; a log's key is refused, its type is another."""
        parts = text.strip().split("+", 2)
        if len(parts) != 3:
            raise BadNote("a verifier key is name+hash+key")
        try:
            data = encodings.from_base64_standard(parts[2])
        except encodings.BadEncoding as error:
            raise BadNote(str(error)) from None
        if data[:1] != bytes([TYPE]):
            raise BadNote("only witnesses' Ed25519 keys (type 4) are read")
        found = cls(parts[0], data[1:])
        if found.key_id.hex() != parts[1]:
            raise BadNote("the hash is not that of the name and key")
        return found

    def __str__(self) -> str:
        key = encodings.base64_standard(bytes([TYPE]) + self.public_key)
        return f"{self.name}+{self.key_id.hex()}+{key}"

    @property
    def key_id(self) -> bytes:
        """The four bytes in front of each of its signatures."""
        data = self.name.encode() + b"\n" + bytes([TYPE]) + self.public_key
        return hashlib.sha256(data).digest()[:_KEY_ID_BYTES]


def cosign(text: str, *, by: Cosigner, signer: Callable[[bytes], bytes], at: int) -> str:
    """The signature line on a checkpoint's text, given the POSIX time. `signer` makes the raw signature."""
    data = by.key_id + at.to_bytes(_TIME_BYTES, "big") + signer(_signed(text, at))
    line = f"{_DASH} {by.name} {encodings.base64_standard(data)}"
    check(text, [line], by=by)
    return line


def check(text: str, lines: list[str], *, by: Cosigner) -> int:
    """When that witness saw the checkpoint of this text; NotSigned if no line is its own and right."""
    for line in lines:
        parts = line.split(" ")
        if len(parts) != 3 or parts[0] != _DASH or parts[1] != by.name:
            continue
        try:
            data = encodings.from_base64_standard(parts[2])
        except encodings.BadEncoding as error:
            raise BadNote(str(error)) from None
        if data[:_KEY_ID_BYTES] != by.key_id:
            continue
        if len(data) != _KEY_ID_BYTES + _TIME_BYTES + _SIGNATURE_BYTES:
            raise BadNote("a cosignature is key, time and signature")
        at = int.from_bytes(data[_KEY_ID_BYTES : _KEY_ID_BYTES + _TIME_BYTES], "big")
        try:
            key = Ed25519PublicKey.from_public_bytes(by.public_key)
            key.verify(data[_KEY_ID_BYTES + _TIME_BYTES :], _signed(text, at))
        except InvalidSignature:
            raise NotSigned(f"the cosignature of {by.name} is wrong") from None
        return at
    raise NotSigned(f"not cosigned by {by.name}")


def lines_of(note: str) -> list[str]:
    """The signature lines of a signed note, unchecked."""
    return [line for line in note.rpartition("\n\n")[2].split("\n") if line]


def _signed(text: str, at: int) -> bytes:
    return f"cosignature/v1\ntime {at}\n{text}".encode()
