"""What each database role may do, on top of the owner that migrates.

The console, the trader API and the workers are three roles. All of them read and write the ordinary tables;
to the tables of record they may only add rows, and only in the columns that the database does not fill.
"""

from __future__ import annotations

from typing import Final

ROLES: Final = ("cs_console", "cs_trader", "cs_worker")

READERS: Final[dict[str, tuple[str, ...]]] = {
    "cs_reconciler": (
        *("ledger_account", "custody_wallet", "custody_block", "custody_address", "custody_deposit"),
        *("custody_payment", "custody_withdrawal", "custody_refill", "custody_sweep", "custody_utxo"),
        *("custody_payment_version", "custody_signer_health"),
        # Credits against no coins, and what officers signed for them.
        *("ledger_entry", "ledger_posting", "custody_adjustment", "approvals_request", "approvals_signature"),
        # How far settlement has come, and whose account at the venue is whose.
        *("engine_cursor", "engine_account"),
    )
}
"""Roles that write nothing, each with the only tables that it reads."""

ADD_ONLY: Final[dict[str, str]] = {
    "audit_event": "canon, act",
    "factors_handed_over": "id, glass_id, what, channel, person_id, receipt, handed_over_at",
    "ledger_entry": "id, kind, reference, posted_at",
    "ledger_posting": "entry_id, account_id, asset, units",
    "access_own_account": "id, officer_id, customer_id, found_by, recorded_at",
    "approvals_policy": "version, document, request_id, published_at",
    "approvals_waiver": (
        "id, kind, deployment, payload, subject, policy_version, rule, floor, facts, waived_at"
    ),
    "approvals_signature": (
        "id, request_id, maker_id, digest, officer_id, credential_id, verb, reason, teams,"
        " authenticator_data, client_data, signature, confirmation, signed_at"
    ),
}
"""Table to the columns that roles may insert; no UPDATE, no DELETE."""

CHANGE_ONLY: Final[dict[str, str]] = {
    # What somebody is called is given once: others approve by it, and every event names its actor so. A
    # customer who is erased loses it, by the worker alone (access.0007).
    "access_identity": "access_subject, is_active, display_name, email",
    "access_role_grant": "revoked_at",
    "access_officer_credential": "sign_count, revoked_at",
    "factors_passkey": "state, sign_count, ended_at",
    "factors_code": (
        "state, last_step, drift, throttling_failure_timestamp, throttling_failure_count, ended_at"
    ),
    "factors_glass": "state, seconded_by_id, second_key_id, opened_at, ends_at, ended_at, ended_by_id",
    "factors_challenge": "used_at, outcome, factor",
    "factors_registration": (
        "answered_at, credential_id, public_key, aaguid, attestation, attestation_object, client_data,"
        " request_id"
    ),
    "access_session": "seen_at, moved_at, ended_at, ended_why",
    "access_signed_out_subject": "tokens_before",
    "approvals_request": "state",
    "approvals_policy_draft": "document, state, backtest, request_id, changed_at",
    "audit_subject": "wrapped, destroyed_at",
    "custody_signer_order": "state, request_id, assertion",
    "freezes_freeze": "released_at, release_request",
    "engine_account_fees": (
        "level, maker_ppm, taker_ppm, request, approved_request, decided_at, confirmed_at"
    ),
    "customers_customer": "password, tier, password_asked_at, withdrawals_held_until",
    "customers_api_key": "last_used_at, revoked_at",
    "customers_authenticator": (
        "state, last_step, drift, throttling_failure_timestamp, throttling_failure_count, ended_at"
    ),
    "customers_recovery_code": "used_at",
    "outbox_delivery": "attempts, next_at, done_at, error",
}
"""Table to the only columns that roles may update; no DELETE. Triggers judge the values."""

WORKER_ONLY: Final = ("audit_mention", "audit_checkpoint", "audit_tile", "audit_cosignature")
"""The sealer's tables: readable by all, written by the worker's role alone."""

MIRRORS: Final = (
    *("engine_cursor", "engine_order", "engine_fill", "engine_trading_balance", "engine_told_fees"),
    *("custody_block", "custody_utxo"),
)
"""What the worker's daemons copy from the engine and the chain; nobody else writes there."""

NOT_FOR_TRADERS: Final = (
    "access_own_account",
    "access_role_grant",
    "access_officer_credential",
    "access_session",
    "access_signed_out_subject",
    "factors_passkey",
    "factors_code",
    "factors_glass",
    "factors_challenge",
    "factors_registration",
    "factors_handed_over",
    "approvals_request",
    "approvals_signature",
    "approvals_policy",
    "approvals_policy_draft",
    "approvals_waiver",
    "custody_signer_order",
    "custody_payment_version",
    "custody_version_signature",
    "custody_version_refusal",
    "freezes_freeze",
    "engine_account_fees",
)
"""What the process that faces traders only reads: nobody's rights, consent or freezes change from there."""

# A trigger that says "approvals_request" must mean the real one. Without this a role could put a temporary
# table of that name in its way, and the guards would believe what it holds.
OWN_NAMES_ONLY: Final = """
DO $$
DECLARE
  one regprocedure;
BEGIN
  EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
  FOR one IN SELECT oid FROM pg_proc
              WHERE pronamespace = 'public'::regnamespace AND prokind = 'f'
                AND proname <> 'audit_tripwire'  -- qualifies each name, to be cheap
                AND coalesce(array_to_string(proconfig, ','), '') NOT LIKE '%search_path=%'
  LOOP
    EXECUTE format('ALTER FUNCTION %s SET search_path = public, pg_temp', one);
  END LOOP;
END $$
"""


def statements() -> list[str]:
    """The SQL, in order, idempotent; run as the owner after migrating."""
    everybody = ", ".join(ROLES)
    lines = [
        OWN_NAMES_ONLY,
        "REVOKE ALL ON SCHEMA public FROM PUBLIC",
        f"GRANT USAGE ON SCHEMA public TO {everybody}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {everybody}",
        f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {everybody}",
        f"REVOKE INSERT, UPDATE, DELETE ON django_migrations FROM {everybody}",
        f"REVOKE UPDATE, DELETE ON ledger_account FROM {everybody}",
        f"GRANT UPDATE (lock) ON ledger_account TO {everybody}",
        f"REVOKE DELETE ON ledger_hold FROM {everybody}",
        f"REVOKE UPDATE, DELETE ON outbox_message FROM {everybody}",
        f"REVOKE INSERT, UPDATE, DELETE ON {', '.join(MIRRORS)} FROM cs_console, cs_trader",
    ]
    for table, columns in ADD_ONLY.items():
        lines += [
            f"REVOKE INSERT, UPDATE, DELETE ON {table} FROM {everybody}",
            f"GRANT INSERT ({columns}) ON {table} TO {everybody}",
        ]
    for table, columns in CHANGE_ONLY.items():
        lines += [
            f"REVOKE UPDATE, DELETE ON {table} FROM {everybody}",
            f"GRANT UPDATE ({columns}) ON {table} TO {everybody}",
        ]
    lines += [f"REVOKE INSERT, UPDATE, DELETE ON {table} FROM cs_trader" for table in NOT_FOR_TRADERS]
    lines += [
        f"REVOKE INSERT ({columns}) ON {table} FROM cs_trader"
        for table, columns in ADD_ONLY.items()
        if table in NOT_FOR_TRADERS
    ]
    lines += [
        f"REVOKE UPDATE ({columns}) ON {table} FROM cs_trader"
        for table, columns in CHANGE_ONLY.items()
        if table in (*NOT_FOR_TRADERS, "access_identity")
    ]
    lines += [
        f"REVOKE UPDATE ({CHANGE_ONLY[table]}) ON {table} FROM cs_trader, cs_console"
        for table in ("audit_subject", "outbox_delivery")
    ]
    lines.append("REVOKE UPDATE (display_name, email) ON access_identity FROM cs_trader, cs_console")
    for table in WORKER_ONLY:
        lines += [
            f"REVOKE INSERT, UPDATE, DELETE ON {table} FROM {everybody}",
            f"GRANT INSERT ON {table} TO cs_worker",
        ]
    for role, tables in READERS.items():
        lines += [
            f"GRANT USAGE ON SCHEMA public TO {role}",
            f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {role}",
            f"GRANT SELECT ON {', '.join(tables)} TO {role}",
        ]
    return lines
