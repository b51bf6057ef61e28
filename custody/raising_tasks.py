"""Raising fees outside of any transaction: what the node and the signers are asked, and given.

As in `tasks`, every function looks at the rows first, and may run again after a crash at any point: a version
that is stored is signed and sent by whoever comes next.
"""

from __future__ import annotations

import logging
from datetime import datetime
from uuid import UUID

from celery import current_app, shared_task, signature
from django.conf import settings

from core import clock
from core.freezes import deeds
from core.refusals import Refused
from custody import actions, queries, tasks
from custody.adapters import feerates, signer_client
from custody.adapters.bitcoin import BitcoinNode, NodeError, NodeUnreachable
from custody.domain.raising import NotRaisable
from custody.models import PaymentVersion

log = logging.getLogger(__name__)


def carry(version_id: UUID, *, now: datetime) -> None:
    """Take a version as far as it goes now: before the signers, together, to the node."""
    _ask(version_id, now=now)
    _finish(version_id, now=now)
    _send(version_id, now=now)


def carry_all(*, now: datetime) -> None:
    """After a block or a release: every version that is still on its way."""
    for version_id in queries.open_versions():
        try:
            carry(version_id, now=now)
        except (tasks.HeldBack, signer_client.TooFewSigners, tasks.NotDelivered) as error:
            log.info("still on the way: %s", error)


@shared_task(name="custody.estimate_feerate", ignore_result=True)
def estimate_feerate() -> None:
    """Every half minute, for the screen on which a maker raises a fee."""
    leave_estimate(now=clock.now())


def leave_estimate(*, now: datetime) -> None:
    """Ask the node what a transaction should pay now, and leave its word, or its silence, for the screens."""
    blocks, rate, why_not = tasks.FEE_TARGET_BLOCKS, None, ""
    try:
        with BitcoinNode(settings.BITCOIN_RPC_URL) as node:
            rate = node.fee_rate(within_blocks=blocks)
        if rate is None:
            why_not = "the node has seen too few transactions to estimate a fee rate"
    except (NodeError, NodeUnreachable) as error:
        log.warning("no estimate of the fee rate: %s", error)
        why_not = "the node does not answer"
    feerates.leave(rate, why_not=why_not, blocks=blocks, now=now)


current_app.add_periodic_task(30.0, signature("custody.estimate_feerate"), name="custody.estimate_feerate")


def raise_slow(*, now: datetime) -> None:
    """After a block: raise the fee of what none of the last blocks took, to what the node estimates now."""
    blocks = settings.RAISE_FEES_AFTER_BLOCKS
    slow = queries.slow_payments(blocks=blocks) if blocks else []
    if not slow:
        return
    try:
        with BitcoinNode(settings.BITCOIN_RPC_URL) as node:
            rate = node.fee_rate(within_blocks=tasks.FEE_TARGET_BLOCKS)
            found = {one: node.evicted_fees(queries.payment(one).txid) for one in slow} if rate else {}
    except (NodeError, NodeUnreachable) as error:
        log.warning("no fee was raised: %s", error)
        return
    for payment_id, evicted in found.items():
        if rate is not None:
            _raise(payment_id, rate=rate, evicted=evicted, now=now)


def _raise(payment_id: UUID, *, rate: int, evicted: int, now: datetime) -> None:
    """Raise it to the rate, or as near to it as its caps and its change allow; else say why not."""
    row = queries.payment(payment_id)
    found = queries.to_raise(row, now=now)
    if found is None or row.fee_units >= rate * row.vsize:
        return
    feerate = min(rate, found.highest)
    try:
        if held := found.why_not or queries.why_version_waits(row, now=now):
            raise NotRaisable(held)
        queries.reckoned(row, feerate=feerate, evicted=evicted)  # what cannot be is refused without a record
        actions.raise_fee(
            payment_id=payment_id,
            feerate=feerate,
            reason=f"no block took it, and the node estimates {rate} sats a vbyte",
            evicted=evicted,
            actor=tasks.PAYER,
            now=now,
        )
    except (NotRaisable, Refused) as error:
        log.info("%s was not raised: %s", row, error)


def _ask(version_id: UUID, *, now: datetime) -> None:
    """Ask one signer after the other until enough have signed; each answer is stored as it comes.

    Those that signed the first version come first: they have counted what it pays.
    """
    row = queries.version(version_id)
    if not queries.is_version_askable(row, now=now):
        return
    standing, known = queries.collected_version(row), queries.collected(row.payment).signed
    refused = {token for token, _ in standing.refusals}

    def goes_on() -> bool:
        _check_held(row, now=now)
        return True

    for answer in signer_client.ask_in_turn(
        settings.SIGNERS_DIR,
        sorted((one for one in standing.tokens if one not in refused), key=lambda one: one not in known),
        queries.version_request(row),
        of=row,
        signed=standing.signed,
        threshold=standing.threshold,
        goes_on=goes_on,
    ):
        if isinstance(answer, signer_client.Declined):
            log.error("%s refused %s: %s %s", answer.token, row, answer.code, answer.detail)
            actions.report_version_refusal(
                version_id=row.pk,
                token=answer.token,
                code=answer.code,
                detail=answer.detail,
                actor=tasks.PAYER,
                now=now,
            )
        else:
            actions.store_version_signature(
                version_id=row.pk, token=answer.token, given=answer.signatures, actor=tasks.PAYER, now=now
            )


def _finish(version_id: UUID, *, now: datetime) -> None:
    """Once enough tokens have signed: put the version together, have it judged, store it."""
    row = queries.version(version_id)
    standing = queries.collected_version(row)
    if row.raw or len(standing.signed) < standing.threshold:
        return
    from custody.adapters import judge  # two large native libraries, of use to a worker only

    raw = judge.finalise(queries.signed_version(row))
    actions.store_version_signed(version_id=row.pk, raw=raw, actor=tasks.PAYER, now=now)


def _send(version_id: UUID, *, now: datetime) -> None:
    """Hand a signed version to the node, and report once it has it in the place of the one before.

    Freezes and holds are asked last, as for a first version, and a freeze that is pulled meanwhile is
    answered behind the node. A node that takes it has dropped the other.
    """
    row = queries.version(version_id)
    if not queries.is_version_sendable(row, now=now):
        if row.raw and row.sent_at is None and row.payment.height is None:
            _check_held(row, now=now)
        return
    actions.mark_version_handed(version_id=row.pk, actor=tasks.PAYER, now=now)
    raw = bytes.fromhex(row.raw)
    scopes = {*queries.stops(row.payment.owner)}
    with BitcoinNode(settings.BITCOIN_RPC_URL) as node, deeds.held(scopes) as deed:
        if deed is None or not queries.is_version_sendable(queries.version(version_id), now=now):
            return
        answer = node.broadcast(raw)
    tasks.check_delivered(row, answer)
    actions.report_replaced(version_id=row.pk, actor=tasks.PAYER, now=now)


def _check_held(row: PaymentVersion, *, now: datetime) -> None:
    """HeldBack while a freeze or a hold covers the payment."""
    if held := queries.why_version_waits(row.payment, now=now):
        raise tasks.HeldBack(f"{row}: {held}")
