"""What the unattended lane needs done outside of any transaction: statements to the signers.

As in `tasks`, every function looks at the rows first, and may run again after a crash at any point.
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Final

from celery import current_app, shared_task, signature
from django.conf import settings

from core import clock
from core.actor import system
from custody import actions, queries
from custody.adapters import signer_client

log = logging.getLogger(__name__)

TEACHER: Final = system("teacher")


class NotTold(Exception):
    """A signer did not answer; it is told later."""


def tell_signers(*, now: datetime) -> None:
    """Bring every signer what it has not learnt yet, in the order in which customers said it."""
    silent = []
    for token in queries.reachable_tokens():
        for row in queries.statements_for(token, now=now):
            try:
                answer = signer_client.learn(settings.SIGNERS_DIR, token, queries.statement_message(row))
            except signer_client.SignerUnreachable as error:
                log.warning("no answer: %s", error)
                silent.append(token)
                break
            declined = answer if isinstance(answer, signer_client.Declined) else None
            alert = answer.alert if isinstance(answer, signer_client.Learnt) else ""
            if declined or alert:
                log.error("%s on %s: %s", token, row, answer)
            actions.report_learnt(
                statement_id=row.pk,
                token=token,
                code=declined.code if declined else "",
                detail=declined.detail if declined else "",
                alert=alert,
                actor=TEACHER,
                now=now,
            )
    if silent:
        raise NotTold(f"no answer from {', '.join(silent)}")


def tend_lane(*, now: datetime) -> None:
    """What nobody's message brings about."""
    try:
        tell_signers(now=now)
    except NotTold as error:
        log.info("still to be told: %s", error)


@shared_task(name="custody.tend_lane", ignore_result=True)
def tend() -> None:
    """Every 15 seconds."""
    tend_lane(now=clock.now())


current_app.add_periodic_task(15.0, signature("custody.tend_lane"), name="custody.tend_lane")
