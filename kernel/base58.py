"""Base58Check, the older form of Bitcoin addresses; decoded only so that customers may withdraw to them."""

from __future__ import annotations

import hashlib
from typing import Final

from kernel.bech32 import BadAddress

_ALPHABET: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_CHECKSUM_BYTES: Final = 4
_LENGTH_MAX: Final = 50


def encode(payload: bytes) -> str:
    """The text of version byte and hash, with its checksum."""
    data = payload + _checksum(payload)
    number = int.from_bytes(data, "big")
    digits = ""
    while number:
        number, digit = divmod(number, 58)
        digits = _ALPHABET[digit] + digits
    return "1" * (len(data) - len(data.lstrip(b"\x00"))) + digits


def decode(text: str) -> bytes:
    """Version byte and hash; BadAddress for a foreign character or a wrong checksum."""
    if not text or len(text) > _LENGTH_MAX:
        raise BadAddress("not a Base58 address")
    number = 0
    for character in text:
        digit = _ALPHABET.find(character)
        if digit < 0:
            raise BadAddress("a character outside the alphabet")
        number = number * 58 + digit
    zeros = len(text) - len(text.lstrip("1"))
    data = b"\x00" * zeros + number.to_bytes((number.bit_length() + 7) // 8, "big")
    payload, checksum = data[:-_CHECKSUM_BYTES], data[-_CHECKSUM_BYTES:]
    if not payload or _checksum(payload) != checksum:
        raise BadAddress("the checksum is wrong")
    return payload


def _checksum(payload: bytes) -> bytes:
    return hashlib.sha256(hashlib.sha256(payload).digest()).digest()[:_CHECKSUM_BYTES]
