"""Answers to messages. Each says only that something may be moved on; the task looks for itself whether it
can.
"""

from __future__ import annotations

from datetime import datetime

from core import outbox
from core.freezes.events import FreezeReleased
from custody import actions, lane_tasks, queries, raising_tasks, signer_tasks, tasks, tending_tasks
from custody.events import (
    BlockRead,
    FeeRaised,
    RefillMoved,
    SignatureStored,
    SignerOrderMoved,
    StatementTaken,
    SweepMoved,
    WithdrawalMoved,
)


@outbox.subscriber(WithdrawalMoved, name="custody.move_withdrawal")
def move_withdrawal(message: WithdrawalMoved, *, now: datetime) -> None:
    """Take a withdrawal one step on, from where the message says it stands."""
    if message.state == "requested":
        tasks.screen(message.withdrawal, now=now)
        return
    row = queries.withdrawal(message.withdrawal)
    if message.state in ("offered", "approved", "built"):
        tasks.check_hold(row, now=now)
    if message.state == "offered":
        lane_tasks.offer(message.withdrawal, now=now)
        return
    if message.state in ("approved", "built"):
        tasks.check_approvers(row, now=now)
    if message.state == "approved":
        tasks.build(row, now=now)
        return
    payment = queries.payment_of(row)
    if payment is None:
        return
    if message.state == "built" and row.state == "built":
        actions.mark_asked(payment_id=payment.pk, actor=tasks.PAYER, now=now)
    elif message.state == "signing":
        tasks.ask_signers(payment.pk, now=now)
    elif message.state == "signed":
        tasks.send(payment.pk, now=now)


@outbox.subscriber(RefillMoved, name="custody.move_refill")
def move_refill(message: RefillMoved, *, now: datetime) -> None:
    """Take a refill one step on; between `built` and `signed` people carry files."""
    row = queries.refill(message.refill)
    if message.state == "approved":
        tasks.check_approvers(row, now=now)
        tasks.build(row, now=now)
    elif message.state == "signed" and (payment := queries.payment_of(row)) is not None:
        tasks.send(payment.pk, now=now)


@outbox.subscriber(SweepMoved, name="custody.move_sweep")
def move_sweep(message: SweepMoved, *, now: datetime) -> None:
    """Take a sweep one step on, from where the message says it stands."""
    row = queries.sweep(message.sweep)
    payment = queries.payment_of(row)
    if message.state in ("approved", "built"):
        tasks.check_approvers(row, now=now)
    if message.state == "approved":
        tasks.build(row, now=now)
    elif payment is None:
        return
    elif message.state == "built":
        actions.mark_sweep_asked(sweep_id=row.pk, actor=tasks.PAYER, now=now)
    elif message.state == "signing":
        tasks.ask_signers(payment.pk, now=now)
    elif message.state == "signed":
        tasks.send(payment.pk, now=now)


@outbox.subscriber(SignatureStored, name="custody.finish_payment")
def finish_payment(message: SignatureStored, *, now: datetime) -> None:
    """See whether there are enough signatures now."""
    tasks.finish(message.payment, now=now)


@outbox.subscriber(BlockRead, name="custody.follow_block")
def follow_block(message: BlockRead, *, now: datetime) -> None:
    """After a block: send what it did not take, or raise its fee, see whether the hot wallet has run low or
    over, and have it compared with the books.
    """
    tasks.send_again(now=now)
    raising_tasks.raise_slow(now=now)
    raising_tasks.carry_all(now=now)
    tending_tasks.look_for_refill(now=now)
    tending_tasks.look_for_sweep(now=now)
    lane_tasks.reconcile(now=now)


@outbox.subscriber(FreezeReleased, name="custody.send_unsent")
def send_unsent(message: FreezeReleased, *, now: datetime) -> None:
    """Hand over what the freeze has held back."""
    raising_tasks.carry_all(now=now)
    tasks.send_unsent(now=now)


@outbox.subscriber(FeeRaised, name="custody.carry_version")
def carry_version(message: FeeRaised, *, now: datetime) -> None:
    """Bring a further version of a payment to the signers, and then to the node."""
    raising_tasks.carry(message.version, now=now)


@outbox.subscriber(SignerOrderMoved, name="custody.carry_order")
def carry_order(message: SignerOrderMoved, *, now: datetime) -> None:
    """Bring a signed order to the signers at once."""
    if message.state == "signed":
        signer_tasks.carry_order(message.order, now=now)


@outbox.subscriber(StatementTaken, name="custody.tell_signers")
def tell_signers(message: StatementTaken, *, now: datetime) -> None:
    """Bring what a customer signed to the signers at once."""
    lane_tasks.tell_signers(now=now)
