"""The tables whose every change needs an audit event, and those that need none, with the reason.

Each table stands in exactly one of the two lists; a test compares them with the database.
"""

from __future__ import annotations

from typing import Final

_EVERY_COLUMN: Final = ""

GUARDED: Final[dict[str, str]] = {
    # Money.
    "ledger_entry": _EVERY_COLUMN,
    "ledger_posting": _EVERY_COLUMN,
    "ledger_hold": _EVERY_COLUMN,
    "custody_adjustment": _EVERY_COLUMN,
    "custody_asker": _EVERY_COLUMN,
    "custody_beneficiary": _EVERY_COLUMN,
    "custody_withdrawal": _EVERY_COLUMN,
    "custody_refill": _EVERY_COLUMN,
    "custody_sweep": _EVERY_COLUMN,
    "custody_payment": _EVERY_COLUMN,
    "custody_payment_version": _EVERY_COLUMN,
    "custody_decoder_key": _EVERY_COLUMN,
    "custody_payment_policy": _EVERY_COLUMN,
    "custody_token_signature": _EVERY_COLUMN,
    "custody_token_refusal": _EVERY_COLUMN,
    "custody_version_signature": _EVERY_COLUMN,
    "custody_version_refusal": _EVERY_COLUMN,
    "custody_utxo_lock": _EVERY_COLUMN,
    "custody_signer_order": _EVERY_COLUMN,
    "custody_order_answer": _EVERY_COLUMN,
    "custody_customer_statement": _EVERY_COLUMN,
    "custody_statement_answer": _EVERY_COLUMN,
    "custody_lane": _EVERY_COLUMN,
    "custody_wallet": _EVERY_COLUMN,
    "custody_address": _EVERY_COLUMN,
    "custody_deposit": _EVERY_COLUMN,
    "custody_block": _EVERY_COLUMN,  # its tip says how deep a deposit lies
    "custody_price": _EVERY_COLUMN,
    "engine_transfer": _EVERY_COLUMN,
    "engine_instrument": _EVERY_COLUMN,
    "engine_account_fees": _EVERY_COLUMN,
    # Rights, consent and freezes.
    "access_identity": _EVERY_COLUMN,
    "access_own_account": _EVERY_COLUMN,
    "access_role_grant": _EVERY_COLUMN,
    "access_officer_credential": _EVERY_COLUMN,
    "access_session": "moved_at, ended_at, ended_why",  # `seen_at` moves with every minute of use
    "access_signed_out_subject": _EVERY_COLUMN,
    "factors_passkey": _EVERY_COLUMN,
    "factors_code": _EVERY_COLUMN,
    "factors_glass": _EVERY_COLUMN,
    "factors_challenge": _EVERY_COLUMN,
    "factors_registration": _EVERY_COLUMN,
    "factors_handed_over": _EVERY_COLUMN,
    "approvals_request": _EVERY_COLUMN,
    "approvals_waiver": _EVERY_COLUMN,
    "approvals_policy": _EVERY_COLUMN,
    "approvals_policy_draft": _EVERY_COLUMN,
    "approvals_signature": _EVERY_COLUMN,
    "freezes_freeze": _EVERY_COLUMN,
    # Customers and what was decided about them.
    "customers_customer": _EVERY_COLUMN,
    "customers_api_key": "revoked_at",  # `last_used_at` moves with every use
    "customers_authenticator": _EVERY_COLUMN,
    "customers_recovery_code": _EVERY_COLUMN,
    "audit_subject": _EVERY_COLUMN,
    "kyc_profile": _EVERY_COLUMN,
    "kyc_provider_applicant": "applicant_id",  # whose file it is; the rest mirrors the file
    "kyc_verification": _EVERY_COLUMN,
    "kyc_verification_transition": _EVERY_COLUMN,
    "kyc_case": _EVERY_COLUMN,
    "kyc_case_event": _EVERY_COLUMN,
    "kyc_erasure": _EVERY_COLUMN,
}
"""Table to the columns whose UPDATE counts; INSERT and DELETE always count."""

FREE: Final[dict[str, str]] = {
    "audit_event": "the log itself",
    "audit_mention": "the log itself",
    "audit_checkpoint": "the log itself",
    "audit_tile": "the log itself",
    "audit_cosignature": "the log itself",
    "outbox_message": "follows the act that announced it",
    "outbox_delivery": "bookkeeping of deliveries",
    "ledger_account": "opened empty; its sums are kept by the database from postings and holds",
    "engine_account": "a number, given once and fixed by the database: whose it is never changes",
    "engine_cursor": "how far the engine's events were read",
    "engine_order": "a mirror of the engine's journal",
    "engine_order_note": "a mirror of the engine's journal",
    "engine_fill": "a mirror of the engine's journal",
    "engine_trading_balance": "a mirror of the engine's journal",
    "engine_told_fees": "a mirror of the engine's journal",
    "custody_reconciliation": "a mirror of what the reconciler says; a change of it is an event",
    "custody_signer_health": "a mirror of what signers say of themselves",
    "custody_utxo": "a mirror of the chain",
    "kyc_webhook_endpoint": "written by the owner when a provider is connected",
    "kyc_webhook_delivery": "bytes as they arrived",
    "kyc_unverified_delivery": "bytes as they arrived",
    "kyc_provider_snapshot": "a mirror of the provider's file",
    "django_session": "cookies' drawers: rights come from access_session alone",
    "django_content_type": "names of models; nothing of ours reads them",
    "django_migrations": "the owner's, who migrates; no role writes there",
}
