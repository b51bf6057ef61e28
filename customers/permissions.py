"""Permissions of the customers app."""

from __future__ import annotations

from enum import StrEnum


class Permission(StrEnum):
    """Officers' views of customers; customers' own rights come with their API keys' scopes."""

    SEE_CUSTOMERS = "customers:customer:read"
