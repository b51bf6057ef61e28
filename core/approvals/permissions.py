"""Permissions of the approvals app; approving itself is a permission of the app that declares the kind."""

from __future__ import annotations

from enum import StrEnum


class Permission(StrEnum):
    """Looking at requests, and taking one back."""

    SEE_REQUESTS = "approvals:request:read"
    WITHDRAW_REQUEST = "approvals:request:withdraw"
