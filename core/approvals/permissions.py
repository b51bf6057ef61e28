"""Permissions of the approvals app; approving itself is a permission of the app that declares the kind."""

from __future__ import annotations

from enum import StrEnum


class Permission(StrEnum):
    """Looking at requests and taking one back; the policy that says who must approve them."""

    SEE_REQUESTS = "approvals:request:read"
    WITHDRAW_REQUEST = "approvals:request:withdraw"
    SEE_POLICY = "approvals:policy:read"
    PROPOSE_POLICY = "approvals:policy:propose"
    APPROVE_POLICY = "approvals:policy:approve"
