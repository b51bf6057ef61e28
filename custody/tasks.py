"""Where the outside and the actions meet: ask outside of any transaction, then report by an action.

Every function looks at the row first, does the one thing that is due, and may run again after a crash at any
point: the worst that comes of it is the same question asked twice.
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Final
from uuid import UUID

from django.conf import settings

from core.actor import system
from core.freezes import deeds
from core.refusals import Conflict
from custody import actions, queries
from custody.adapters import screening, signer_client
from custody.adapters.bitcoin import BitcoinNode, Broadcast, NodeUnreachable, Outcome
from custody.domain import coins
from custody.domain.coins import Coin, Script
from custody.models import Owner, Payment, PaymentVersion, Refill, Sweep, Withdrawal
from kernel import script
from kernel.transaction import Outpoint, Output, Transaction

log = logging.getLogger(__name__)

PAYER: Final = system("payer")
SCREENER: Final = system("screener")
CARETAKER: Final = system("caretaker")

BUILD_ATTEMPTS: Final = 5
FEE_TARGET_BLOCKS: Final = 6
COLD_TARGET_BLOCKS: Final = 2
"""A refill is on its way to cold keys for hours or days after its fee was chosen, and nobody raises it."""
REGTEST_FEERATE: Final = 2
"""A regtest node has seen no fees to learn from; on any other network an unknown fee rate waits."""
SIGNABLE: Final = frozenset({"signing", "offered", "exported"})


class NotDelivered(Exception):
    """No node took the transaction, or none said so; the same bytes are sent again later."""


class HeldBack(Exception):
    """A freeze covers the payment, or a hold its customer; the outbox asks again until it is over."""


class FeeRateUnknown(Exception):
    """The node cannot say what a transaction should pay."""


def check_hold(row: Withdrawal, *, now: datetime) -> None:
    """HeldBack while it waits for more than a freeze: nothing is tried, and so nothing refused on record."""
    if why := queries.why_waits(row, now=now):
        raise HeldBack(f"{row}: {why}")


def check_approvers(row: Owner, *, now: datetime) -> None:
    """HeldBack while too few count who approved it, as above: what was lost may come back."""
    if queries.lack_of(row, now=now) is not None:
        raise HeldBack(f"{row}: who approved it has left")


def screen(withdrawal_id: UUID, *, now: datetime) -> None:
    """Look the destination up in the lists, and report."""
    row = queries.withdrawal(withdrawal_id)
    if row.state == "requested":
        found = screening.hits(settings.SCREENING_LIST, row.destination)
        actions.report_screening(withdrawal_id=row.pk, hits=found, actor=SCREENER, now=now)


def build(owner: Owner, *, now: datetime) -> None:
    """Choose coins for an approved (or offered) withdrawal, refill or sweep, and store the transaction with
    its claims. What the lane saw before officers approved it keeps its transaction.
    """
    if owner.state not in ("approved", "offered"):
        return
    seen = queries.payment_of(owner)
    if seen is not None:
        actions.store_built(owner=owner, psbt=seen.psbt, vsize=seen.vsize, actor=PAYER, now=now)
        return
    wallet = queries.wallet_named(queries.source_of(owner))
    pays = Output(owner.units, script.script_of(owner.destination, settings.NETWORK))
    with BitcoinNode(settings.BITCOIN_RPC_URL) as node:
        within = COLD_TARGET_BLOCKS if isinstance(owner, Refill) else FEE_TARGET_BLOCKS
        rate = _fee_rate(node, within_blocks=within)
        for _ in range(BUILD_ATTEMPTS):
            shape = Script(wallet.threshold, len(wallet.tokens), queries.change_script(wallet))
            rows = queries.free_coins(wallet).select_related("address")
            if not isinstance(owner, Sweep):
                rows = rows.order_by("-units", "txid", "vout")[: coins.INPUTS_MAX]  # no other is chosen
            free = {Outpoint(coin.txid, coin.vout): coin for coin in rows}
            held = [Coin(outpoint, coin.units) for outpoint, coin in free.items()]
            usable, first = queries.choosable(held, owner, wallet)
            chosen = coins.select(
                usable, pays=pays, feerate=rate, fee_cap=owner.fee_cap_units, wallet=shape, first=first
            )
            sources = [
                (_previous(node, coin.outpoint), bytes.fromhex(free[coin.outpoint].address.witness_script))
                for coin in chosen.coins
            ]
            psbt = coins.build(chosen, sources, mark=queries.mark_of(owner)).base64()
            try:
                actions.store_built(owner=owner, psbt=psbt, vsize=chosen.vsize, actor=PAYER, now=now)
            except actions.CoinTaken:
                log.info("%s: a coin was taken meanwhile, choosing again", owner)
                continue
            return
    raise Conflict("The coins were taken five times over; trying again later.")


def ask_signers(payment_id: UUID, *, now: datetime) -> None:
    """Ask one signer after the other until enough have signed; each answer is stored as it comes."""
    row = queries.payment(payment_id)
    if row.owner.state != "signing":
        return

    def goes_on() -> bool:
        if held := queries.stopped(row, now=now):
            raise HeldBack(f"{row}: {held}")
        if queries.loses_approvers(row, now=now):
            raise HeldBack(f"{row}: who approved it has left, and it is put before no signer")
        return True

    standing = queries.collected(row)
    for answer in signer_client.ask_in_turn(
        settings.SIGNERS_DIR,
        standing.tokens,
        queries.sign_request(row),
        of=row,
        signed=standing.signed,
        threshold=standing.threshold,
        goes_on=goes_on,
    ):
        if isinstance(answer, signer_client.Declined):
            log.error("%s refused %s: %s %s", answer.token, row, answer.code, answer.detail)
            actions.report_refusal(
                payment_id=row.pk,
                token=answer.token,
                code=answer.code,
                detail=answer.detail,
                actor=PAYER,
                now=now,
            )
        else:
            actions.store_signature(
                payment_id=row.pk,
                token=answer.token,
                signatures=answer.signatures,
                actor=PAYER,
                now=now,
            )
    if len(standing.signed) >= standing.threshold:
        finish(payment_id, now=now)  # the lane had signed it before officers did: no new answer says so


def finish(payment_id: UUID, *, now: datetime) -> None:
    """Once enough tokens have signed: put the transaction together, have it judged, store it."""
    row = queries.payment(payment_id)
    standing = queries.collected(row)
    if row.raw or row.owner.state not in SIGNABLE or len(standing.signed) < standing.threshold:
        return
    if row.owner.state == "offered":
        looked_at = actions.recheck_offer(withdrawal_id=row.owner.pk, actor=PAYER, now=now)
        if looked_at.state != "offered":
            return
    from custody.adapters import judge  # two large native libraries, of use to a worker only

    raw = judge.finalise(queries.signed_psbt(row))
    actions.store_signed(payment_id=row.pk, raw=raw, actor=PAYER, now=now)


def send(payment_id: UUID, *, now: datetime) -> None:
    """Hand the stored bytes to the node, and report once it has them. Nothing is ever built anew here.

    While a freeze covers the payment, or a hold its customer, it stays where it is, until the release is
    announced or a block comes. Both are asked last, with no transaction and no waiting between their answer
    and the call, and a freeze that is pulled meanwhile is answered behind the node; what the network has
    already is reported, freeze or not.
    """
    row = queries.payment(payment_id)
    if not queries.is_sendable(row):
        return
    if row.sent_at is None and row.handed_at is None and not queries.stopped(row, now=now):
        actions.mark_handed(payment_id=row.pk, actor=PAYER, now=now)
    raw = bytes.fromhex(row.raw)
    with BitcoinNode(settings.BITCOIN_RPC_URL) as node, deeds.held({*queries.stops(row.owner)}) as deed:
        row = queries.payment(payment_id)
        held = queries.stopped(row, now=now)
        if row.sent_at is None and deed is None:
            held = held or "freeze that is being pulled"
        if held:
            log.warning("%s is held back by the %s", row, held)
            if row.handed_at is None or not _has(node, row.txid):
                return
            answer = Broadcast(Outcome.ACCEPTED)
        else:
            answer = node.broadcast(raw)
    check_delivered(row, answer)
    if row.sent_at is None:
        actions.report_broadcast(payment_id=row.pk, actor=PAYER, now=now)


def check_delivered(what: Payment | PaymentVersion, answer: Broadcast) -> None:
    """NotDelivered, and a line for people, unless the node has it."""
    if not answer.delivered:
        level = logging.INFO if answer.outcome is Outcome.UNKNOWN else logging.ERROR
        log.log(level, "%s: %s %s", what, answer.outcome, answer.detail)
        raise NotDelivered(f"{what}: {answer.outcome} {answer.detail}")


def send_again(*, now: datetime) -> None:
    """After each block: payments that are not in it are handed to the node once more, as they are.

    What no node has taken yet comes first and whole; of the others each block takes its share, so that many
    that stay away from the chain keep nobody waiting.
    """
    for payment_id in [*queries.unsent_payments(), *queries.sent_payments(turn=queries.tip_height())]:
        try:
            send(payment_id, now=now)
        except NotDelivered as error:
            log.info("still on the way: %s", error)


def send_unsent(*, now: datetime) -> None:
    """After a release: hand over what no node has taken yet. Another freeze may still hold some of it."""
    failed = []
    for payment_id in queries.unsent_payments():
        try:
            send(payment_id, now=now)
        except NotDelivered as error:
            failed.append(str(error))
    if failed:
        raise NotDelivered("; ".join(failed))


def _fee_rate(node: BitcoinNode, *, within_blocks: int) -> int:
    found = node.fee_rate(within_blocks=within_blocks)
    if found is not None:
        return found
    if settings.NETWORK == "regtest":
        return REGTEST_FEERATE
    raise FeeRateUnknown("the node knows no fee rate")


def _has(node: BitcoinNode, txid: str) -> bool:
    """Whether the node has the transaction, in a block or waiting for one."""
    try:
        return node.transaction(txid) is not None
    except NodeUnreachable as error:
        raise NotDelivered(f"{txid}: {error}") from error


def _previous(node: BitcoinNode, outpoint: Outpoint) -> Transaction:
    """The transaction that made the coin; its id is checked, so a lying node cannot change an amount."""
    found = node.transaction(outpoint.txid)
    previous = Transaction.parse(found.raw) if found is not None else None
    if previous is None or previous.txid != outpoint.txid:
        raise Conflict(f"The node does not know {outpoint}; trying again later.")
    return previous
