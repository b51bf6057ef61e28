"""Canonical encoding, version 1: one value, one sequence of bytes.

JSON (RFC 8259) restricted so that every value has exactly one encoding:

* UTF-8, no byte order mark, no white space between tokens;
* object members sorted by the code points of their names, each name once;
* strings escape only `"`, `\\` and the control characters below U+0020 (the last as `\\u00xx`, lower
  case); everything else stands as itself; lone surrogates are refused;
* numbers are integers with an absolute value of at most 2**53 - 1; money travels as decimal strings;
* `true`, `false`, `null`; nothing deeper than 16 levels, nothing longer than 256 KiB.

The approver page holds a second decoder in JavaScript; `fixtures/vectors/canonical.json` binds the two, and
docs/payloads.md is the reference for everybody else.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Final, TypeAlias

Value: TypeAlias = "None | bool | int | str | Sequence[Value] | Mapping[str, Value]"

LARGEST_INTEGER: Final = 2**53 - 1
DEPTH_MAX: Final = 16
LENGTH_MAX: Final = 256 * 1024

_ESCAPE: Final = re.compile(r"\\(.)")
_SHORT: Final = {"b": "\\u0008", "t": "\\u0009", "n": "\\u000a", "f": "\\u000c", "r": "\\u000d"}


class NotCanonical(ValueError):
    """The value has no canonical encoding, or the bytes are not one."""


def encode(value: Value) -> bytes:
    """The one encoding of `value`; NotCanonical where it has none (floats, large integers, depth)."""
    _check((value,), 0)
    text = _ENCODER.encode(value)
    if "\\" in text:  # Python's own encoder escapes the same characters, five of them in another spelling
        text = _ESCAPE.sub(lambda found: _SHORT.get(found[1], found[0]), text)
    try:
        encoded = text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise NotCanonical("lone surrogate") from error
    if len(encoded) > LENGTH_MAX:
        raise NotCanonical(f"longer than {LENGTH_MAX} bytes")
    return encoded


def decode(data: bytes) -> Value:
    """The value whose only encoding is `data`; anything else is refused, however harmless it looks."""
    if len(data) > LENGTH_MAX:
        raise NotCanonical(f"longer than {LENGTH_MAX} bytes")
    try:
        value: Value = _DECODER.decode(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise NotCanonical(str(error)) from error
    if encode(value) != data:
        raise NotCanonical("bytes differ from the canonical encoding of their own value")
    return value


def decode_object(data: bytes) -> dict[str, Value]:
    """Like `decode`, for the usual case of an object at the top."""
    value = decode(data)
    if not isinstance(value, dict):
        raise NotCanonical("an object was expected")
    return value


def digest(data: bytes) -> bytes:
    """SHA-256 of canonical bytes: what a checker signs."""
    return hashlib.sha256(data).digest()


def _refuse(text: str) -> Value:
    raise NotCanonical(f"only integers: {text[:40]}")


def _check(values: Collection[Value], depth: int) -> None:
    """Nothing, if each of them has an encoding so deep inside a value; else NotCanonical."""
    if values and depth > DEPTH_MAX:
        raise NotCanonical(f"deeper than {DEPTH_MAX} levels")
    for value in values:
        if value is None or value is True or value is False or isinstance(value, str):
            continue
        if type(value) is int:
            if abs(value) > LARGEST_INTEGER:
                raise NotCanonical(f"integer beyond {LARGEST_INTEGER}: use a decimal string")
        elif isinstance(value, (list, tuple)):
            _check(value, depth + 1)
        elif isinstance(value, Mapping):
            if not all(type(name) is str for name in value):
                raise NotCanonical("names must be strings")
            _check(value.values(), depth + 1)
        else:
            raise NotCanonical(f"no encoding for {type(value).__name__}")


# What `_check` let pass is written by Python's own encoder, which is in C.
_ENCODER: Final = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, sort_keys=True, separators=(",", ":"), default=dict
)
_DECODER: Final = json.JSONDecoder(parse_float=_refuse, parse_constant=_refuse)
