"""What is between us and the signers beside payments: officers' orders, and what signers say of themselves.

As in `tasks`, every function looks at the rows first, and may run again after a crash at any point.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from celery import current_app, shared_task, signature
from django.conf import settings

from core import clock
from core.refusals import Refused
from custody import actions, queries, tasks
from custody.adapters import signer_client
from custody.domain import journals

log = logging.getLogger(__name__)


class NotCarried(Exception):
    """A signer did not answer; the order is brought to it later."""


def carry_order(order_id: UUID, *, now: datetime) -> None:
    """Hand a signed order to every signer that has not answered it, and store each answer as it comes."""
    row, silent = queries.signer_order(order_id), []
    if row.state != "signed" or row.expires_at <= now:
        return
    message = queries.order_message(row)
    for token in queries.unanswered_by(row):
        try:
            answer = signer_client.order(settings.SIGNERS_DIR, token, message)
        except signer_client.SignerUnreachable as error:
            log.warning("no answer: %s", error)
            silent.append(token)
            continue
        declined = answer if isinstance(answer, signer_client.Declined) else None
        if declined:
            log.error("%s refused %s: %s %s", token, row, declined.code, declined.detail)
        actions.report_answer(
            order_id=row.pk,
            token=token,
            obeyed=declined is None,
            code=declined.code if declined else "",
            detail=declined.detail if declined else "",
            actor=tasks.CARETAKER,
            now=now,
        )
    if silent:
        raise NotCarried(f"{row}: no answer from {', '.join(silent)}")


def look_at_signers(*, now: datetime) -> None:
    """Ask each signer how it is, and mirror what it says."""
    for token in queries.reachable_tokens():
        try:
            said = signer_client.health(settings.SIGNERS_DIR, token)
        except signer_client.SignerUnreachable as error:
            log.warning("no answer: %s", error)
            said = None
        actions.report_health(token=token, said=said, now=now)
        journal = said.get("journal") if said is not None else None
        if isinstance(journal, Mapping) and isinstance(lines := journal.get("lines"), int):
            _follow(token, lines, now=now)
    if queries.warnings_due():
        count = actions.warn_of_registries(actor=tasks.CARETAKER, now=now)
        log.error("%s registries are on their way to the signers", count)


def _follow(token: str, lines: int, *, now: datetime) -> None:
    """Read on in a signer's journal; from its first line where it is not the one that was read before."""
    seen = queries.journal_read(token)
    if lines in (0, seen.lines):  # none at all: a signer that waits for officers to reopen it
        return
    try:
        try:
            read = _read(token, seen, lines)
        except journals.BadJournal as error:
            log.error("%s has another journal than before: %s", token, error)
            seen = journals.Read()
            read = _read(token, seen, lines)
    except (journals.BadJournal, signer_client.SignerUnreachable) as error:
        log.error("the journal of %s was not read: %s", token, error)
        return
    if seen.last == journals.FIRST:
        count = actions.report_memory(token=token, known=read.known, actor=tasks.CARETAKER, now=now)
        if count:
            log.error("%s has lost its memory: it is taught %s statements again", token, count)
    actions.report_journal(token=token, read=read)


def _read(token: str, seen: journals.Read, lines: int) -> journals.Read:
    if seen.lines > lines:
        raise journals.BadJournal(f"{seen.lines} lines were read, {lines} are there")
    read = copy.deepcopy(seen)
    while read.lines < lines:
        found = signer_client.lines(settings.SIGNERS_DIR, token, start=read.lines, end=lines)
        if not found:
            raise journals.BadJournal(f"no line {read.lines} came")
        for line in found:
            read.take(line)
    return read


def tend_signers(*, now: datetime) -> None:
    """What nobody's message brings about."""
    for order_id in queries.overdue_orders(now=now):
        try:
            actions.expire_order(order_id=order_id, actor=tasks.CARETAKER, now=now)
        except Refused as error:
            log.info("not now: %s", error)
    look_at_signers(now=now)
    for order_id in queries.orders_on_the_way():
        try:
            carry_order(order_id, now=now)
        except NotCarried as error:
            log.info("still on the way: %s", error)


@shared_task(name="custody.tend_signers", ignore_result=True)
def tend() -> None:
    """Every 15 seconds."""
    tend_signers(now=clock.now())


current_app.add_periodic_task(15.0, signature("custody.tend_signers"), name="custody.tend_signers")
