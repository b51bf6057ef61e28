"""The registry of permissions: each app declares its own as a StrEnum and registers it when Django starts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

_SHAPE: Final = re.compile(r"[a-z]+:[a-z_]+:[a-z_]+")
_registered: Final[dict[str, StrEnum]] = {}


class Permission(StrEnum):
    """What the access app itself asks for."""

    SEE_STAFF = "access:staff:read"
    PROPOSE_STAFF = "access:staff:propose"
    APPROVE_STAFF = "access:staff:approve"
    ASK_ELEVATION = "access:elevation:ask"
    SUSPEND_STAFF = "access:staff:suspend"


class UnknownPermission(LookupError):
    """Code asked for a permission that no app has registered: a programming error, never a plain refusal."""


def register(declared: type[StrEnum]) -> None:
    """Make an app's permissions known. The same string from two enums is an error."""
    for permission in declared:
        if not _SHAPE.fullmatch(permission.value):
            raise ValueError(f"a permission is scope:resource:action, not {permission.value}")
        if _registered.setdefault(permission.value, permission) is not permission:
            raise ValueError(f"{permission.value} is declared twice")


def registered() -> Mapping[str, StrEnum]:
    """Every permission by its string."""
    return MappingProxyType(_registered)


def known(permission: str) -> str:
    """The same permission, if an app has registered it; else UnknownPermission."""
    if permission not in _registered:
        raise UnknownPermission(permission)
    return str(permission)
