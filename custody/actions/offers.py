"""Whom a screened withdrawal is put before: the signers' lane, or officers, also after the lane said no."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from django.conf import settings

from core import approvals, audit
from core.access.models import Identity
from core.action import action
from core.actor import Actor
from core.approvals.policies import PolicyRefuses
from core.refusals import Refused
from custody import locks, queries
from custody.actions import announcing, withdrawals
from custody.actions.payments import update
from custody.domain import beneficiaries
from custody.domain.withdrawals import (
    CLOCKS_DIFFER_MAX,
    OFFER_LIFE,
    SCREEN_WITHIN,
    State,
)
from custody.events import Event
from custody.models import Payment, Withdrawal
from kernel import canonical, intent
from kernel.customer import REMOVAL
from kernel.intent import Intent
from kernel.policy import Fact

CLEAR: Final = "clear"
HELD: Final = "held"
"""What the policy is told of the screening: whether it had something to say that an officer looked into."""


class StillOffered(Refused):
    """The signers may yet take it."""

    code = "payment.still_offered"


def is_known(row: Withdrawal, *, now: datetime) -> bool:
    """Whether the destination needs no first look: an officer cleared it, or the customer signed it and
    enough signers have known that for the cooling-off.
    """
    return is_cleared(row) or _is_usable(row, now=now)


def is_cleared(row: Withdrawal) -> bool:
    """Whether an officer cleared the destination, and the customer has not taken it back since. Named again
    it is as new as any other: whoever names it now need not be who did when the officer looked.
    """
    at = row.beneficiary.cleared_at
    return at is not None and not queries.was_removed_since(row.customer_id, row.destination, at)


def automatic() -> Identity:
    """The service identity that makes what no officer released."""
    return Identity.objects.get(pk=beneficiaries.AUTOMATIC)


def is_for_lane(row: Withdrawal, *, now: datetime) -> bool:
    """Whether the signers' lane could take it, if the policy asks nobody.

    What is looked at here saves asking in vain; what is paid, the signers decide by their own journals.
    """
    lane = queries.withdrawal_lane()
    whole = row.units + row.fee_cap_units
    return lane is not None and whole <= lane.transaction_units_max and _is_usable(row, now=now)


def offer(row: Withdrawal, *, actor: Actor, now: datetime) -> bool:
    """Put a withdrawal that is for the lane before it, if the policy asks nobody."""
    row.check_step(State.OFFERED)
    maker, expires = automatic(), withdrawals.whole_seconds(now) + OFFER_LIFE
    waiver = approvals.waive(
        intent.WITHDRAWAL,
        _meant(row, maker, expires=expires),
        maker=maker,
        teams=queries.policy(intent.WITHDRAWAL).teams,
        subject=row,
        actor=actor,
        now=now,
        facts=_facts(row, risk=CLEAR, now=now),
    )
    if waiver is None:
        return False
    row.move_to(State.OFFERED, waiver=waiver, maker=maker, expires_at=expires)
    return True


@action(Event.PAYMENT_OFFERED)
def mark_offered(*, payment_id: UUID, actor: Actor, now: datetime) -> Payment:
    """Note that signers are about to be asked without officers: from here on a signature may exist that we
    have not seen.

    Said twice, or later, it changes nothing. Like `recheck_offer` it asks no signer for what may not go on.
    """
    row = locks.payment(payment_id)
    owner = row.owner
    if not isinstance(owner, Withdrawal) or not _goes_on(owner, actor=actor, now=now):
        return row
    if row.offered_at is not None:
        return row
    update(row, offered_at=now)
    audit.record(
        Event.PAYMENT_OFFERED, row, actor=actor, now=now, after={"state": owner.state, "txid": row.txid}
    )
    return row


@action(Event.WITHDRAWAL_RETURNED)
def recheck_offer(*, withdrawal_id: UUID, actor: Actor, now: datetime) -> Withdrawal:
    """An offered withdrawal, looked at before each step of the lane: its coins, each signer, the signatures.

    Where the customer has removed the destination meanwhile it goes before officers; under a freeze it stays
    where it is and the caller hears Refused. Everything else is returned as it stands.
    """
    row = locks.withdrawal(withdrawal_id)
    _goes_on(row, actor=actor, now=now)
    return row


@action(Event.WITHDRAWAL_RETURNED)
def return_offer(*, withdrawal_id: UUID, actor: Actor, now: datetime) -> Withdrawal:
    """Put before officers what the lane was offered and nobody answered; not before it is void everywhere."""
    row = locks.withdrawal(withdrawal_id)
    if row.state != State.OFFERED:
        return row
    if row.expires_at + CLOCKS_DIFFER_MAX > now:
        raise StillOffered("Nothing was changed: the signers may yet take it.", target=_name(row))
    give_back(row, why="no answer within the hour", actor=actor, now=now)
    announcing.moved(row, now=now)
    return row


def give_back(row: Withdrawal, *, why: str, actor: Actor, now: datetime) -> None:
    """Ask officers about an offered withdrawal that the lane does not take. Its hold, and its transaction
    with the coins that it claims, stay: it can only be paid by that one.
    """
    reason = f"The signers' lane did not take it: {why}"[:500]
    try:
        put_before_checkers(row, automatic(), risk=CLEAR, actor=actor, now=now, reason=reason)
    except PolicyRefuses as refusal:
        row.move_to(State.ON_HOLD, reason=f"{refusal} {reason}"[:500], expires_at=now + SCREEN_WITHIN)
    audit.record(
        Event.WITHDRAWAL_RETURNED,
        row,
        actor=actor,
        now=now,
        before={"state": State.OFFERED},
        after={"state": row.state, "request": row.request_id},
        reason=row.reason,
    )


def put_before_checkers(
    row: Withdrawal,
    maker: Identity,
    *,
    risk: str,
    actor: Actor,
    now: datetime,
    reason: str = "",
    was_for_lane: bool = False,
) -> None:
    """Open the request over the canonical intent, under the policy in force, and link it."""
    row.check_step(State.SCREENED)
    policy, moment = queries.policy(intent.WITHDRAWAL), withdrawals.whole_seconds(now)
    request = approvals.open(
        intent.WITHDRAWAL,
        lambda life: _meant(row, maker, expires=moment + life),
        maker=maker,
        teams=policy.teams,
        subject=row,
        actor=actor,
        now=now,
        facts=_facts(row, risk=risk, now=now),
        was_for_lane=was_for_lane,
    )
    expires = Intent.parse(bytes(request.payload)).expires
    changes = {"reason": reason} if reason else {}
    row.move_to(State.SCREENED, request=request, maker=maker, expires_at=expires, **changes)


def _goes_on(row: Withdrawal, *, actor: Actor, now: datetime) -> bool:
    """Whether the lane may go on with a claimed withdrawal; Refused under a freeze or a hold."""
    if row.state != State.OFFERED:
        return False
    if not _is_usable(row, now=now):
        give_back(row, why=_why_not(row), actor=actor, now=now)
        announcing.moved(row, now=now)
        return False
    queries.check_stops(row, now=now)
    return True


def _why_not(row: Withdrawal) -> str:
    said = queries.newest_about(row.customer_id, row.destination)
    if said is not None and said.kind == REMOVAL:
        return "the customer removed the destination"
    return "too few signers know the destination for long enough now"


def _is_usable(row: Withdrawal, *, now: datetime) -> bool:
    lane = queries.withdrawal_lane()
    if lane is None:
        return False
    usable = queries.usable_at(row.customer_id, row.destination, lane=lane)
    return usable is not None and usable <= now


def _facts(row: Withdrawal, *, risk: str, now: datetime) -> dict[str, Fact]:
    return {
        **queries.facts_of(row.amount, now=now),
        "source": queries.policy(intent.WITHDRAWAL).source,
        "destination": row.destination,
        "destination_class": "known" if is_known(row, now=now) else "new",
        "customer": str(row.customer_id),
        "customer_tier": row.customer.tier,
        "risk": risk,
    }


def _meant(row: Withdrawal, maker: Identity, *, expires: datetime) -> dict[str, canonical.Value]:
    """The payload of the intent."""
    policy = queries.policy(intent.WITHDRAWAL)
    meant = Intent(
        kind=intent.WITHDRAWAL,
        deployment=settings.DEPLOYMENT,
        network=settings.NETWORK,
        amount=row.amount,
        destination=row.destination,
        destination_label=row.beneficiary.label,
        fee_cap=row.fee_cap,
        source=policy.source,
        reference=row.pk,
        customer=row.customer_id,
        maker=maker.pk,
        policy=policy.version,
        expires=expires,
    )
    return canonical.decode_object(meant.encoded())


def _name(row: Withdrawal) -> str:
    return f"custody.withdrawal/{row.pk}"
