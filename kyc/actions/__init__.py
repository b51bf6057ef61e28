"""What can be done about verifications, deliveries, cases and tiers."""

from kyc.actions.applicants import keep_token, note_applicant, note_trouble, want_read
from kyc.actions.cases import close_case, open_case, take_case
from kyc.actions.deliveries import (
    classify_delivery,
    declare_endpoint,
    endpoint_id,
    note_unverified,
    receive_delivery,
)
from kyc.actions.erasures import carry_out_erasure, request_erasure
from kyc.actions.snapshots import apply_snapshot
from kyc.actions.tiers import propose_tier
from kyc.actions.verifications import expire_verification, finish_capture, start_verification

__all__ = [
    "apply_snapshot",
    "carry_out_erasure",
    "classify_delivery",
    "close_case",
    "declare_endpoint",
    "endpoint_id",
    "expire_verification",
    "finish_capture",
    "keep_token",
    "note_applicant",
    "note_trouble",
    "note_unverified",
    "open_case",
    "propose_tier",
    "receive_delivery",
    "request_erasure",
    "start_verification",
    "take_case",
    "want_read",
]
