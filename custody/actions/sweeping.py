"""A sweep before the hot signers, and given up."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from core.action import action
from core.actor import Actor
from custody import locks, queries
from custody.actions import claims, entitled, moves, signatures
from custody.actions.payments import NotAsApproved
from custody.actions.sweeps import is_due
from custody.domain.sweeps import State
from custody.events import Event
from custody.models import Payment, Sweep
from custody.permissions import Permission

NOT_DUE: Final = "the hot wallet is not too full any more, or a refill is on its way"


@action(Event.PAYMENT_ASKED)
def mark_sweep_asked(*, sweep_id: UUID, actor: Actor, now: datetime) -> Sweep:
    """Note that hot signers are about to be asked for its signatures; or give it up, where the wallet is not
    too full any more. Until here no signature exists, so its coins are free again at once.

    Said twice, or later, it changes nothing.
    """
    row, payment = _locked(sweep_id)
    if payment is None or row.state != State.BUILT:
        return row
    if is_due(row, claimed=row.units + payment.fee_units + payment.change_units):
        signatures.ask(payment, actor=actor, now=now)
    else:
        moves.fail(row, payment, event=Event.SWEEP_FAILED, actor=actor, now=now, reason=NOT_DUE)
    return row


@action(Event.PAYMENT_ASKED)
def ask_sweep_again(*, sweep_id: UUID, reason: str, actor: Actor, now: datetime) -> Sweep:
    """After a refusal whose cause is gone: the same transaction before the same signers once more."""
    target = f"custody.sweep/{sweep_id}"
    entitled.officer(actor, Permission.PROPOSE_SWEEP, now=now, target=target)
    row, payment = _locked(sweep_id)
    if payment is None or row.state != State.REFUSED:
        raise NotAsApproved(f"Nothing was asked: the sweep is {row.state}.", target=target)
    signatures.ask(payment, actor=actor, now=now, reason=entitled.said(reason, target=target))
    return row


@action(Event.SWEEP_LAPSED)
def lapse_sweep(*, sweep_id: UUID, actor: Actor, now: datetime) -> Sweep:
    """One that too few signers signed before its intent was void for every clock. Its coins are free.

    An answer that was lost on the way may be in somebody's hands. Completed, it brings the coins to our own
    cold wallet and is settled; whatever of ours was to spend one of them is then in conflict, and can be
    given up. So nobody is paid twice; and the next sweep shares a coin with it.
    """
    row, payment = _locked(sweep_id)
    out = {State.SIGNING, State.REFUSED}
    if moves.lapse(row, payment, out=out, event=Event.SWEEP_LAPSED, actor=actor, now=now) and payment:
        claims.free(payment, now=now)
    return row


@action(Event.SWEEP_FAILED)
def fail_sweep(*, sweep_id: UUID, reason: str, actor: Actor, now: datetime) -> Sweep:
    """A sweep given up: before signers were asked, or once a coin of it was spent elsewhere for good."""
    target = f"custody.sweep/{sweep_id}"
    entitled.officer_or_machine(actor, Permission.DISMISS_SWEEP, now=now, target=target)
    row, payment = _locked(sweep_id)
    said = entitled.said(reason, target=target)
    moves.fail(row, payment, event=Event.SWEEP_FAILED, actor=actor, now=now, reason=said)
    return row


def _locked(sweep_id: UUID) -> tuple[Sweep, Payment | None]:
    """The sweep and its transaction, if there is one, both claimed."""
    row = locks.sweep(sweep_id)
    found = queries.payment_of(row)
    if found is None:
        return row, None
    payment = locks.payment(found.pk)
    payment.sweep = row
    return row, payment
