"""The block watcher: follows the node's chain into the books, and back out of them after a reorganisation."""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import datetime
from typing import Final

from django.conf import settings

from core.actor import system
from core.refusals import Refused
from custody import actions, queries
from custody.adapters.bitcoin import BitcoinNode, NodeError, NodeUnreachable
from custody.adapters.bitcoin_answers import Block
from custody.domain import chain
from custody.domain.chain import Received, SeenBlock
from kernel.transaction import Outpoint

log = logging.getLogger(__name__)

BLOCKS_AT_ONCE: Final = 100
WATCHER: Final = system("block-watcher")


def step(node: BitcoinNode, *, now: datetime, start: int = 0) -> bool:
    """Take back a block that left the chain, or read the next ones, then book what is final; whether it did
    any.
    """
    try:
        moved = _follow(node, now=now, start=start)
    except (NodeUnreachable, NodeError) as error:
        log.warning("the node gives no blocks: %s", error)
        return False
    except actions.OutOfPlace as error:
        log.warning("the chain moved while it was read: %s", error)
        return True
    return book_final(now=now) or moved


def book_final(*, now: datetime) -> bool:
    """Credit deposits and settle payments on which enough blocks stand."""
    done = False
    for deposit_id in queries.deposits_due(network=settings.NETWORK):
        done |= _booked(actions.book_deposit, deposit_id=deposit_id, now=now)
    for payment_id in queries.payments_due(network=settings.NETWORK):
        done |= _booked(actions.settle_payment, payment_id=payment_id, now=now)
    for payment_id in queries.misbooked(network=settings.NETWORK):
        done |= _booked(actions.correct_fee, payment_id=payment_id, now=now)
    return done


def _booked(action: object, **arguments: object) -> bool:
    """One that cannot be booked now is logged and does not keep the others waiting."""
    try:
        action(**arguments, actor=WATCHER)  # type: ignore[operator]
    except Refused as error:
        log.error("not booked: %s", error)
        return False
    return True


def _follow(node: BitcoinNode, *, now: datetime, start: int) -> bool:
    """One step. A block leaves only where the node shows another in its place, or has seen it and dropped it:
    a node that is still reading its chain, or was put back, has neither, and takes no deposit back.
    """
    tip = queries.tip()
    if tip is not None and (there := node.block_hash(tip.height)) != tip.hash:
        if there is None and node.block(tip.hash) is None:
            log.warning("the node has not come as far as block %d %s", tip.height, tip.hash)
            return False
        log.warning("block %d %s left the chain", tip.height, tip.hash)
        actions.unwind_block(block_hash=tip.hash, actor=WATCHER, now=now)
        return True
    blocks = _next(node, start if tip is None else tip.height + 1)
    if not blocks:
        return False
    for line in actions.read_blocks(blocks=blocks, actor=WATCHER, now=now):
        log.info("%s", line)
    return True


def _next(node: BitcoinNode, height: int) -> list[SeenBlock]:
    """The next blocks, up to the first that concerns us, so that quiet stretches cost one action."""
    found: list[SeenBlock] = []
    while len(found) < BLOCKS_AT_ONCE:
        block_hash = node.block_hash(height)
        block = node.block(block_hash) if block_hash is not None else None
        if block is None or (found and block.previous != found[-1].hash):
            break
        paid = {out.script.hex() for each in block.transactions for out in each.outputs}
        found.append(seen(block, queries.known_scripts(paid)))
        own = queries.known_coins(found[-1].spent.keys())
        if chain.concerns(found[-1], coins=own, payments=queries.payments_in(found[-1].txids).keys()):
            break
        height += 1
    return found


def seen(block: Block, scripts: Collection[str]) -> SeenBlock:
    """The node's block reduced to what can concern us; the first block stands on nothing."""
    return SeenBlock(
        height=block.height,
        hash=block.hash,
        previous=block.previous or "",
        received=tuple(
            Received(Outpoint(each.txid, out.index), out.amount.units, out.script.hex(), each.is_coinbase)
            for each in block.transactions
            for out in each.outputs
            if out.amount.units > 0 and out.script.hex() in scripts
        ),
        spent={
            Outpoint(spent.txid, spent.index): each.txid
            for each in block.transactions
            for spent in each.spends
        },
        txids=frozenset(each.txid for each in block.transactions),
    )
