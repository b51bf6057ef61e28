"""The block chain: Bitcoin Core's validation judges every block, and an index here answers what RPC asks.

Blocks are kept in one append-only file. At the start, and after a block was invalidated, a fresh judge is
given all of them again, so there is no second database whose state could disagree with the first.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pbk

from devstack.standins.regtest.wire import Block, OutPoint, Output, Transaction

BITS: Final = 0x207FFFFF
TARGET: Final = (BITS & 0xFFFFFF) << (8 * ((BITS >> 24) - 3))
HALVING: Final = 150
COINBASE_MATURITY: Final = 100
FIRST_SUBSIDY: Final = 50 * 100_000_000


class BlockRefused(Exception):
    """The judge did not accept a block; the text is its reason."""


class UnknownBlock(KeyError):
    """No block of that hash was ever seen."""


@dataclass(frozen=True)
class Coin:
    """An unspent output of the main chain."""

    output: Output
    height: int
    is_coinbase: bool


def subsidy(height: int) -> int:
    return FIRST_SUBSIDY >> (height // HALVING)


class Judge:
    """One instance of Bitcoin Core's validation engine on a folder of its own."""

    def __init__(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "blocks").mkdir(parents=True)
        self.folder = folder
        self.verdicts: dict[str, str] = {}
        callbacks = pbk.ValidationInterfaceCallbacks(block_checked=self._checked)
        context = pbk.make_context(pbk.ChainType.REGTEST, validation_callbacks=callbacks)
        options = pbk.ChainstateManagerOptions(context, str(folder), str(folder / "blocks"))
        options.update_block_tree_db_in_memory(True)
        options.update_chainstate_db_in_memory(True)
        self.manager = pbk.ChainstateManager(options)
        self.manager.import_blocks([])  # without it the first block is not connected
        self.chain = self.manager.get_active_chain()

    def _checked(self, _: object, block: Any, state: Any) -> None:
        if state.validation_mode != pbk.ValidationMode.VALID:
            self.verdicts[str(block.block_hash)] = state.block_validation_result.name.lower().replace(
                "_", "-"
            )

    def submit(self, block: Block) -> None:
        """Give the judge a block; raises `BlockRefused` with its reason if it is invalid."""
        try:
            self.manager.process_block(pbk.Block(block.raw))
        except (pbk.ProcessBlockException, RuntimeError) as error:
            raise BlockRefused(self.verdicts.get(block.hash, str(error))) from error
        if block.hash in self.verdicts:
            raise BlockRefused(self.verdicts[block.hash])

    def genesis(self) -> Block:
        return Block.parse(bytes(self.manager.blocks[self.chain.block_tree_entries[0]]))

    @property
    def height(self) -> int:
        return int(self.chain.height)

    def hash_at(self, height: int) -> str:
        return str(self.chain.block_tree_entries[height].block_hash)


@dataclass(frozen=True)
class Change:
    """What one step did to the main chain: blocks taken off (newest first) and put on (oldest first)."""

    off: list[Block]
    on: list[Block]


class Chain:
    """The main chain of the judge, with every transaction and unspent output at hand."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.blocks: dict[str, Block] = {}
        self.heights: dict[str, int] = {}
        self.main: list[str] = []
        self.coins: dict[OutPoint, Coin] = {}
        self.home: dict[str, str] = {}  # txid -> block of the main chain
        self._spent_by: dict[
            str, list[tuple[OutPoint, Coin]]
        ] = {}  # block -> coins it spent, to take it off again
        self._order: list[str] = []
        self._dropped: set[str] = self._read_dropped()
        self.judge = Judge(folder / "judge")
        genesis = self.judge.genesis()
        self.blocks[genesis.hash], self.heights[genesis.hash] = genesis, 0
        for block in self._stored():
            self._remember(block)
        self._replay()

    # --- Storage ----------------------------------------------------------------------------------

    def _stored(self) -> Iterator[Block]:
        path = self.folder / "blocks.dat"
        data = path.read_bytes() if path.exists() else b""
        at = 0
        while at + 4 <= len(data):
            size = int.from_bytes(data[at : at + 4], "big")
            if at + 4 + size > len(data):
                break  # the last write was cut off; the block was never answered for
            yield Block.parse(data[at + 4 : at + 4 + size])
            at += 4 + size
        if at != len(data):
            with path.open("r+b") as file:
                file.truncate(at)

    def _store(self, block: Block) -> None:
        with (self.folder / "blocks.dat").open("ab") as file:
            file.write(len(block.raw).to_bytes(4, "big") + block.raw)

    def _read_dropped(self) -> set[str]:
        path = self.folder / "dropped.json"
        return set(json.loads(path.read_text())) if path.exists() else set()

    def _remember(self, block: Block) -> None:
        self.blocks[block.hash] = block
        self.heights[block.hash] = self.heights[block.previous] + 1
        self._order.append(block.hash)

    # --- Change -----------------------------------------------------------------------------------

    def submit(self, raw: bytes) -> Change:
        """Add a block that the judge accepts, and follow it if it makes the better chain."""
        block = Block.parse(raw)
        if block.hash in self.blocks:
            raise BlockRefused("duplicate")
        if block.previous not in self.blocks:
            raise BlockRefused("prev-blk-not-found")
        self.judge.submit(block)
        self._store(block)
        self._remember(block)
        return self._follow()

    def drop(self, block_hash: str) -> Change:
        """Treat a block as invalid from now on, with all that stands on it."""
        if self.height_of(block_hash) == 0:
            raise BlockRefused("the genesis block stays")
        return self._set_dropped(self._dropped | {block_hash})

    def restore(self, block_hash: str) -> Change:
        """Take a `drop` back."""
        self.height_of(block_hash)
        return self._set_dropped(self._dropped - {block_hash})

    def _set_dropped(self, dropped: set[str]) -> Change:
        self._dropped = dropped
        (self.folder / "dropped.json").write_text(json.dumps(sorted(dropped)))
        return self._replay()

    def _replay(self) -> Change:
        old = self.judge
        self.judge = Judge(self.folder / ("judge-b" if old.folder.name == "judge" else "judge"))
        refused = set(self._dropped)
        for block_hash in self._order:
            block = self.blocks[block_hash]
            if block_hash in refused or block.previous in refused:
                refused.add(block_hash)
            else:
                self.judge.submit(block)
        return self._follow()

    def _follow(self) -> Change:
        off: list[Block] = []
        while self.main and (
            len(self.main) - 1 > self.judge.height or self.judge.hash_at(len(self.main) - 1) != self.main[-1]
        ):
            off.append(self._disconnect())
        on = [self._connect(height) for height in range(len(self.main), self.judge.height + 1)]
        return Change(off, on)

    def _connect(self, height: int) -> Block:
        block = self.blocks[self.judge.hash_at(height)]
        spent: list[tuple[OutPoint, Coin]] = []
        for tx in block.transactions:
            self.home[tx.txid] = block.hash
            if height == 0:
                continue  # nobody can spend the genesis coinbase
            if not tx.is_coinbase:
                spent += [(each.previous, self.coins.pop(each.previous)) for each in tx.inputs]
            for index, output in enumerate(tx.outputs):
                if output.script[:1] != b"\x6a":
                    self.coins[OutPoint(tx.txid, index)] = Coin(output, height, tx.is_coinbase)
        self._spent_by[block.hash] = spent
        self.main.append(block.hash)
        return block

    def _disconnect(self) -> Block:
        block = self.blocks[self.main.pop()]
        for tx in reversed(block.transactions):
            self.home.pop(tx.txid, None)
            for index in range(len(tx.outputs)):
                self.coins.pop(OutPoint(tx.txid, index), None)
        ours = {tx.txid for tx in block.transactions}
        for previous, coin in self._spent_by.pop(block.hash):
            if previous.txid not in ours:
                self.coins[previous] = coin
        return block

    # --- Questions --------------------------------------------------------------------------------

    @property
    def height(self) -> int:
        return len(self.main) - 1

    @property
    def tip(self) -> Block:
        return self.blocks[self.main[-1]]

    def height_of(self, block_hash: str) -> int:
        try:
            return self.heights[block_hash]
        except KeyError:
            raise UnknownBlock(block_hash) from None

    def confirmations(self, block_hash: str) -> int:
        """1 for the tip, more below it, -1 off the main chain."""
        height = self.height_of(block_hash)
        on_main = height <= self.height and self.main[height] == block_hash
        return self.height - height + 1 if on_main else -1

    def median_time(self, block_hash: str) -> int:
        """Median time of the block and the ten before it (BIP113)."""
        times: list[int] = []
        at = block_hash
        while len(times) < 11 and at in self.blocks:
            times.append(self.blocks[at].time)
            at = self.blocks[at].previous
        return sorted(times)[len(times) // 2]

    def transaction(self, txid: str) -> tuple[Transaction, Block] | None:
        """The transaction and its block, if the main chain has it."""
        if txid not in self.home:
            return None
        block = self.blocks[self.home[txid]]
        return next(tx for tx in block.transactions if tx.txid == txid), block

    def fee(self, tx: Transaction, block: Block) -> int | None:
        """What a mined transaction paid; None for a coinbase and off the main chain."""
        spent = dict(self._spent_by.get(block.hash, ()))
        if tx.is_coinbase or any(each.previous not in spent for each in tx.inputs):
            return None
        paid_in = sum(spent[each.previous].output.value for each in tx.inputs)
        return paid_in - sum(output.value for output in tx.outputs)
