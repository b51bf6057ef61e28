"""What nobody's message brings about: time running out, and a wallet running low or over."""

from __future__ import annotations

import logging
from datetime import datetime

from celery import current_app, shared_task, signature
from django.conf import settings

from core import clock
from core.approvals import actions as approval_actions
from core.refusals import Refused
from custody import actions, queries, tasks

log = logging.getLogger(__name__)


def look_for_refill(*, now: datetime) -> None:
    """Propose a refill for each hot wallet that needs one."""
    for hot, cold in queries.refill_pairs():
        if queries.live_refill(hot) is None and queries.refill_need(hot, cold) is not None:
            try:
                actions.propose_refill(target=hot.name, source=cold.name, actor=tasks.CARETAKER, now=now)
            except actions.NothingDue:
                log.info("somebody else proposed a refill of %s first", hot)


def look_for_sweep(*, now: datetime) -> None:
    """Propose a sweep for each hot wallet that holds too much."""
    for hot, cold in queries.sweep_pairs():
        if queries.live_sweep(hot) is None and queries.sweep_due(hot) is not None:
            try:
                actions.propose_sweep(source=hot.name, target=cold.name, actor=tasks.CARETAKER, now=now)
            except actions.NothingDue:
                log.info("somebody else proposed a sweep of %s first", hot)


def tend_all(*, now: datetime) -> None:
    """End what is over, and propose what is due."""
    for request_id in queries.overdue_requests():
        _quietly(approval_actions.expire_request, request_id=request_id, now=now)
    for withdrawal_id in queries.overdue_withdrawals(now=now):
        _quietly(actions.expire_withdrawal, withdrawal_id=withdrawal_id, now=now)
    for withdrawal_id in queries.unsignable_withdrawals(now=now):
        _quietly(
            actions.fail_withdrawal,
            withdrawal_id=withdrawal_id,
            reason="the approval ran out unsigned",
            now=now,
        )
    for refill_id in queries.endable_refills(network=settings.NETWORK, now=now):
        _quietly(actions.fail_refill, refill_id=refill_id, reason="it can pay nothing any more", now=now)
    for refill_id in queries.lapsing_refills(now=now):
        _quietly(actions.lapse_refill, refill_id=refill_id, now=now)
    for sweep_id in queries.endable_sweeps(network=settings.NETWORK, now=now):
        _quietly(actions.fail_sweep, sweep_id=sweep_id, reason="it can pay nothing any more", now=now)
    for sweep_id in queries.lapsing_sweeps(now=now):
        _quietly(actions.lapse_sweep, sweep_id=sweep_id, now=now)
    look_for_refill(now=now)
    look_for_sweep(now=now)


@shared_task(name="custody.tend", ignore_result=True)
def tend() -> None:
    """Every 15 seconds."""
    tend_all(now=clock.now())


current_app.add_periodic_task(15.0, signature("custody.tend"), name="custody.tend")


def _quietly(action: object, **arguments: object) -> None:
    try:
        action(**arguments, actor=tasks.CARETAKER)  # type: ignore[operator]
    except Refused as error:
        log.info("not now: %s", error)
