"""Permissions of the audit log. The access app registers them: the log itself knows nothing of roles."""

from __future__ import annotations

from enum import StrEnum


class Permission(StrEnum):
    """Reading who did what; writing happens by acting."""

    SEE_EVENTS = "audit:event:read"
    EXPORT_EVENTS = "audit:event:export"
