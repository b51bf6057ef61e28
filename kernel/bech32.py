"""Segwit addresses: Bech32 (BIP 173) for version 0, Bech32m (BIP 350) for versions 1 to 16."""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable, Sequence
from typing import Final

_ALPHABET: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_VALUES: Final = {character: value for value, character in enumerate(_ALPHABET)}
_GENERATOR: Final = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_SUMS: Final = tuple(  # of the generators whose bits are set: a signer checks an address with every payment
    functools.reduce(operator.xor, (one for bit, one in enumerate(_GENERATOR) if top >> bit & 1), 0)
    for top in range(32)
)
_BECH32: Final = 1
_BECH32M: Final = 0x2BC830A3
_LENGTH_MAX: Final = 90
_CHECKSUM: Final = 6


class BadAddress(ValueError):
    """The text is no address of this network, or its checksum is wrong."""


def encode(prefix: str, version: int, program: bytes) -> str:
    """The address of a witness program, lower case."""
    data = [version, *_regroup(program, 8, 5, pad=True)]
    constant = _BECH32 if version == 0 else _BECH32M
    remainder = _polymod([*_expand(prefix), *data, *([0] * _CHECKSUM)]) ^ constant
    checksum = [(remainder >> 5 * (_CHECKSUM - 1 - index)) & 31 for index in range(_CHECKSUM)]
    address = prefix + "1" + "".join(_ALPHABET[value] for value in (*data, *checksum))
    decode(prefix, address)
    return address


def decode(prefix: str, address: str) -> tuple[int, bytes]:
    """Witness version and program of an address; BadAddress for another prefix, a typo, a bad length."""
    if len(address) > _LENGTH_MAX or not address.isascii():
        raise BadAddress("too long, or characters outside ASCII")
    if address.lower() != address and address.upper() != address:
        raise BadAddress("mixed case")
    found, separator, text = address.lower().rpartition("1")
    if found != prefix or not separator:
        raise BadAddress(f"not an address with the prefix {prefix}1")
    try:
        data = [_VALUES[character] for character in text]
    except KeyError:
        raise BadAddress("a character outside the alphabet") from None
    if len(data) < 1 + _CHECKSUM:
        raise BadAddress("too short")
    version = data[0]
    if _polymod([*_expand(prefix), *data]) != (_BECH32 if version == 0 else _BECH32M):
        raise BadAddress("the checksum is wrong")
    program = bytes(_regroup(data[1:-_CHECKSUM], 5, 8, pad=False))
    if version > 16 or not 2 <= len(program) <= 40 or (version == 0 and len(program) not in (20, 32)):
        raise BadAddress("no such witness program")
    return version, program


def _polymod(values: Iterable[int]) -> int:
    checksum = 1
    for value in values:
        checksum = (checksum & 0x1FFFFFF) << 5 ^ value ^ _SUMS[checksum >> 25]
    return checksum


def _expand(prefix: str) -> list[int]:
    return [ord(character) >> 5 for character in prefix] + [0] + [ord(character) & 31 for character in prefix]


def _regroup(data: Sequence[int], width: int, to: int, *, pad: bool) -> list[int]:
    """Regroup numbers of `width` bits into numbers of `to` bits; leftover bits must be few, and zero."""
    buffer = bits = 0
    groups: list[int] = []
    for value in data:
        buffer = (buffer << width | value) & 0xFFF
        bits += width
        while bits >= to:
            bits -= to
            groups.append(buffer >> bits & ((1 << to) - 1))
    leftover = (buffer << (to - bits)) & ((1 << to) - 1)
    if pad:
        return [*groups, leftover] if bits else groups
    if bits >= width or leftover:
        raise BadAddress("padding is not zero")
    return groups
