"""Permissions of the freezes app."""

from __future__ import annotations

from enum import StrEnum


class Permission(StrEnum):
    """One person stops; three people (one asks, two others agree) let go."""

    SEE_FREEZES = "freezes:freeze:read"
    PULL_FREEZE = "freezes:freeze:pull"
    ASK_RELEASE = "freezes:freeze:release"
    APPROVE_RELEASE = "freezes:freeze:approve_release"
