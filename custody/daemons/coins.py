"""Which coins lie on the registry's addresses, by the node alone.

The node is made to go through all coins that there are: on a small chain that takes no time, on the main one
minutes. So it is asked by a thread of its own, and no look waits long. What a scan found is brought to the
node's tip by its blocks, one after the other, until the next scan is over.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from custody.adapters.bitcoin import BitcoinNode
from custody.adapters.bitcoin_answers import Scan

log = logging.getLogger(__name__)

WAIT_S: Final = 5.0
"""So long a look waits for a scan that is under way."""
REST: Final = 10
"""After one that took longer the node is left alone for so many times as long as that."""
AGE_S_MAX: Final = 86_400.0
"""What only blocks have told for so long is not believed any more."""
BLOCKS_MAX: Final = 100
"""In one look."""
AT_ONCE: Final = 100_000
"""Addresses in one question; the node reads no more than 32 MiB of it."""


class NotScanned(Exception):
    """The node has not gone through its coins yet, or is on another branch than when it did."""


@dataclass(frozen=True, slots=True)
class Held:
    """The units of each coin, with its script, as of a block."""

    height: int
    tip: str
    coins: dict[str, tuple[bytes, int]]

    def units(self, scripts: Iterable[bytes] | None = None) -> int:
        """Of these scripts, or of all."""
        wanted = None if scripts is None else frozenset(scripts)
        return sum(units for script, units in self.coins.values() if wanted is None or script in wanted)


def in_a_thread(job: Callable[[], None]) -> None:
    """Do it beside everything else."""
    threading.Thread(target=job, name="scan", daemon=True).start()


class Coins:
    """Of the addresses of one registry. Its owner sees to it that one thread at a time asks."""

    def __init__(
        self,
        *,
        node: BitcoinNode,
        addresses: Callable[[], Sequence[str]],
        scripts: frozenset[bytes],
        start: Callable[[Callable[[], None]], None] = in_a_thread,
    ) -> None:
        self._node, self._addresses, self._scripts, self._start = node, addresses, scripts, start
        self._changed = threading.Condition()
        self._runs = False
        self._found: Held | None = None  # by a scan, and not yet looked at
        self._error: Exception | None = None
        self._held: Held | None = None
        self._scanned_at = self._rests_until = float("-inf")

    def at(self, height: int, tip: str) -> Held:
        """As of that block, the node's tip, or of a later one. NotScanned; NodeError and its like."""
        with self._changed:
            if not self._runs and time.monotonic() >= self._rests_until:
                self._runs, self._error = True, None
                self._start(self._scan)
            self._changed.wait_for(lambda: not self._runs, WAIT_S)
            if self._found is not None:
                self._held, self._found = self._found, None
            held, error, runs = self._held, self._error, self._runs
        if held is None and error is not None:
            raise error
        if held is None or time.monotonic() - self._scanned_at > AGE_S_MAX:
            raise NotScanned(f"the node goes through its coins{self._progress() if runs else ''}")
        if held.height > height:
            return held
        try:
            self._held = self._brought(held, height, tip)
        except NotScanned:
            with self._changed:
                self._held, self._rests_until = None, float("-inf")
            raise
        return self._held

    def _progress(self) -> str:
        done = self._node.scan_progress()
        return "" if done is None else f" ({done} %)"

    def _brought(self, held: Held, height: int, tip: str) -> Held:
        """By the blocks after its own; NotScanned where they do not follow it."""
        upto = min(height, held.height + BLOCKS_MAX)
        coins = dict(held.coins) if held.height < upto else held.coins
        while held.height < upto:
            known = self._node.block_hash(held.height + 1)
            block = self._node.block(known) if known else None
            if block is None or block.previous != held.tip:
                raise NotScanned("the node is on another branch than when it went through its coins")
            for made in block.transactions:
                for spent in made.spends:
                    coins.pop(f"{spent.txid}:{spent.index}", None)
                for out in made.outputs:
                    if out.script in self._scripts:
                        coins[f"{made.txid}:{out.index}"] = out.script, out.amount.units
            held = Held(block.height, block.hash, coins)
        if held.height == height and held.tip != tip:
            raise NotScanned("the node is on another branch than when it went through its coins")
        return held

    def _scan(self) -> None:
        began = time.monotonic()
        found, error = None, None
        try:
            found = self._scanned()
        except Exception as failed:  # noqa: BLE001 - the look that waits is told
            log.warning("the node did not go through its coins: %s", failed or type(failed).__name__)
            error = failed
        with self._changed:
            self._runs, self._error = False, error
            ended = time.monotonic()
            if found is not None:
                self._found, self._scanned_at = found, began
                took = ended - began
                self._rests_until = ended + (REST * took if took > WAIT_S else 0.0)
            self._changed.notify_all()

    def _scanned(self) -> Held:
        """Some addresses after the others, and what was found brought to the block of what comes next."""
        addresses = self._addresses()
        held: Held | None = None
        for first in range(0, max(len(addresses), 1), AT_ONCE):
            scan = self._node.scan(addresses[first : first + AT_ONCE])
            more = _coins(scan)
            if held is not None and held.height != scan.height:
                held = self._brought(held, scan.height, scan.tip)
            if held is not None and held.tip != scan.tip:
                raise NotScanned("the node went to another branch while it went through its coins")
            held = Held(scan.height, scan.tip, {**held.coins, **more} if held is not None else more)
        assert held is not None
        return held


def _coins(scan: Scan) -> dict[str, tuple[bytes, int]]:
    return {
        f"{coin.outpoint.txid}:{coin.outpoint.index}": (coin.script, coin.amount.units) for coin in scan.coins
    }
