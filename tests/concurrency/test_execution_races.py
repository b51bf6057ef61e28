"""Workers who carry out one approved act of any kind at the same moment …"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Any, Final
from uuid import UUID

import pytest
from django.conf import settings

from core import audit, clock
from core.access.roles import Role
from core.action import action
from core.actor import Actor
from core.approvals import kinds
from core.approvals.actions import policies, submit_signature
from core.approvals.models import ApprovalRequest
from core.audit.models import AuditEvent
from core.factors.actions import begin_code, issue_challenge, propose_code, propose_passkey
from core.factors.actions.registering import REGISTER
from core.factors.domain import acts
from core.freezes.actions import ask_release
from core.ids import new_id
from core.refusals import Refused
from core.staff.actions import propose_change
from core.staff.domain import changes
from custody import actions
from engine_bridge.actions import ask_band, ask_fee_level, ask_market_release, stop_market
from engine_bridge.actions.bands import adopt_band
from engine_bridge.domain.markets import Band
from fixtures.authenticator import AAGUID, App, Authenticator
from kyc.actions import propose_tier, request_erasure
from kyc.domain.erasures import Basis
from tests.exchange import Exchange, stock
from tests.officers import Officer
from tests.racing import at_once, done
from tests.softtoken import hot_registry
from tests.treasury import trader

EFFECTS: Final = {
    "approvals.policy": "approvals.policy.published",
    "custody.adjustment": "custody.adjustment.posted",
    "custody.refill": "custody.refill.approved",
    "custody.sweep": "custody.sweep.approved",
    "custody.withdrawal": "custody.withdrawal.approved",
    "engine.fee_level": "engine.fees.approved",
    "engine.market_release": "engine.market.released",
    "engine.price_band": "engine.market.band_wanted",
    "factors.enrol_code": "factors.factor.added",
    "factors.enrol_passkey": "factors.factor.added",
    "factors.enrol_sealed": "factors.factor.added",
    "freezes.release": "freezes.freeze.released",
    "kyc.erasure": "kyc.erasure.approved",
    "kyc.tier": "kyc.tier.approved",
    "signer.registry": "custody.signer_order.signed",
    "signer.release": "custody.signer_order.signed",
    "signer.reopen": "custody.signer_order.signed",
    "staff.add_passkey": "staff.passkey.added",
    "staff.end_role": "staff.role.ended",
    "staff.grant_role": "staff.role.granted",
    "staff.join": "staff.person.joined",
    "staff.leave": "staff.person.left",
    "staff.rebind": "staff.person.subject_bound",
    "staff.restore": "staff.person.restored",
    "staff.revoke_passkey": "staff.passkey.revoked",
}
"""What happens once, in the log's words. Of a payment it is that building may begin, and of an erasure that a
worker may destroy, which uses it up: those races are run in test_custody_races and test_kyc_erasures.
"""
LATER: Final = {"custody.refill", "custody.sweep", "custody.withdrawal", "kyc.erasure"}
SESSION: Final = "c" * 64
DIGEST: Final = b"\x0a" * 32


class Event(StrEnum):
    CARRIED_OUT = "test.carried_out"


@action(Event.CARRIED_OUT)
def carry_out(*, request_id: UUID, actor: Actor, now: datetime) -> str:
    row = ApprovalRequest.objects.get(pk=request_id)
    audit.record(Event.CARRIED_OUT, row, actor=actor, now=now)
    kinds.named(row.kind).on_approved(row, actor=actor, now=now)
    return row.kind


@pytest.mark.usefixtures("real_database")
def test_do_it_once() -> None:
    now = clock.now()
    exchange = stock(now)
    staff = exchange.staff
    grant = changes.GrantRole(staff.dot.identity.pk, Role.COMPLIANCE_OFFICER.value)
    promotion = propose_change(change=grant, reason="one more checker", actor=staff.ana.actor, now=now)
    for officer in (staff.ben, staff.cy):
        _sign(officer, promotion, now)
    raced = set()
    for request in _requests(exchange, now):
        _approve(request, (staff.ana, staff.ben, staff.cy, staff.dot), now)
        happened = AuditEvent.objects.filter(doc__action=EFFECTS[request.kind])
        before = happened.count()
        deed = partial(carry_out, request_id=request.pk, actor=staff.ben.actor, now=now)
        assert done(at_once(deed, deed, deed)) == [request.kind]
        with pytest.raises(Refused):
            deed()
        request.refresh_from_db()
        assert request.state == ("approved" if request.kind in LATER else "consumed")
        assert happened.count() == before + 1, request.kind
        raced.add(request.kind)
    assert raced == kinds.registered().keys() == EFFECTS.keys()


def _sign(officer: Officer, request: ApprovalRequest, now: datetime) -> None:
    signed = officer.answer(request, request.agreeing)
    request.state = submit_signature(request_id=request.pk, signed=signed, actor=officer.actor, now=now).state


def _approve(request: ApprovalRequest, officers: tuple[Officer, ...], now: datetime) -> None:
    """Bring it to where its quorum is met and nothing has followed yet, as if that had been interrupted.

    Its maker comes first.
    """
    declared = kinds.named(request.kind)
    kinds._registered[request.kind] = replace(declared, on_approved=kinds.nothing)
    try:
        if declared.asks:
            officers[0].asks(request, now)
        for officer in officers[1:]:
            if request.state == "open":
                _sign(officer, request, now)
    finally:
        kinds._registered[request.kind] = declared
    assert request.state == "approved", request.kind


def _requests(exchange: Exchange, now: datetime) -> Iterator[ApprovalRequest]:
    """One of each kind, asked for by Ana when the one before has been carried out."""
    ana = exchange.staff.ana
    by: dict[str, Any] = {"actor": ana.actor, "now": now}
    yield exchange.request
    proposed = exchange.proposed_sweep()
    with exchange.too_full():  # and low only then: a sweep waits for a refill that somebody asked for
        sweep = actions.request_sweep(sweep_id=proposed, reason="hot is full", **by)
    refill = actions.request_refill(refill_id=exchange.refill.pk, reason="hot is low", **by)
    assert exchange.adjustment.request is not None
    assert refill.request is not None
    assert sweep.request is not None
    yield from (sweep.request, refill.request, exchange.adjustment.request)
    yield ask_release(freeze_id=exchange.freeze.pk, reason="prices agree again", **by)
    stop_market(symbol=exchange.market.symbol, state="halted", reason="one price", **by)
    yield ask_market_release(symbol=exchange.market.symbol, reason="two prices", **by)
    stranger = trader("Ora", tier=0).pk
    yield request_erasure(
        customer_id=stranger, basis=Basis.ASKED, reason="a letter", officer=ana.identity, **by
    ).request
    yield ask_fee_level(customer_id=exchange.treasury.tom.pk, level="VIP1", reason="volume", **by)
    adopt_band(instrument=exchange.market.pk, found=Band(50_000, 0), **by)
    yield ask_band(symbol=exchange.market.symbol, percent="7.5", reason="it moves", **by)
    yield propose_tier(case_id=exchange.case.pk, tier=3, reason="papers", officer=ana.identity, **by)
    new = hot_registry(version=2, deployment=settings.DEPLOYMENT)
    actions.report_health(token="hot-1", said={"journal": {"standing": "cd" * 32}}, now=now)
    for order in (
        actions.ask_release_of_signers(wallet="hot", reason="found again", **by),
        actions.ask_reopening(token="hot-1", reason="its disk died", **by),
        actions.ask_registry(new=new, reason="Dot", **by),
    ):
        assert order.request is not None
        yield order.request
    yield from _enrolments(ana, now)
    yield from _changes(ana, now)
    # Last: the next policy denies some of the above at night.
    yield policies.ask_publication(draft_id=exchange.draft.pk, reason="as drafted", **by)


def _enrolments(person: Officer, now: datetime) -> Iterator[ApprovalRequest]:
    draft = begin_code(label="telephone", actor=person.actor, now=now)
    digits = App(draft.secret).code(now.timestamp())
    by: dict[str, Any] = {"reason": "a spare", "actor": person.actor, "now": now}
    yield propose_code(factor_id=draft.code.pk, digits=digits, **by)
    for sealed in (False, True):
        row = issue_challenge(
            purpose=REGISTER, act="passkey", digest=DIGEST, session=SESSION, actor=person.actor, now=now
        )
        made = Authenticator().registration(
            acts.challenge(bytes(row.nonce), DIGEST),
            origin=settings.CONSOLE_ORIGIN,
            rp_id="console.localhost",
        )
        yield propose_passkey(
            challenge_id=row.pk, session=SESSION, label="a key", sealed=sealed, **made, **by
        )


def _changes(maker: Officer, now: datetime) -> Iterator[ApprovalRequest]:
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
        yield propose_change(change=change, reason="as agreed", actor=maker.actor, now=now)
