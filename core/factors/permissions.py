"""Permissions about authenticators."""

from __future__ import annotations

from enum import StrEnum


class Permission(StrEnum):
    """One's own authenticators; whoever may suspend people may also take theirs away."""

    OWN = "factors:own:manage"
