"""What the unattended lane needs done outside of any transaction: customers' statements to the signers, and
withdrawals before them.

As in `tasks`, every function looks at the rows first, and may run again after a crash at any point.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from celery import current_app, shared_task, signature
from django.conf import settings

from core import clock
from core.actor import system
from core.refusals import Refused
from custody import actions, queries, tasks
from custody.adapters import reconciler_client, signer_client
from custody.domain import reconciliations
from custody.models import Withdrawal
from kernel import canonical

log = logging.getLogger(__name__)

ACCOUNTANT: Final = system("accountant")
TEACHER: Final = system("teacher")

UNKNOWN_CUSTOMER: Final = "SIGNER_UNKNOWN_CUSTOMER"
UNKNOWN_BENEFICIARY: Final = "SIGNER_UNKNOWN_BENEFICIARY"
"""What a signer says that never learnt a statement, or has lost its memory since."""


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
            if declined and declined.code == UNKNOWN_CUSTOMER:
                actions.report_forgotten(
                    token=token, customer_id=row.customer_id, destination="", actor=TEACHER, now=now
                )
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


def offer(withdrawal_id: UUID, *, now: datetime) -> None:
    """Build the transaction of an offered withdrawal, and ask the signers' lane until enough have signed.

    A signer that has signed it signs it again, so asking twice costs nothing. Where too many refuse, the
    action that stores the refusal puts it before officers.
    """
    row = actions.recheck_offer(withdrawal_id=withdrawal_id, actor=tasks.PAYER, now=now)
    if row.state != "offered":
        return
    tasks.build(row, now=now)
    payment = queries.payment_of(row)
    assert payment is not None  # it was just built, or before
    _ask(payment.pk, now=now)


def _ask(payment_id: UUID, *, now: datetime) -> None:
    row = queries.payment(payment_id)
    standing = queries.collected(row)
    assert isinstance(row.owner, Withdrawal)  # nothing else is offered
    refused = {token for token, _ in standing.refusals}

    def goes_on() -> bool:
        """Not where it went before officers meanwhile."""
        marked = actions.mark_offered(payment_id=payment_id, actor=tasks.PAYER, now=now)
        return bool(marked.owner.state == "offered")

    for answer in signer_client.ask_in_turn(
        settings.SIGNERS_DIR,
        [token for token in _in_turn(standing.tokens, payment_id) if token not in refused],
        queries.lane_request(row),
        of=row,
        signed=standing.signed,
        threshold=standing.threshold,
        goes_on=goes_on,
    ):
        if isinstance(answer, signer_client.Signed):
            actions.store_signature(
                payment_id=row.pk,
                token=answer.token,
                signatures=answer.signatures,
                actor=tasks.PAYER,
                now=now,
            )
            continue
        log.info("%s did not take %s: %s %s", answer.token, row, answer.code, answer.detail)
        if answer.code == UNKNOWN_BENEFICIARY:
            actions.report_forgotten(
                token=answer.token,
                customer_id=row.owner.customer_id,
                destination=row.owner.destination,
                actor=TEACHER,
                now=now,
            )
        actions.report_refusal(
            payment_id=row.pk,
            token=answer.token,
            code=answer.code,
            detail=answer.detail,
            actor=tasks.PAYER,
            now=now,
        )


def _in_turn(tokens: Sequence[str], payment_id: UUID) -> list[str]:
    """All tokens, from another one with each payment: so that no signer's share is used up first."""
    first = payment_id.int % len(tokens)
    return [*tokens[first:], *tokens[:first]]


def reconcile(*, now: datetime) -> None:
    """Have each wallet with a lane compared with the books, and carry the reconciler's word to its signers.

    That they differ shuts the lane at once, and so does silence once the last word is too old: whatever goes
    wrong here stops payments and lets none through.
    """
    for name in queries.wallets_with_lanes():
        try:
            found = reconciler_client.reconcile(settings.RECONCILER_SOCKET, name)
        except reconciler_client.NothingReconciled as error:
            log.warning("%s was not compared: %s", name, error)
            continue
        actions.report_reconciliation(
            wallet=name,
            height=found.height,
            on_chain=found.on_chain,
            in_books=found.in_books,
            attested=found.agrees,
            breaks=found.breaks,
            actor=ACCOUNTANT,
            now=now,
        )
        if not found.agrees:
            log.error(
                "%s holds %s units, the books say %s. %s",
                *(name, found.on_chain, found.in_books, " ".join(found.breaks)),
            )
        told = {token: _attest(token, found.attestation) for token in queries.wallet_named(name).tokens}
        actions.report_told(wallet=name, told=told, actor=ACCOUNTANT, now=now)


def _attest(token: str, attestation: Mapping[str, canonical.Value]) -> str:
    """The signer's refusal, or that it is silent, or nothing."""
    try:
        declined = signer_client.attest(settings.SIGNERS_DIR, token, attestation)
    except signer_client.SignerUnreachable as error:
        log.warning("no answer: %s", error)
        return reconciliations.SILENT
    if declined:
        log.error("%s took no attestation: %s %s", token, declined.code, declined.detail)
    return declined.code if declined else ""


def tend_lane(*, now: datetime) -> None:
    """What nobody's message brings about."""
    for withdrawal_id in queries.lapsed_offers(now=now):
        try:
            actions.return_offer(withdrawal_id=withdrawal_id, actor=tasks.CARETAKER, now=now)
        except Refused as error:
            log.info("not now: %s", error)
    for withdrawal_id in queries.kept_withdrawals():
        actions.let_go(withdrawal_id=withdrawal_id, actor=tasks.CARETAKER, now=now)
    try:
        tell_signers(now=now)
    except NotTold as error:
        log.info("still to be told: %s", error)


@shared_task(name="custody.tend_lane", ignore_result=True)
def tend() -> None:
    """Every 15 seconds."""
    tend_lane(now=clock.now())


@shared_task(name="custody.reconcile", ignore_result=True)
def look_at_the_books() -> None:
    """Every 30 seconds."""
    reconcile(now=clock.now())


current_app.add_periodic_task(15.0, signature("custody.tend_lane"), name="custody.tend_lane")
current_app.add_periodic_task(30.0, signature("custody.reconcile"), name="custody.reconcile")
