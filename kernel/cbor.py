"""The part of CBOR (RFC 8949) in which authenticators write: definite lengths, no tags, no floats.

Whole numbers, byte and text strings, arrays, maps without a repeated key, true, false and null. Anything else
is refused, and so is what comes behind the value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

Value: TypeAlias = "None | bool | int | bytes | str | Sequence[Value] | Mapping[int | str, Value]"

DEPTH_MAX: Final = 8
_SIMPLE: Final[Mapping[int, bool | None]] = {20: False, 21: True, 22: None}


class BadCbor(ValueError):
    """The bytes are no value of this part of CBOR."""


def decode(data: bytes) -> Value:
    """The one value that these bytes are; BadCbor."""
    value, length = first(data)
    if length != len(data):
        raise BadCbor("bytes behind the value")
    return value


def first(data: bytes) -> tuple[Value, int]:
    """The value at the beginning, and how many bytes it takes; BadCbor."""
    return _value(data, 0, 0)


def _value(data: bytes, at: int, depth: int) -> tuple[Value, int]:
    if depth > DEPTH_MAX:
        raise BadCbor(f"deeper than {DEPTH_MAX} levels")
    major, number, at = _head(data, at)
    if major == 7:
        if number not in _SIMPLE:
            raise BadCbor("only true, false and null")
        return _SIMPLE[number], at
    if major in (0, 1):
        return (number if major == 0 else -1 - number), at
    if major in (2, 3):
        found = data[at : at + number]
        if len(found) != number:
            raise BadCbor("the bytes end within a string")
        try:
            return (found if major == 2 else found.decode("utf-8")), at + number
        except UnicodeDecodeError as error:
            raise BadCbor(str(error)) from None
    if major == 4:
        items: list[Value] = []
        for _ in range(number):
            item, at = _value(data, at, depth + 1)
            items.append(item)
        return items, at
    return _map(data, at, number, depth)


def _map(data: bytes, at: int, number: int, depth: int) -> tuple[Value, int]:
    members: dict[int | str, Value] = {}
    for _ in range(number):
        name, at = _value(data, at, depth + 1)
        if type(name) is not int and not isinstance(name, str):
            raise BadCbor("a key is a whole number or text")
        if name in members:
            raise BadCbor("a key is repeated")
        members[name], at = _value(data, at, depth + 1)
    return members, at


def _head(data: bytes, at: int) -> tuple[int, int, int]:
    """Major type, its number in the shortest form, and where it ends."""
    if at >= len(data):
        raise BadCbor("the bytes end too early")
    major, low = data[at] >> 5, data[at] & 0x1F
    if major == 6 or low > 27 or (major == 7 and low > 23):
        raise BadCbor("tags, floats and indefinite lengths are not read")
    if low < 24:
        return major, low, at + 1
    width = 1 << (low - 24)
    written = data[at + 1 : at + 1 + width]
    number = int.from_bytes(written, "big")
    if len(written) != width or number < (24, 1 << 8, 1 << 16, 1 << 32)[low - 24]:
        raise BadCbor("a number is not in its shortest form")
    return major, number, at + 1 + width
