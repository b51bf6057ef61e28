"""Frames: canonical messages on a stream, each behind its length as four big-endian bytes.

Pure: the caller moves the bytes. A length beyond the cap is refused before anything is read or kept, and a
message that is not canonical is refused as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kernel import canonical

HEADER_BYTES: Final = 4
FRAME_BYTES_MAX: Final = canonical.LENGTH_MAX


class BadFrame(ValueError):
    """The stream holds no frame of ours: too long, empty, or not canonical."""


def encode(message: Mapping[str, canonical.Value]) -> bytes:
    """The frame of one message; NotCanonical where the message has no encoding or is too long."""
    body = canonical.encode(message)
    return len(body).to_bytes(HEADER_BYTES, "big") + body


def body_length(header: bytes) -> int:
    """How many bytes follow this header."""
    length = int.from_bytes(header, "big")
    if len(header) != HEADER_BYTES or not 0 < length <= FRAME_BYTES_MAX:
        raise BadFrame(f"a frame holds 1 to {FRAME_BYTES_MAX} bytes")
    return length


def decode_body(body: bytes) -> dict[str, canonical.Value]:
    """The message of one body."""
    try:
        return canonical.decode_object(body)
    except canonical.NotCanonical as error:
        raise BadFrame(str(error)) from None
