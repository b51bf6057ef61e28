"""One act of every kind that takes approval, asked for by Ana."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, TypeAlias

from django.conf import settings

from core.access.roles import Role
from core.approvals import kinds
from core.approvals.actions import policies, submit_signature
from core.approvals.models import ApprovalRequest
from core.factors.actions import begin_code, issue_challenge, propose_code, propose_passkey
from core.factors.actions.registering import REGISTER
from core.factors.domain import acts
from core.freezes.actions import ask_release
from core.ids import new_id
from core.staff.actions import propose_change
from core.staff.domain import changes
from custody import actions
from custody.models import Adjustment, Refill, SignerOrder, Sweep
from engine_bridge.actions import ask_band, ask_fee_level, ask_market_release, stop_market
from engine_bridge.actions.bands import adopt_band
from engine_bridge.domain.markets import Band
from fixtures.authenticator import AAGUID, App, Authenticator
from kernel.money import Amount
from kyc.actions import propose_tier, request_erasure
from kyc.domain.erasures import Basis
from tests.exchange import Exchange
from tests.officers import Officer
from tests.softtoken import hot_registry
from tests.treasury import trader

Ask: TypeAlias = Callable[[str], ApprovalRequest]
DIGEST: Final = b"\x0a" * 32
SESSION: Final = "c" * 64


def promote_dot(exchange: Exchange, now: datetime) -> tuple[Officer, ...]:
    """Dot becomes one more checker; Ana and all who check, so that each act finds enough others."""
    staff = exchange.staff
    grant = changes.GrantRole(staff.dot.identity.pk, Role.COMPLIANCE_OFFICER.value)
    promotion = propose_change(change=grant, reason="one more checker", actor=staff.ana.actor, now=now)
    for officer in (staff.ben, staff.cy):
        sign(officer, promotion, now)
    return staff.ana, staff.ben, staff.cy, staff.dot


def sign(officer: Officer, request: ApprovalRequest, now: datetime, *no: str) -> None:
    """The officer agrees, or says `no` for this reason."""
    signed = officer.answer(request, *(("reject", *no) if no else (request.agreeing,)))
    request.state = submit_signature(request_id=request.pk, signed=signed, actor=officer.actor, now=now).state


def approve(
    request: ApprovalRequest, officers: tuple[Officer, ...], now: datetime, *, follows: bool = False
) -> None:
    """Bring it to where its quorum is met. Unless it `follows`, nothing has, as if that had been interrupted.

    Its maker comes first.
    """
    declared = kinds.named(request.kind)
    if not follows:
        kinds._registered[request.kind] = replace(declared, on_approved=kinds.nothing)
    try:
        if declared.asks:
            officers[0].asks(request, now)
        for officer in officers[1:]:
            if request.state == "open":
                sign(officer, request, now)
    finally:
        kinds._registered[request.kind] = declared
    assert request.state in ("approved", "consumed"), request.kind


def of_every_kind(exchange: Exchange, now: datetime) -> Iterator[Ask]:
    """How each is asked for with a reason; the next when the one before has been carried out."""
    ana = exchange.staff.ana
    by: dict[str, Any] = {"actor": ana.actor, "now": now}

    def sweep(reason: str) -> ApprovalRequest:
        proposed = exchange.proposed_sweep()
        with exchange.too_full():  # and low only then: a sweep waits for a refill that somebody asked for
            return _request(actions.request_sweep(sweep_id=proposed, reason=reason, **by))

    yield lambda reason: exchange.request
    yield sweep
    refill = exchange.refill.pk
    yield lambda reason: _request(actions.request_refill(refill_id=refill, reason=reason, **by))
    credit: dict[str, Any] = {"amount": Amount(1, "USDT"), "reference": "wire-4712", **by}
    tom = exchange.treasury.tom.pk
    yield lambda reason: _request(actions.request_adjustment(customer_id=tom, reason=reason, **credit))
    yield lambda reason: ask_release(freeze_id=exchange.freeze.pk, reason=reason, **by)
    symbol = exchange.market.symbol
    stop_market(symbol=symbol, state="halted", reason="one price", **by)
    yield lambda reason: ask_market_release(symbol=symbol, reason=reason, **by)
    stranger: dict[str, Any] = {"customer_id": trader("Ora", tier=0).pk, "basis": Basis.ASKED}
    yield lambda reason: request_erasure(reason=reason, officer=ana.identity, **stranger, **by).request
    yield lambda reason: ask_fee_level(customer_id=tom, level="VIP1", reason=reason, **by)
    adopt_band(instrument=exchange.market.pk, found=Band(50_000, 0), **by)
    yield lambda reason: ask_band(symbol=symbol, percent="7.5", reason=reason, **by)
    case: dict[str, Any] = {"case_id": exchange.case.pk, "tier": 3, "officer": ana.identity, **by}
    yield lambda reason: propose_tier(reason=reason, **case)
    new = hot_registry(version=2, deployment=settings.DEPLOYMENT)
    actions.report_health(token="hot-1", said={"journal": {"standing": "cd" * 32}}, now=now)
    yield lambda reason: _request(actions.ask_release_of_signers(wallet="hot", reason=reason, **by))
    yield lambda reason: _request(actions.ask_reopening(token="hot-1", reason=reason, **by))
    yield lambda reason: _request(actions.ask_registry(new=new, reason=reason, **by))
    yield from _enrolments(by)
    yield from _changes(by)
    # Last: the next policy denies some of the above at night.
    yield lambda reason: policies.ask_publication(draft_id=exchange.draft.pk, reason=reason, **by)


def _request(row: Adjustment | Refill | Sweep | SignerOrder) -> ApprovalRequest:
    assert row.request is not None
    return row.request


def _enrolments(by: dict[str, Any]) -> Iterator[Ask]:
    draft = begin_code(label="telephone", **by)
    digits = App(draft.secret).code(by["now"].timestamp())
    yield lambda reason: propose_code(factor_id=draft.code.pk, digits=digits, reason=reason, **by)
    for sealed in (False, True):
        row = issue_challenge(purpose=REGISTER, act="passkey", digest=DIGEST, session=SESSION, **by)
        made = Authenticator().registration(
            acts.challenge(bytes(row.nonce), DIGEST),
            origin=settings.CONSOLE_ORIGIN,
            rp_id="console.localhost",
        )
        key: dict[str, Any] = {"challenge_id": row.pk, "session": SESSION, "label": "a key", **made, **by}
        yield lambda reason, key=key, sealed=sealed: propose_passkey(  # type: ignore[misc]
            reason=reason, sealed=sealed, **key
        )


def _changes(by: dict[str, Any]) -> Iterator[Ask]:
    """Zoë comes, changes in every way in which somebody can, leaves, and is taken back."""
    zoe, key = new_id(), Authenticator()
    for change in (
        changes.Join(zoe, "Zoë O’Neill", "zoe@countersign.example", "5f1c", (Role.SUPPORT.value,)),
        changes.GrantRole(zoe, Role.AUDITOR.value),
        changes.EndRole(zoe, Role.AUDITOR.value),
        changes.Rebind(zoe, "5f1d"),
        changes.AddPasskey(zoe, key.credential_id, key.public_key_hex, "blue key", str(AAGUID), "packed"),
        changes.RevokePasskey(zoe, key.credential_id),
        changes.Leave(zoe),
        changes.Restore(zoe),
    ):
        yield lambda reason, change=change: propose_change(  # type: ignore[misc]
            change=change, reason=reason, **by
        )
