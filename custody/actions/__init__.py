"""Custody's writes, a file per noun."""

from custody.actions.addresses import assign_address
from custody.actions.adjustments import request_adjustment
from custody.actions.blocks import OutOfPlace, read_blocks, unwind_block
from custody.actions.bundles import export_bundle, import_signatures
from custody.actions.failures import fail_withdrawal
from custody.actions.moves import NothingDue
from custody.actions.offers import mark_offered, recheck_offer, return_offer
from custody.actions.orders import (
    ask_registry,
    ask_release_of_signers,
    ask_reopening,
    draft_freeze,
    draft_veto,
    expire_order,
    report_answer,
    sign_order,
)
from custody.actions.payments import CoinTaken, mark_handed, report_broadcast, store_built, store_signed
from custody.actions.prices import report_price
from custody.actions.raising import (
    FeeNotRaised,
    mark_version_handed,
    raise_fee,
    report_replaced,
    report_version_refusal,
    store_version_signature,
    store_version_signed,
)
from custody.actions.reconciliations import report_reconciliation, report_told
from custody.actions.recoveries import draft_recovery, sign_recovery
from custody.actions.refills import (
    dismiss_refill,
    fail_refill,
    lapse_refill,
    propose_refill,
    request_refill,
)
from custody.actions.registry import load_registry
from custody.actions.screenings import reject_withdrawal, release_from_screening, report_screening
from custody.actions.settling import book_deposit, correct_fee, settle_payment
from custody.actions.signatures import ask_again, mark_asked, report_refusal, store_signature
from custody.actions.signer_health import report_health, report_journal, warn_of_registries
from custody.actions.statements import report_forgotten, report_learnt, report_memory, take_statement
from custody.actions.sweeping import ask_sweep_again, fail_sweep, lapse_sweep, mark_sweep_asked
from custody.actions.sweeps import dismiss_sweep, propose_sweep, request_sweep
from custody.actions.withdrawals import (
    cancel_withdrawal,
    expire_withdrawal,
    let_go,
    request_withdrawal,
)

__all__ = [
    "CoinTaken",
    "FeeNotRaised",
    "NothingDue",
    "OutOfPlace",
    "ask_again",
    "ask_registry",
    "ask_release_of_signers",
    "ask_reopening",
    "ask_sweep_again",
    "assign_address",
    "book_deposit",
    "cancel_withdrawal",
    "correct_fee",
    "dismiss_refill",
    "dismiss_sweep",
    "draft_freeze",
    "draft_recovery",
    "draft_veto",
    "expire_order",
    "expire_withdrawal",
    "export_bundle",
    "fail_refill",
    "fail_sweep",
    "fail_withdrawal",
    "import_signatures",
    "lapse_refill",
    "lapse_sweep",
    "let_go",
    "load_registry",
    "mark_asked",
    "mark_handed",
    "mark_offered",
    "mark_sweep_asked",
    "mark_version_handed",
    "propose_refill",
    "propose_sweep",
    "raise_fee",
    "read_blocks",
    "recheck_offer",
    "reject_withdrawal",
    "release_from_screening",
    "report_answer",
    "report_broadcast",
    "report_forgotten",
    "report_health",
    "report_journal",
    "report_learnt",
    "report_memory",
    "report_price",
    "report_reconciliation",
    "report_refusal",
    "report_replaced",
    "report_screening",
    "report_told",
    "report_version_refusal",
    "request_adjustment",
    "request_refill",
    "request_sweep",
    "request_withdrawal",
    "return_offer",
    "settle_payment",
    "sign_order",
    "sign_recovery",
    "store_built",
    "store_signature",
    "store_signed",
    "store_version_signature",
    "store_version_signed",
    "take_statement",
    "unwind_block",
    "warn_of_registries",
]
