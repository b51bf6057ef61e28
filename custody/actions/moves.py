"""What is done to refills and sweeps alike, inside the act that is about one: proposed, put before the
checkers, answered, ended. Primitives.
"""

from __future__ import annotations

from collections.abc import Set
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar, TypeVar

from django.conf import settings
from django.db import IntegrityError, transaction

from core import action as actions
from core import approvals, audit, freezes
from core.access.models import Identity
from core.actor import Actor
from core.approvals import moving
from core.approvals.domain.requests import State as RequestState
from core.approvals.models import ApprovalRequest
from core.refusals import Refused
from custody import queries
from custody.actions import announcing, claims
from custody.actions.withdrawals import whole_seconds
from custody.domain.payments import Step
from custody.domain.withdrawals import CLOCKS_DIFFER_MAX
from custody.events import Event
from custody.models import Address, Payment, Refill, Sweep, Wallet
from kernel import canonical
from kernel.intent import Intent
from kernel.money import Amount

M = TypeVar("M", Refill, Sweep)


class NothingDue(Refused):
    """The hot wallet holds what it should, or one is under way, or the other wallet has nothing to give."""

    code: ClassVar[str] = "refill.nothing_due"


class Outdated(Refused):
    """The wallets have changed since it was proposed."""

    code: ClassVar[str] = "refill.outdated"


def propose(
    of: type[M],
    *,
    source: Wallet,
    target: Wallet,
    amount: Amount,
    fee_cap: Amount,
    event: Event,
    where: dict[str, str],
    actor: Actor,
    now: datetime,
) -> M:
    """A proposal, to the target's first address; NothingDue where another came first. `where` says in the
    log which wallet it is about.
    """
    actions.current()
    noun = of._meta.model_name
    try:
        with transaction.atomic():
            row = of.objects.create(
                source=source,
                target=target,
                asset=amount.asset,
                units=amount.units,
                fee_cap_units=fee_cap.units,
                destination=Address.objects.get(wallet=target, index=0).address,
                proposed_at=now,
            )
    except IntegrityError as error:
        about = f"custody.wallet/{next(iter(where.values()))}"
        raise NothingDue(f"Nothing was proposed: a {noun} is under way.", target=about) from error
    after = {"state": row.state, "amount": amount, **where}
    audit.record(event, row, actor=actor, now=now, after=after)
    announcing.moved(row, now=now)
    return row


def check_asked(row: Refill | Sweep) -> None:
    """Whether it may be asked for now, but for its amount: WrongState, Frozen."""
    row.check_step(row.STATES("requested"))
    freezes.check(*queries.stops(row))


def put_before_checkers(
    row: Refill | Sweep, kind: str, *, maker: Identity, event: Event, reason: str, actor: Actor, now: datetime
) -> None:
    """Open its request: the intent says the row, and as its maker who asks for it."""
    actions.current()
    policy = queries.policy(kind)

    def meant(life: timedelta) -> Intent:
        return Intent(
            kind=kind,
            deployment=settings.DEPLOYMENT,
            network=settings.NETWORK,
            amount=row.amount,
            destination=row.destination,
            destination_label=f"{row.target.name} wallet, address 0",
            fee_cap=row.fee_cap,
            source=row.source.name,
            reference=row.pk,
            maker=maker.pk,
            policy=policy.version,
            expires=whole_seconds(now) + life,
        )

    request = approvals.open(
        kind,
        lambda life: canonical.decode_object(meant(life).encoded()),
        maker=maker,
        teams=policy.teams,
        subject=row,
        actor=actor,
        now=now,
        facts={
            **queries.facts_of(row.amount, now=now),
            "source": row.source.name,
            "destination": row.destination,
            "destination_class": "own",
        },
    )
    expires = Intent.parse(bytes(request.payload)).expires
    _step(
        row,
        row.STATES("requested"),
        event=event,
        said={"maker": maker.pk, "request": request.pk},
        actor=actor,
        now=now,
        reason=reason,
        changes={"request": request, "maker": maker, "expires_at": expires, "reason": reason[:500]},
    )


def approve(
    row: Refill | Sweep, request: ApprovalRequest, *, event: Event, actor: Actor, now: datetime
) -> None:
    """Carry the quorum's yes into it."""
    said = {"digest": bytes(request.digest)}
    _step(row, row.STATES("approved"), event=event, said=said, actor=actor, now=now)


def end(
    row: Refill | Sweep, state: StrEnum, *, event: Event, actor: Actor, now: datetime, reason: str = ""
) -> None:
    """Move it to where it ends, and take back a request that would still let it be paid."""
    request = row.request
    changes = {"reason": reason or row.reason}
    _step(row, state, event=event, actor=actor, now=now, reason=reason, changes=changes)
    if request is not None and request.state in (RequestState.OPEN, RequestState.APPROVED):
        moving.move(request, RequestState.WITHDRAWN, now=now)


def lapse(
    row: Refill | Sweep, payment: Payment | None, *, out: Set[str], event: Event, actor: Actor, now: datetime
) -> bool:
    """End one that stands where signatures may be `out`, once its intent is void for every clock and too few
    have come back; whether it was so. Its coins are as they were.
    """
    is_signed = payment is not None and queries.is_complete(payment)
    is_void = row.expires_at is not None and row.expires_at + CLOCKS_DIFFER_MAX <= now
    if row.state not in out or not is_void or is_signed:
        return False
    end(row, row.STATES("lapsed"), event=event, actor=actor, now=now)
    return True


def fail(
    row: Refill | Sweep,
    payment: Payment | None,
    *,
    event: Event,
    actor: Actor,
    now: datetime,
    reason: str,
) -> None:
    """Give one up that can pay nothing any more, with its coins free again; StillPayable where it could."""
    overtaken = row.state in (Step.CONFLICTED, "lapsed")
    if payment is not None and overtaken and not claims.has_final_rival(payment):
        target = f"{row._meta.label_lower}/{row.pk}"
        raise claims.StillPayable(
            "Nothing was changed: its transaction could still be confirmed.", target=target
        )
    end(row, row.STATES("failed"), event=event, actor=actor, now=now, reason=reason)
    if payment is not None:
        claims.release(payment, now=now)


def _step(
    row: Refill | Sweep,
    state: StrEnum,
    *,
    event: Event,
    actor: Actor,
    now: datetime,
    reason: str = "",
    said: dict[str, Any] | None = None,
    changes: dict[str, Any] | None = None,
) -> None:
    actions.current()
    before = {"state": row.state}
    row.move_to(state, **(changes or {}))
    after = {"state": row.state, **(said or {})}
    audit.record(event, row, actor=actor, now=now, before=before, after=after, reason=reason)
    announcing.moved(row, now=now)
