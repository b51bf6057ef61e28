"""How a call ended: the header block behind its last message (HPACK, RFC 7541, as far as no table is kept).

We allow the other side no table of its own, so each block can be read alone.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote

import grpc

from engine_bridge.adapters.channel import AWAY_CODES, EngineAway, EngineRefused

_INDEXED, _KEPT, _RESIZED = 0x80, 0x40, 0x20
_FIRST_OWN: Final = 62
"""Names and values from here on would be in a table that nobody has."""

_STATUS: Final = range(8, 15)
_STATUSES: Final = ("200", "204", "206", "304", "400", "404", "500")
"""The only entries of the fixed table that say how a call ended; all others are passed over."""

# Appendix B: the length in bits of each byte's code and, last, of the end's. Codes of a length follow one
# another.
_LENGTHS: Final = bytes.fromhex(
    "0d171c1c1c1c1c1c1c181e1c1c1e1c1c1c1c1c1c1c1c1e1c1c1c1c1c1c1c1c1c060a0a0c0d06080b0a0a080b0806"
    "06060505050606060606060607080f060c0a0d06070707070707070707070707070707070707070707070807080d"
    "130d0e060f05060506050606060507070606060506070605050607070707070f0b0e0d1c14161414161616171617"
    "17171717181718181617181717171715161716171718161514161617171517161618151617171515161517161717"
    "14161616171616171a1a1413161716191a1a1a1b1b1a181913151a1b1b1a1b1815151a1a1c1b1b1b141814151615"
    "15171616191918181a171a1b1a1a1b1b1b1b1b1c1b1b1b1b1b1a1e"
)
_PADDING_BITS_MAX: Final = 7


class Malformed(ValueError):
    """These bytes are no header block that we allowed."""


def ended(block: bytes) -> EngineAway | EngineRefused:
    """What the block says of its call, as the error that a single call would have raised."""
    try:
        fields = read(block)
    except Malformed:
        return EngineAway("the engine ended the stream")
    code = _CODES.get(fields.get("grpc-status", ""))
    if code is None and fields.get(":status", "200") != "200":
        return EngineAway(f"no engine answers there: HTTP status {fields[':status']}")
    if code is None or code is grpc.StatusCode.OK:
        return EngineAway("the engine ended the stream")
    said = f"{code.name}: {unquote(fields.get('grpc-message', ''))}"
    return EngineAway(said) if code in AWAY_CODES else EngineRefused(said)


def read(block: bytes) -> dict[str, str]:
    """The fields of a header block that are spelled out, and its `:status`. Malformed."""
    try:
        return dict(_Block(block).fields())
    except IndexError:
        raise Malformed("cut short") from None


class _Block:
    def __init__(self, block: bytes) -> None:
        self._block = block
        self._at = 0

    def fields(self) -> list[tuple[str, str]]:
        found = []
        while self._at < len(self._block):
            kind = self._block[self._at]
            if kind & _INDEXED:
                number = self._number(7)
                if number in _STATUS:
                    found.append((":status", _STATUSES[number - _STATUS.start]))
                elif not 0 < number < _FIRST_OWN:
                    raise Malformed(f"entry {number} of a table that there is not")
            elif kind & _KEPT or not kind & _RESIZED:
                number = self._number(6 if kind & _KEPT else 4)
                if number >= _FIRST_OWN:
                    raise Malformed(f"name {number} of a table that there is not")
                spelled = self._text() if number == 0 else ":status" if number in _STATUS else ""
                found.append((spelled, self._text()))
            else:
                self._number(5)
        return found

    def _number(self, bits: int) -> int:
        most = (1 << bits) - 1
        found = self._block[self._at] & most
        self._at += 1
        if found < most:
            return found
        for shift in range(0, 28, 7):
            byte = self._block[self._at]
            self._at += 1
            found += (byte & 0x7F) << shift
            if byte < 0x80:
                return found
        raise Malformed("a number without an end")

    def _text(self) -> str:
        packed = self._block[self._at] & 0x80
        size = self._number(7)
        raw = self._block[self._at : self._at + size]
        self._at += size
        if len(raw) < size:
            raise Malformed("cut short")
        return (_unpacked(raw) if packed else raw).decode("latin-1")


def _codes() -> dict[tuple[int, int], int]:
    """Bytes by the length of their code and the code itself."""
    found: dict[tuple[int, int], int] = {}
    code = before = 0
    for length, symbol in sorted((length, symbol) for symbol, length in enumerate(_LENGTHS)):
        code <<= length - before
        found[length, code] = symbol
        code, before = code + 1, length
    return found


_SYMBOLS: Final = _codes()
_END: Final = len(_LENGTHS) - 1
_CODES: Final = {str(code.value[0]): code for code in grpc.StatusCode}


def _unpacked(raw: bytes) -> bytes:
    found = bytearray()
    code = length = 0
    for byte in raw:
        for shift in range(7, -1, -1):
            code, length = code << 1 | byte >> shift & 1, length + 1
            symbol = _SYMBOLS.get((length, code))
            if symbol == _END:
                raise Malformed("an end in the middle")
            if symbol is not None:
                found.append(symbol)
                code = length = 0
    if length > _PADDING_BITS_MAX or code != (1 << length) - 1:
        raise Malformed("an unfinished code")
    return bytes(found)
