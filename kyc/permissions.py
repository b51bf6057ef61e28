"""Permissions of the kyc app."""

from __future__ import annotations

from enum import StrEnum


class Permission(StrEnum):
    """What officers do about customers' verifications. Each read of evidence is audited."""

    SEE_CASES = "kyc:case:read"
    DECIDE_CASES = "kyc:case:decide"
    APPROVE_TIER = "kyc:tier:approve"
    REQUEST_ERASURE = "kyc:erasure:request"
    APPROVE_ERASURE = "kyc:erasure:approve"
    SEE_EVIDENCE = "kyc:evidence:read"
