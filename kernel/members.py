"""Members of canonical objects, read strictly: the right names and types, nothing missing, nothing more."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from kernel import canonical

_UNITS = re.compile(r"0|[1-9][0-9]{0,29}")


class BadMember(ValueError):
    """A member is missing, unknown, or of another type."""


def an_object(value: canonical.Value) -> Mapping[str, canonical.Value]:
    """The object that was expected here."""
    if not isinstance(value, Mapping):
        raise BadMember("an object was expected")
    return value


def unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The members of a JSON object, as `json.loads` asks for them; BadMember where one stands there twice."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise BadMember("a member is repeated")
    return members


def all_texts(value: canonical.Value) -> list[str]:
    """The list of texts that was expected here, however many, and whether or not it repeats itself."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise BadMember("a list of texts was expected")
    return [str(item) for item in value]


def exact(value: Mapping[str, canonical.Value], needed: set[str], optional: Sequence[str] = ()) -> None:
    """Nothing, if these members stand here and no other."""
    odd = needed - value.keys() | value.keys() - needed - set(optional)
    if odd:
        raise BadMember(f"missing or unknown: {', '.join(sorted(odd))}")


def is_version(value: canonical.Value, version: int) -> bool:
    """Whether this is the number; to Python `true` is 1 as well, and a second spelling of a payload."""
    return type(value) is int and value == version


def text(value: Mapping[str, canonical.Value], name: str) -> str:
    """A text that is not empty."""
    found = value[name]
    if not isinstance(found, str) or not found:
        raise BadMember(f"{name} is text that is not empty")
    return found


def texts(value: Mapping[str, canonical.Value], name: str) -> list[str]:
    """A list of different texts that is not empty."""
    found = value[name]
    if not isinstance(found, list) or not found or not all(isinstance(item, str) and item for item in found):
        raise BadMember(f"{name} is a list of texts that is not empty")
    if len(set(found)) != len(found):
        raise BadMember(f"{name} repeats itself")
    return [str(item) for item in found]


def whole(value: Mapping[str, canonical.Value], name: str) -> int:
    """A whole number, zero included."""
    found = value[name]
    if type(found) is not int or found < 0:
        raise BadMember(f"{name} is a whole number")
    return found


def positive(value: Mapping[str, canonical.Value], name: str) -> int:
    """A whole number above zero."""
    found = value[name]
    if type(found) is not int or found < 1:
        raise BadMember(f"{name} is a positive integer")
    return found


def units(value: Mapping[str, canonical.Value], name: str) -> int:
    """An amount in native units, written as a decimal string."""
    found = value[name]
    if not isinstance(found, str) or not _UNITS.fullmatch(found):
        raise BadMember(f"{name} is a decimal string of units")
    return int(found)
