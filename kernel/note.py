"""Signed notes and tree heads in the C2SP formats signed-note and tlog-checkpoint, with Ed25519.

A checkpoint is a note of exactly three lines: the log's origin, its size, its root in base64. Anybody with
the public key can check it; extension lines are refused, so that two programs never read different things.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from kernel import encodings

LOG: Final = 0x01
_DASH: Final = "\N{EM DASH}"
_KEY_ID_BYTES: Final = 4
_NOTE_BYTES_MAX: Final = 1_000_000
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")


class BadNote(ValueError):
    """The text is no signed note, or no checkpoint."""


class NotSigned(BadNote):
    """No signature by the expected key."""


@dataclass(frozen=True, slots=True)
class Verifier:
    """A key that notes are checked against: its name and the 32 bytes of its Ed25519 public key."""

    name: str
    public_key: bytes

    def __post_init__(self) -> None:
        if not self.name or "+" in self.name or any(character.isspace() for character in self.name):
            raise BadNote("a key's name has no spaces and no plus sign")
        if len(self.public_key) != 32:
            raise BadNote("an Ed25519 key has 32 bytes")

    @classmethod
    def parse(cls, text: str) -> Verifier:
        """Read the verifier key form `name+hash+base64`."""
        parts = text.strip().split("+", 2)
        if len(parts) != 3:
            raise BadNote("a verifier key is name+hash+key")
        try:
            data = encodings.from_base64_standard(parts[2])
        except encodings.BadEncoding as error:
            raise BadNote(str(error)) from None
        if data[:1] != bytes([LOG]):
            raise BadNote("only Ed25519 keys (type 1) are read")
        verifier = cls(parts[0], data[1:])
        if verifier.key_id.hex() != parts[1]:
            raise BadNote("the hash is not that of the name and key")
        return verifier

    def __str__(self) -> str:
        key = encodings.base64_standard(bytes([LOG]) + self.public_key)
        return f"{self.name}+{self.key_id.hex()}+{key}"

    @property
    def key_id(self) -> bytes:
        """The four bytes in front of each of its signatures."""
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([LOG]) + self.public_key).digest()[
            :_KEY_ID_BYTES
        ]


def sign(text: str, *, by: Verifier, signer: Callable[[bytes], bytes]) -> str:
    """The signed note of a text. `signer` makes the raw Ed25519 signature, wherever the key lives."""
    if not text.endswith("\n") or _CONTROL.search(text):
        raise BadNote("a note's text ends with a newline and has no control characters")
    signature = by.key_id + signer(text.encode())
    note = f"{text}\n{_DASH} {by.name} {encodings.base64_standard(signature)}\n"
    open_note(note, by=by)
    return note


def open_note(note: str, *, by: Verifier) -> str:
    """The text of a note, once that key's signature was checked; signatures by others are passed over."""
    if len(note) > _NOTE_BYTES_MAX or _CONTROL.search(note):
        raise BadNote("too long, or control characters")
    text, separator, lines = note.rpartition("\n\n")
    if not separator or not lines.endswith("\n"):
        raise BadNote("a note is a text, an empty line and signature lines")
    text += "\n"
    found = False
    for line in lines[:-1].split("\n"):
        parts = line.split(" ")
        if len(parts) != 3 or parts[0] != _DASH:
            raise BadNote("not a signature line")
        try:
            signature = encodings.from_base64_standard(parts[2])
        except encodings.BadEncoding as error:
            raise BadNote(str(error)) from None
        if parts[1] != by.name or signature[:_KEY_ID_BYTES] != by.key_id:
            continue
        try:
            Ed25519PublicKey.from_public_bytes(by.public_key).verify(signature[_KEY_ID_BYTES:], text.encode())
        except InvalidSignature:
            raise NotSigned(f"the signature of {by.name} is wrong") from None
        found = True
    if not found:
        raise NotSigned(f"not signed by {by.name}")
    return text


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log's head: who it is, how many entries, the root over them."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """The note's text."""
        return f"{self.origin}\n{self.size}\n{encodings.base64_standard(self.root)}\n"

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Read a note's text; BadNote for any other shape."""
        lines = text.split("\n")
        if len(lines) != 4 or lines[3] or not lines[0] or not _SIZE.fullmatch(lines[1]):
            raise BadNote("a checkpoint is origin, size and root, one line each")
        try:
            root = encodings.from_base64_standard(lines[2])
        except encodings.BadEncoding as error:
            raise BadNote(str(error)) from None
        if len(root) != 32:
            raise BadNote("a root has 32 bytes")
        return cls(lines[0], int(lines[1]), root)
