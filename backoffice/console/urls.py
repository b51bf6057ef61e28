"""The console's screens and acts: one line each, naming the permission without which it does not open."""

from __future__ import annotations

from typing import Any

from backoffice.console.entering import enter, leave
from backoffice.console.lines import act, screen
from backoffice.console.people import PEOPLE
from backoffice.console.permissions import Permission as Console
from backoffice.console.views import (
    adjustments,
    approvals,
    audit,
    cases,
    customers,
    engine,
    fees,
    freezes,
    health,
    home,
    live,
    markets,
    policies,
    refills,
    sessions,
    signers,
    sweeps,
    treasury,
    withdrawals,
)
from core.approvals.permissions import Permission as Approvals
from core.audit.permissions import Permission as Audit
from core.factors.domain.strength import Needs
from core.factors.permissions import Permission as Factors
from core.freezes.permissions import Permission as Freezes
from core.health.permissions import Permission as Health
from custody.permissions import Permission as Custody
from engine_bridge.permissions import Permission as Engine
from kyc.permissions import Permission as Kyc

urlpatterns: list[Any] = [
    act("enter", Factors.OWN, enter, "enter", step_up=Needs.ENTER, before_entering=True),
    act("leave", Factors.OWN, leave, "leave", when_moved=True),
    screen("", Console.SEE_HOME, home.show, "home"),
    screen("session/", Factors.OWN, sessions.show, "session"),
    act("session/end-all", Factors.OWN, sessions.end_all, "end_all_sessions", when_moved=True),
    screen("pulse", Console.SEE_HOME, home.pulse, "pulse"),
    screen("live", Console.SEE_HOME, live.show, "live"),
    screen("approvals/", Approvals.SEE_REQUESTS, approvals.index, "approvals"),
    screen("approvals/<uuid:request_id>/", Approvals.SEE_REQUESTS, approvals.show, "approval"),
    screen("approvals/<uuid:request_id>.json", Approvals.SEE_REQUESTS, approvals.document, "approval_json"),
    act("approvals/<uuid:request_id>/sign", Approvals.SEE_REQUESTS, approvals.sign, "sign"),
    act("approvals/<uuid:request_id>/withdraw", Approvals.WITHDRAW_REQUEST, approvals.take_back, "take_back"),
    screen("approvals/policy/", Approvals.SEE_POLICY, policies.index, "policy"),
    act("approvals/policy/draft", Approvals.PROPOSE_POLICY, policies.draft, "draft_policy"),
    screen("approvals/policy/<uuid:draft_id>/", Approvals.SEE_POLICY, policies.show, "policy_draft"),
    act(
        "approvals/policy/<uuid:draft_id>/change", Approvals.PROPOSE_POLICY, policies.change, "change_policy"
    ),
    act("approvals/policy/<uuid:draft_id>/try", Approvals.PROPOSE_POLICY, policies.backtest, "test_policy"),
    act(
        "approvals/policy/<uuid:draft_id>/publish",
        Approvals.PROPOSE_POLICY,
        policies.publish,
        "publish_policy",
        step_up=Needs.ACT,
    ),
    act("approvals/policy/<uuid:draft_id>/drop", Approvals.PROPOSE_POLICY, policies.drop, "drop_policy"),
    screen("withdrawals/", Custody.SEE_WITHDRAWALS, withdrawals.index, "withdrawals"),
    screen("withdrawals/<uuid:withdrawal_id>/", Custody.SEE_WITHDRAWALS, withdrawals.show, "withdrawal"),
    screen(
        "withdrawals/<uuid:withdrawal_id>.json",
        Custody.SEE_WITHDRAWALS,
        withdrawals.document,
        "withdrawal_json",
    ),
    act(
        "withdrawals/<uuid:withdrawal_id>/release",
        Custody.RELEASE_WITHDRAWAL,
        withdrawals.release,
        "release",
        step_up=Needs.MONEY,
    ),
    act(
        "withdrawals/<uuid:withdrawal_id>/reject",
        Custody.REJECT_WITHDRAWAL,
        withdrawals.reject,
        "reject",
        step_up=Needs.ACT,
    ),
    act(
        "withdrawals/<uuid:withdrawal_id>/fail",
        Custody.REJECT_WITHDRAWAL,
        withdrawals.fail,
        "fail",
        step_up=Needs.MONEY,
    ),
    act(
        "withdrawals/<uuid:withdrawal_id>/ask",
        Custody.RELEASE_WITHDRAWAL,
        withdrawals.ask_again,
        "ask_again",
        step_up=Needs.MONEY,
    ),
    act(
        "withdrawals/<uuid:withdrawal_id>/raise",
        Custody.RAISE_FEE,
        withdrawals.raise_fee,
        "raise_fee",
        step_up=Needs.MONEY,
    ),
    screen("treasury/", Custody.SEE_TREASURY, treasury.show, "treasury"),
    screen("treasury/refills.json", Custody.SEE_TREASURY, refills.documents, "refills_json"),
    screen("treasury/refills/<uuid:refill_id>/", Custody.SEE_TREASURY, refills.show, "refill"),
    screen("treasury/refills/<uuid:refill_id>.json", Custody.SEE_TREASURY, refills.document, "refill_json"),
    act(
        "treasury/refills/<uuid:refill_id>/request",
        Custody.PROPOSE_REFILL,
        refills.adopt,
        "adopt_refill",
        step_up=Needs.MONEY,
    ),
    act(
        "treasury/refills/<uuid:refill_id>/dismiss", Custody.DISMISS_REFILL, refills.dismiss, "dismiss_refill"
    ),
    act(
        "treasury/refills/<uuid:refill_id>/export",
        Custody.TRANSFER_BUNDLE,
        refills.export,
        "export_bundle",
        step_up=Needs.MONEY,
    ),
    act(
        "treasury/refills/<uuid:refill_id>/import",
        Custody.TRANSFER_BUNDLE,
        refills.bring_back,
        "import_partial",
        step_up=Needs.MONEY,
    ),
    screen("treasury/sweeps/<uuid:sweep_id>/", Custody.SEE_TREASURY, sweeps.show, "sweep"),
    screen("treasury/sweeps/<uuid:sweep_id>.json", Custody.SEE_TREASURY, sweeps.document, "sweep_json"),
    act(
        "treasury/sweeps/<uuid:sweep_id>/request",
        Custody.PROPOSE_SWEEP,
        sweeps.adopt,
        "adopt_sweep",
        step_up=Needs.MONEY,
    ),
    act("treasury/sweeps/<uuid:sweep_id>/dismiss", Custody.DISMISS_SWEEP, sweeps.dismiss, "dismiss_sweep"),
    act(
        "treasury/sweeps/<uuid:sweep_id>/ask",
        Custody.PROPOSE_SWEEP,
        sweeps.ask_again,
        "ask_sweep_again",
        step_up=Needs.MONEY,
    ),
    act(
        "treasury/sweeps/<uuid:sweep_id>/raise",
        Custody.RAISE_FEE,
        sweeps.raise_fee,
        "raise_sweep_fee",
        step_up=Needs.MONEY,
    ),
    screen("treasury/signers/", Custody.SEE_SIGNERS, signers.index, "signers"),
    act("treasury/signers/freeze", Custody.STOP_SIGNERS, signers.freeze, "freeze_signers"),
    act("treasury/signers/veto", Custody.STOP_SIGNERS, signers.veto, "veto_registry"),
    act(
        "treasury/signers/release",
        Custody.ORDER_SIGNERS,
        signers.release,
        "release_signers",
        step_up=Needs.MONEY,
    ),
    act(
        "treasury/signers/reopen", Custody.ORDER_SIGNERS, signers.reopen, "reopen_signer", step_up=Needs.MONEY
    ),
    act(
        "treasury/signers/registry",
        Custody.ORDER_SIGNERS,
        signers.registry,
        "announce_registry",
        step_up=Needs.MONEY,
    ),
    act(
        "treasury/signers/recovery",
        Custody.ORDER_SIGNERS,
        signers.recovery,
        "draft_recovery",
        step_up=Needs.MONEY,
    ),
    screen("treasury/signers/orders/<uuid:order_id>/", Custody.SEE_SIGNERS, signers.show, "signer_order"),
    screen(
        "treasury/signers/orders/<uuid:order_id>.json",
        Custody.SEE_SIGNERS,
        signers.document,
        "signer_order_file",
    ),
    act("treasury/signers/orders/<uuid:order_id>/sign", Custody.STOP_SIGNERS, signers.sign, "sign_order"),
    act(
        "treasury/signers/orders/<uuid:order_id>/recover",
        Custody.ORDER_SIGNERS,
        signers.sign_recovery,
        "sign_recovery",
    ),
    screen("treasury/adjustments/", Custody.SEE_TREASURY, adjustments.index, "adjustments"),
    act(
        "treasury/adjustments/propose",
        Custody.PROPOSE_ADJUSTMENT,
        adjustments.propose,
        "propose_adjustment",
        step_up=Needs.MONEY,
    ),
    screen("identity/", Kyc.SEE_CASES, cases.index, "cases"),
    screen("identity/<uuid:case_id>/", Kyc.SEE_CASES, cases.show, "case"),
    act("identity/<uuid:case_id>/evidence", Kyc.SEE_EVIDENCE, cases.evidence, "evidence", step_up=Needs.ACT),
    act("identity/<uuid:case_id>/take", Kyc.DECIDE_CASES, cases.take, "take_case"),
    act("identity/<uuid:case_id>/close", Kyc.DECIDE_CASES, cases.close, "close_case"),
    act(
        "identity/<uuid:case_id>/propose", Kyc.DECIDE_CASES, cases.propose, "propose_tier", step_up=Needs.ACT
    ),
    screen("identity/customers/<uuid:customer_id>/", Kyc.SEE_CASES, customers.show, "customer"),
    act(
        "identity/customers/<uuid:customer_id>/erase",
        Kyc.REQUEST_ERASURE,
        customers.erase,
        "erase_customer",
        step_up=Needs.ACT,
    ),
    screen("engine/", Engine.SEE_MARKETS, engine.show, "engine"),
    act("engine/verify", Engine.VERIFY_JOURNAL, engine.verify, "verify_journal"),
    act("engine/rebuild", Engine.REBUILD_MIRRORS, engine.rebuild, "rebuild_mirrors", step_up=Needs.ACT),
    screen("markets/", Engine.SEE_MARKETS, markets.index, "markets"),
    screen("markets/<slug:symbol>/", Engine.SEE_MARKETS, markets.show, "market"),
    act("markets/<slug:symbol>/stop", Engine.HALT_MARKETS, markets.stop, "stop_market"),
    act(
        "markets/<slug:symbol>/release",
        Engine.HALT_MARKETS,
        markets.ask_release,
        "ask_market_release",
        step_up=Needs.MONEY,
    ),
    act("markets/<slug:symbol>/band/narrow", Engine.HALT_MARKETS, markets.narrow_band, "narrow_band"),
    act(
        "markets/<slug:symbol>/band/ask",
        Engine.HALT_MARKETS,
        markets.ask_band,
        "ask_band",
        step_up=Needs.MONEY,
    ),
    screen("fees/", Engine.SEE_MARKETS, fees.index, "fees"),
    act("fees/ask", Engine.PROPOSE_FEES, fees.ask, "ask_fee_level", step_up=Needs.MONEY),
    screen("audit/", Audit.SEE_EVENTS, audit.index, "audit"),
    screen("audit/reads/", Audit.SEE_EVENTS, audit.reads, "reads"),
    screen("audit/seals/", Audit.SEE_EVENTS, audit.seals, "seals"),
    act("audit/export", Audit.EXPORT_EVENTS, audit.export, "export_log", step_up=Needs.ACT),
    screen("audit/<int:event_id>/", Audit.SEE_EVENTS, audit.show, "event"),
    screen("freezes/", Freezes.SEE_FREEZES, freezes.index, "freezes"),
    act("freezes/pull", Freezes.PULL_FREEZE, freezes.pull, "pull_freeze"),
    act(
        "freezes/<uuid:freeze_id>/release",
        Freezes.ASK_RELEASE,
        freezes.ask_release,
        "ask_release",
        step_up=Needs.MONEY,
    ),
    *PEOPLE,
    screen("health/", Health.SEE_PROBES, health.show, "health"),
]

handler400 = "backoffice.console.views.errors.bad_request"
handler403 = "backoffice.console.views.errors.forbidden"
handler404 = "backoffice.console.views.errors.not_found"
handler500 = "backoffice.console.views.errors.failed"
