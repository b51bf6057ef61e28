"""A treasury on a real regtest chain: its first hundred blocks are mined once, and then copied."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from pytest_django.fixtures import Settings

from custody import actions
from custody.adapters.bitcoin import BitcoinNode
from custody.adapters.bitcoin_answers import Block
from custody.daemons import watcher
from custody.domain.limits import Quote
from custody.models import Withdrawal
from devstack.demo.outside import Outsider
from tests import chains
from tests.treasury import BTC, PRICE_CENTS, ROBOT, Treasury, customer_actor

SMALL: Final = BTC // 100


class World:
    """A treasury on a real regtest chain, with soft keys behind the signers' client."""

    def __init__(self, treasury: Treasury, node: BitcoinNode, outside: Outsider) -> None:
        self.treasury, self.node, self.outside = treasury, node, outside

    def fund(self, coins: int) -> None:
        """So many coins for Tom, each enough for one withdrawal."""
        tom, now = self.treasury.tom, self.treasury.now
        address = actions.assign_address(customer_id=tom.pk, asset="BTC", actor=customer_actor(tom), now=now)
        for number in range(coins):
            self.outside.pay(address.address, 2 * SMALL)
            if number % 20 == 19:  # no node takes a chain of more than 25 that wait
                self.outside.mine(1)
        self.outside.mine(2)
        self.follow()

    def follow(self) -> None:
        while watcher.step(self.node, now=self.treasury.now):
            pass

    def approved(self) -> Withdrawal:
        """A withdrawal to a destination of its own, approved, at a fresh price."""
        quote = Quote("BTC", PRICE_CENTS, self.treasury.now)
        actions.report_price(quote=quote, source="test", actor=ROBOT, now=self.treasury.now)
        return self.treasury.approved(sats=SMALL, destination=Outsider.fresh_address())

    def paid(self) -> Counter[str]:
        """What each address has received, over the whole chain and the mempool."""
        held = [self.node.transaction(txid) for txid in self.node.mempool()]
        for block in self.blocks():
            held += block.transactions
        total: Counter[str] = Counter()
        for each in held:
            for out in each.outputs if each is not None else ():
                total[out.address or ""] += out.amount.units
        return total

    def blocks(self) -> Iterator[Block]:
        height = 0
        while (block_hash := self.node.block_hash(height)) and (block := self.node.block(block_hash)):
            yield block
            height += 1


@dataclass(frozen=True)
class Paused:
    """A world whose node has ended: what the treasury knows, whoever mined, and the chain."""

    treasury: Treasury
    outside: Outsider
    chain: chains.Files


@dataclass(frozen=True)
class Mined:
    """How one is made: Tom at tier 4 with so many coins, on a chain of its own that the books have read."""

    coins: int

    def __call__(self, now: datetime) -> Paused:
        with tempfile.TemporaryDirectory(prefix="cs-", dir="/tmp") as at:
            with chains.running(Path(at)) as url, BitcoinNode(url) as node:
                world = World(Treasury.open(now, tier=4), node, Outsider(node))
                world.outside.earn()
                if self.coins:
                    world.fund(self.coins)
                world.follow()
            return Paused(world.treasury, left(world.outside), chains.files(Path(at)))


@contextmanager
def opened(paused: Paused, settings: Settings, folder: Path) -> Iterator[World]:
    """It goes on: the same chain, on a node of its own."""
    with chains.running(folder, paused.chain) as url, BitcoinNode(url) as node:
        settings.BITCOIN_RPC_URL = url
        yield World(paused.treasury, node, found(paused.outside, node))


def left(outside: Outsider) -> Outsider:
    """Whoever mined, without the node that has ended."""
    del outside._node
    return outside


def found(outside: Outsider, node: BitcoinNode) -> Outsider:
    """The same, with the node that has the chain now."""
    outside._node = node
    return outside
