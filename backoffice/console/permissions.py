"""Permissions of the console itself; each screen asks for those of the app that it shows."""

from __future__ import annotations

from enum import StrEnum


class Permission(StrEnum):
    """The first page, which shows to each person what waits for them."""

    SEE_HOME = "console:home:read"
