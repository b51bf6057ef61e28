"""What an account pays for trading: asked for by one officer, approved by two others, told to the engine.

A lower fee is the house's money, and the account may be a friend's: nobody gives one alone, and the database
asks for the approved request whenever the row changes. A worker tells the engine whatever stands there by
then; that the engine took it is known once its events say so.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.conf import settings

from core import approvals, audit, outbox
from core.action import action
from core.actor import Actor
from core.approvals.kinds import Kind
from core.approvals.models import ApprovalRequest
from core.refusals import Refused
from customers.queries import customer
from engine_bridge import locks
from engine_bridge.actions import alerts, entitled
from engine_bridge.actions.accounts import open_account
from engine_bridge.domain.fees import LEVELS, Rates, from_texts, texts
from engine_bridge.events import Event, FeesWanted
from engine_bridge.models import AccountFees
from engine_bridge.permissions import Permission
from kernel import canonical

TEAMS: Final = {"officers": 2}


class UnknownLevel(Refused):
    """The venue has no such level."""

    code = "fees.unknown_level"
    status = 422


class SameFees(Refused):
    """The account has this level, at these rates, already."""

    code = "fees.unchanged"


class Overtaken(Refused):
    """Another request took this one's place."""

    code = "fees.overtaken"


@action(Event.FEES_ASKED)
def ask_fee_level(
    *, customer_id: UUID, level: str, reason: str, actor: Actor, now: datetime
) -> ApprovalRequest:
    """Open the request on which two others decide. What they sign are the rates; the level is their name."""
    target = f"customers.customer/{customer_id}"
    officer = entitled.officer(actor, Permission.PROPOSE_FEES, to="ask for fees", target=target, now=now)
    why = entitled.said(reason, target=target)
    if level not in LEVELS:
        raise UnknownLevel("Nothing was asked: this venue has no such fee level.", target=target)
    account = open_account(customer_id=customer(customer_id).pk, now=now)
    row, own = locks.fees(account.pk, now=now), LEVELS[level]
    if (row.level, row.own) == (level, own):
        raise SameFees("Nothing was asked: the account has this level already.", target=target)
    maker, taker = texts(own)
    maker_before, taker_before = texts(row.own)
    payload: dict[str, canonical.Value] = {
        "v": 1,
        "kind": KIND.name,
        "deployment": settings.DEPLOYMENT,
        "customer": str(customer_id),
        "level": level,
        "level_before": row.level,
        "maker_ppm": maker,
        "taker_ppm": taker,
        "maker_ppm_before": maker_before,
        "taker_ppm_before": taker_before,
        "reason": why,
        "maker": str(officer.pk),
    }
    audit.record(Event.FEES_ASKED, row, actor=actor, now=now, after={"level": level}, reason=why)
    request = approvals.open(
        KIND,
        payload,
        maker=officer,
        teams=TEAMS,
        subject=row,
        actor=actor,
        now=now,
        facts={"customer": str(customer_id), "fee_level": level},
    )
    AccountFees.objects.filter(pk=row.pk).update(request=request.pk)
    return request


def _set(request: ApprovalRequest, *, actor: Actor, now: datetime) -> None:
    """Want the rates that were signed, in the transaction of the deciding signature."""
    row = locks.fees(int(request.subject.rpartition("/")[2]), now=now)
    if row.request != request.pk:
        raise Overtaken(
            "Nothing was changed: another request was made about this account since.", target=request.subject
        )
    members = canonical.decode_object(bytes(request.payload))
    own = from_texts(str(members["maker_ppm"]), str(members["taker_ppm"]))
    level = str(members["level"])
    approvals.consume(request, now=now)
    maker, taker = own or (None, None)
    AccountFees.objects.filter(pk=row.pk, request=request.pk).update(
        level=level,
        maker_ppm=maker,
        taker_ppm=taker,
        request=None,
        approved_request=request.pk,
        decided_at=now,
        confirmed_at=None,
    )
    audit.record(
        Event.FEES_APPROVED,
        row,
        actor=actor,
        now=now,
        before=_said(row.level, row.own),
        after=_said(level, own) | {"request": request.pk, "customer": members["customer"]},
    )
    outbox.publish(FeesWanted(account=row.pk), now=now)


@action(Event.FEES_CONFIRMED)
def confirm_fees(*, account: int, own: Rates | None, actor: Actor, now: datetime) -> None:
    """Write down that the engine's events say what is wanted; nothing where another one is by now."""
    row = locks.fees(account, now=now)
    if row.own == own and row.confirmed_at is None:
        AccountFees.objects.filter(pk=row.pk, confirmed_at=None).update(confirmed_at=now)
        audit.record(Event.FEES_CONFIRMED, row, actor=actor, now=now, after=_said(row.level, own))


@action(Event.FEES_DEVIATED)
def note_fees_deviated(*, account: int, told: Rates | None, actor: Actor, now: datetime) -> None:
    """Tell people that the engine takes other fees than those it had taken up; it is told anew."""
    is_new = not AccountFees.objects.filter(pk=account).exists()
    row = locks.fees(account, now=now)
    if row.own == told or (row.confirmed_at is None and not is_new):
        return
    AccountFees.objects.filter(pk=row.pk).update(confirmed_at=None, decided_at=now)
    audit.record(
        Event.FEES_DEVIATED,
        row,
        actor=actor,
        now=now,
        before=_said(row.level, row.own),
        after=dict(zip(("maker_ppm", "taker_ppm"), texts(told), strict=True)),
    )
    alerts.fees_deviate(row, told, now=now)


def _said(level: str, own: Rates | None) -> dict[str, canonical.Value]:
    maker, taker = texts(own)
    return {"level": level, "maker_ppm": maker, "taker_ppm": taker}


KIND: Final = Kind(
    name="engine.fee_level",
    permission=Permission.APPROVE_FEES,
    on_approved=_set,
    title="Fees of an account",
    floor=TEAMS,
    facts=frozenset({"customer", "fee_level"}),
    approve_within=timedelta(days=1),
)
