"""Permissions of the health app."""

from __future__ import annotations

from enum import StrEnum


class Permission(StrEnum):
    """Seeing which part works."""

    SEE_PROBES = "health:probe:read"
