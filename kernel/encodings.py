"""Bytes as text, each with one accepted spelling: base64url without padding, base64, lower-case hex.

And text as a line that is safe to show.
"""

from __future__ import annotations

import base64
import binascii
import re

_HEX = re.compile(r"(?:[0-9a-f]{2})*")
_BASE64URL = re.compile(r"[A-Za-z0-9_-]*")
# Printable to Python, and not to be seen (Default_Ignorable_Code_Point, and the empty Braille).
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


class BadEncoding(ValueError):
    """The text is not the one spelling of any bytes."""


def base64url(data: bytes) -> str:
    """Base64url without padding, as WebAuthn and JSON fields use it."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def from_base64url(text: str) -> bytes:
    """The bytes of unpadded base64url; a second spelling of the same bytes is refused."""
    if not _BASE64URL.fullmatch(text):
        raise BadEncoding("not base64url without padding")
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error as error:
        raise BadEncoding(str(error)) from None
    if base64url(data) != text:
        raise BadEncoding("base64url with stray bits")
    return data


def base64_standard(data: bytes) -> str:
    """Base64 with padding, as PSBTs and signed notes use it."""
    return base64.b64encode(data).decode("ascii")


def from_base64_standard(text: str) -> bytes:
    """The bytes of padded base64; a second spelling of the same bytes is refused."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadEncoding(str(error)) from None
    if base64_standard(data) != text:
        raise BadEncoding("base64 with stray bits")
    return data


def from_hex(text: str) -> bytes:
    """The bytes of lower-case hex; upper case and white space are refused."""
    if not _HEX.fullmatch(text):
        raise BadEncoding("not lower-case hex")
    return bytes.fromhex(text)


def shows(text: str) -> bool:
    """Whether every character can be seen: no control, no direction mark, no filler, no space but the plain
    one.
    """
    return text.isprintable() and not _UNSEEN.search(text)


def plain(text: str) -> str:
    """One line for a terminal or a log, whoever wrote it: a question mark stands for what does not show."""
    return "".join(character if shows(character) else "?" for character in text)
