"""A small exchange with one of everything that the console shows, each waiting for somebody."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import models

from core import access, clock
from core.access.models import Identity, OfficerCredential, RoleGrant
from core.access.roles import Role
from core.approvals.actions import policies, submit_signature
from core.approvals.models import ApprovalRequest, PolicyDraft
from core.audit.models import AuditEvent
from core.factors.actions import ask_glass, invite_signing, issue_challenge, propose_passkey
from core.factors.actions.registering import REGISTER
from core.factors.domain import acts
from core.factors.models import Passkey
from core.freezes.actions import pull_freeze
from core.freezes.models import Freeze
from core.ids import new_id
from core.staff.actions import propose_change
from core.staff.domain import changes
from custody import actions, queries
from custody.domain.journals import Read
from custody.models import Adjustment, Lane, Refill, SignerOrder, Wallet, Withdrawal
from engine_bridge.actions.markets import list_market
from engine_bridge.adapters import vitals
from engine_bridge.adapters.administration import ShardReading
from engine_bridge.domain.markets import LISTINGS
from engine_bridge.models import Instrument
from fixtures.authenticator import Authenticator
from kernel import canonical
from kernel.intent import time_text
from kernel.money import Amount
from kyc.actions import open_case
from kyc.domain.cases import Kind
from kyc.models import Case, KycProfile
from tests.emergencies import at_the_safe
from tests.officers import SAFES, Officer, Staff
from tests.treasury import BTC, ROBOT, Treasury

HEARD = ShardReading(
    epoch=3, state="running", engine_seq=48_210, durable_seq=48_210, event_seq=91_877, queue_depth=2,
    open_orders=418, accounts=37, fsync_p50_us=142, fsync_p99_us=611, journal_bytes=71_303_168,
    snapshot_seq=40_000, state_hash="5f2c" * 16, state_hash_seq=40_000,
    engine_time=datetime(2026, 11, 21, 3, tzinfo=UTC), version="0.1.0",
    consumers={"settlement": 91_877, "archive": 91_800},
)  # fmt: skip
"""The engine's last word, as settlement would have left it."""


PAYS: Final = ["kind", "is", "custody.withdrawal"]
DRAFT: Final = {
    "windows": [
        {
            "name": "a customer's day",
            "when": [PAYS],
            "sum": "usd_cents", "per": "customer", "seconds": 86_400, "at_most": "5000000",
            "teams": {"treasury": 2, "officers": 1}, "rejections": 1,
        },
    ],
    "rules": [
        {
            "name": "nothing large at night",
            "when": [PAYS, ["hour", "below", "6"], ["usd_cents", "above", "10000000"]],
            "deny": "Large withdrawals wait for the morning; ask treasury after 06:00 UTC.",
        },
        {
            "name": "first use of a destination",
            "when": [PAYS, ["destination_class", "is", "new"]],
            "teams": {"compliance": 1, "treasury": 2}, "rejections": 1,
            "approve_s": 14_400, "execute_s": 7_200,
        },
        {
            "name": "payments",
            "when": [["kind", "in", ["custody.withdrawal", "custody.refill", "custody.sweep"]]],
            "teams": {"treasury": 2}, "rejections": 1,
        },
        {
            "name": "credits",
            "when": [["kind", "is", "custody.adjustment"], ["usd_cents", "at_most", "100000000"]],
            "teams": {"officers": 2}, "rejections": 1, "approve_s": 28_800,
        },
        {"name": "tiers", "when": [["kind", "is", "kyc.tier"]], "teams": {"officers": 1}, "rejections": 1},
        {
            "name": "nobody joins at night",
            "when": [["kind", "in", ["staff.join", "staff.grant_role"]], ["hour", "below", "6"]],
            "deny": "The staff changes by day; ask again after 06:00 UTC.",
        },
        {
            "name": "senior officers",
            "when": [["kind", "in", ["staff.join", "staff.grant_role"]], ["role", "is", "senior_officer"]],
            "teams": {"officers": 2, "compliance": 1}, "rejections": 1,
        },
    ],
}  # fmt: skip
"""The next policy, as somebody might really draft it."""


@dataclass(frozen=True)
class Exchange:
    """The rows. `request` asks two of the treasury about `released`. Ana is the maker of everything;
    Una answers customers' questions and may do less than anybody else with a role.
    """

    treasury: Treasury
    held: Withdrawal
    released: Withdrawal
    refill: Refill
    adjustment: Adjustment
    case: Case
    freeze: Freeze
    market: Instrument
    order: SignerOrder
    draft: PolicyDraft
    una: Identity

    @property
    def staff(self) -> Staff:
        return self.treasury.staff

    @property
    def request(self) -> ApprovalRequest:
        found = self.released.request
        assert found is not None
        return found

    def row(self, name: str) -> UUID | str | int:
        """What a URL's parameter of that name stands for."""
        if name == "glass_id":
            return self._asked_glass()
        if name == "sweep_id":
            return self.proposed_sweep()
        if name == "registration_id":
            ana = self.staff.ana.actor
            return invite_signing(label="blue key", reason="a spare", actor=ana, now=self.treasury.now).pk
        found: dict[str, UUID | str | int] = {
            "request_id": self.request.pk,
            "withdrawal_id": self.held.pk,
            "refill_id": self.refill.pk,
            "order_id": self.order.pk,
            "draft_id": self.draft.pk,
            "case_id": self.case.pk,
            "customer_id": self.treasury.tom.pk,
            "freeze_id": self.freeze.pk,
            "person": self.una.pk,
            "grant": RoleGrant.objects.get(identity=self.una, valid_until__isnull=False).pk,
            "credential": OfficerCredential.objects.get(officer=self.staff.ana.identity).pk,
            "factor_id": Passkey.objects.get(user=self.una).pk,
            "symbol": self.market.symbol,
            "event_id": AuditEvent.objects.order_by("id").values_list("id", flat=True)[0],
        }
        return found[name]

    @contextmanager
    def too_full(self) -> Iterator[None]:
        """The hot wallet should hold less; its marks are as before then."""
        hot = Wallet.objects.filter(name="hot")
        hot.update(refill_below=0, target=BTC // 8)
        yield
        hot.update(refill_below=BTC, target=2 * BTC)

    def proposed_sweep(self) -> UUID:
        """What is swept while the hot wallet is too full; likewise."""
        if there := queries.live_sweep(Wallet.objects.get(name="hot")):
            return there.pk
        with self.too_full():
            now = self.treasury.now
            return actions.propose_sweep(source="hot", target="cold", actor=ROBOT, now=now).pk

    def _asked_glass(self) -> UUID:
        """An emergency that Una has asked for; made when it is looked for, so that nothing else sees it."""
        una = Officer(self.una, Authenticator())
        return ask_glass(
            reason="a drill",
            actor=replace(una.actor, proof=at_the_safe(una, SAFES[1])),
            now=self.treasury.now,
        ).pk

    def holder(self, permission: str) -> Identity:
        """The first of the cast who holds it, Ana before all others."""
        return next(one for one in self.cast() if access.allowed(one, permission, self.treasury.now))

    def stranger_to(self, permission: str) -> Identity | None:
        """Somebody with a role who does not hold it; None where every role does."""
        found = (one for one in self.cast() if not access.allowed(one, permission, self.treasury.now))
        return next(found, None)

    def cast(self) -> list[Identity]:
        """Everybody with a role, Ana first."""
        staff = self.staff
        return [one.identity for one in (staff.ana, staff.ben, staff.cy, staff.dot, staff.sam)] + [self.una]


def stock(now: datetime) -> Exchange:
    """Make it, by the same actions as anybody."""
    treasury = Treasury.open(now, refill_below=BTC, target=2 * BTC)
    ana = treasury.staff.ana
    treasury.deposit(BTC // 2)
    treasury.fund("cold", 100 * BTC)
    released = treasury.screened(sats=6_000_000)
    held = treasury.request(sats=4_000_000)
    actions.report_screening(withdrawal_id=held.pk, hits=["on the list of mixers"], actor=ROBOT, now=now)
    held.refresh_from_db()
    refill = actions.propose_refill(target="hot", source="cold", actor=ROBOT, now=now)
    adjustment = actions.request_adjustment(
        customer_id=treasury.tom.pk,
        amount=Amount(25_000_000, "USDT"),
        reason="wire transfer 4711 received",
        reference="wire-4711",
        actor=ana.actor,
        now=now,
    )
    profile = KycProfile.objects.create(customer=treasury.tom, tier=2, officers_rank=2, created_at=now)
    case = open_case(
        profile_id=profile.pk, kind=Kind.REVIEW, reason="the selfie is blurred", actor=ana.actor, now=now
    )
    freeze = pull_freeze(
        scope="market:BTC-USDT", reason="prices differ from every other venue", actor=ana.actor, now=now
    )
    market = list_market(listing=LISTINGS[0], actor=ROBOT, now=now)
    order = actions.draft_freeze(
        wallet="hot", reason="a laptop of treasury was stolen", actor=ana.actor, now=now
    )
    order = actions.sign_order(order_id=order.pk, signed=ana.order(order), actor=ana.actor, now=now)
    draft = policies.save_draft(draft_id=None, text=json.dumps(DRAFT), actor=ana.actor, now=now)
    draft = policies.run_backtest(draft_id=draft.pk, count=100, actor=ana.actor, now=now)
    _open_lane(now)
    una = _una(treasury)
    made = Exchange(treasury, held, released, refill, adjustment, case, freeze, market, order, draft, una)
    people = [getattr(treasury.staff, each.name).identity for each in fields(treasury.staff)]
    for row in (*people, treasury.tom, *(getattr(made, each.name) for each in fields(made))):
        if isinstance(row, models.Model):
            row.refresh_from_db()
    return made


def as_found(exchange: Exchange) -> Exchange:
    """What is not in its database is as if it had just been made: the engine's last word."""
    vitals.leave(HEARD, now=clock.now())
    return exchange


def _open_lane(now: datetime) -> None:
    """The hot wallet pays small sums unattended; two signers have counted one, and the third is stopped."""
    Lane.objects.create(
        wallet=Wallet.objects.get(name="hot"),
        transaction_units_max=2_000_000,
        destination_units_max=3_000_000,
        window_units_max=6_000_000,
        window_s=86_400,
        cooling_off_s=172_800,
        attestation_age_s_max=600,
        registry_version=1,
    )
    actions.report_reconciliation(
        wallet="hot", height=4, on_chain=BTC // 2, in_books=BTC // 2, attested=True, actor=ROBOT, now=now
    )
    for token, used in (("hot-1", 1_502_000), ("hot-2", 1_502_000), ("hot-3", 0)):
        said: dict[str, canonical.Value] = {
            "state": "ready",
            "registry": {"version": 1},
            "journal": {"standing": "aa"},
            "frozen": {} if used else {"hot/lane": "a look at the newest destinations"},
            "lanes": {
                "hot": {
                    "used": str(used),
                    "outstanding": "500000" if used else "0",
                    "share": "4000000",
                    "attested": time_text(now.astimezone(UTC).replace(microsecond=0)),
                    "broken": False,
                    "known": 214,
                }
            },
        }
        actions.report_health(token=token, said=said, now=now)
        sent = {"wallet": "hot", "coins": ["c0" * 32 + ":0"], "units": "500000"}
        waits = {"5e" * 32: {**sent, "at": (now - timedelta(hours=2)).isoformat()}} if used else {}
        actions.report_journal(token=token, read=Read(outstanding=waits))


def _una(treasury: Treasury) -> Identity:
    """She joins as everybody joins after the founding: Ana proposes, Ben and Cy agree. Today she also
    holds her role for a shift, so that there is an elevation, which gives her nothing more.
    """
    subject, mail = "edge-subject-of-una", "una@countersign.example"
    joining = changes.Join(new_id(), "Una Ulrich", mail, subject, (Role.SUPPORT.value,))
    for change in (joining, changes.GrantRole(joining.person, Role.SUPPORT.value, hours=2)):
        request = propose_change(
            change=change, reason="answers the telephone", actor=treasury.staff.ana.actor, now=treasury.now
        )
        for officer in (treasury.staff.ben, treasury.staff.cy):
            signed = officer.answer(request)
            submit_signature(request_id=request.pk, signed=signed, actor=officer.actor, now=treasury.now)
    una = Officer(Identity.objects.get(pk=joining.person), Authenticator())
    _first_passkey(una, treasury)
    return una.identity


def _first_passkey(una: Officer, treasury: Treasury) -> None:
    """She registers a passkey for the console, and Ben agrees that it is hers."""
    session, digest = "0" * 64, bytes(32)
    row = issue_challenge(
        purpose=REGISTER, act="x", digest=digest, session=session, actor=una.actor, now=treasury.now
    )
    made = una.key.registration(
        acts.challenge(bytes(row.nonce), digest), origin=settings.CONSOLE_ORIGIN, rp_id="console.localhost"
    )
    request = propose_passkey(
        challenge_id=row.pk,
        session=session,
        label="key on the ring",
        reason="her first day",
        actor=una.actor,
        now=treasury.now,
        **made,
    )
    ben = treasury.staff.ben
    signed = ben.answer(request)
    submit_signature(request_id=request.pk, signed=signed, actor=ben.actor, now=treasury.now)
