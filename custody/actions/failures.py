"""A withdrawal given up after it was built, when nobody can be paid by it any more."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from core.action import action
from core.actor import Actor
from custody import locks, queries
from custody.actions import claims, entitled, withdrawals
from custody.domain.withdrawals import CLOCKS_DIFFER_MAX, State
from custody.events import Event
from custody.models import Payment, Withdrawal
from custody.permissions import Permission


@action(Event.WITHDRAWAL_FAILED)
def fail_withdrawal(*, withdrawal_id: UUID, reason: str, actor: Actor, now: datetime) -> Withdrawal:
    """A withdrawal given up after it was built, with its funds free again.

    Nobody can be paid twice by it: either no signer was ever asked by officers (what the lane refused is kept
    until `let_go`), or a coin of it was spent elsewhere for good, or its intent is void by every signer's
    clock and too few signatures are known. In the last case its coins stay claimed, since an answer that was
    lost on the way may be in somebody's hands.
    """
    target = f"custody.withdrawal/{withdrawal_id}"
    entitled.officer_or_machine(actor, Permission.REJECT_WITHDRAWAL, now=now, target=target)
    row = locks.withdrawal(withdrawal_id)
    said = entitled.said(reason, target=target)
    payment = queries.payment_of(row)
    if payment is not None:
        _check_withdrawal(row, payment, target, now=now)
    before = State(row.state)
    if before is State.SIGNING:
        row.move_to(State.REFUSED)  # what is void for every clock is refused, whoever was not asked
    withdrawals.end(
        row, State.FAILED, event=Event.WITHDRAWAL_FAILED, actor=actor, now=now, reason=said, before=before
    )
    return row


def _check_withdrawal(row: Withdrawal, payment: Payment, target: str, *, now: datetime) -> None:
    """Release the coins where that is safe, keep them where it is not, StillPayable where nothing may
    end yet.
    """
    if payment.asked_at is None and row.state == State.BUILT:
        return  # its coins are let go with it, where that is safe
    if row.state == State.CONFLICTED and claims.has_final_rival(payment):
        claims.release(payment, now=now)
        return
    is_void = row.expires_at + CLOCKS_DIFFER_MAX <= now
    is_short = not queries.is_complete(payment)
    # While a freeze or a lowered tier holds it, no signer is asked, and so none says no either.
    if not (row.state in (State.SIGNING, State.REFUSED) and is_void and is_short):
        raise claims.StillPayable(
            "Nothing was changed: its transaction could still be completed.", target=target
        )
