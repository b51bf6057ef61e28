"""The node: chain, mempool and miner together, stored below one folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from devstack.standins.regtest import wire
from devstack.standins.regtest.chain import BITS, TARGET, Chain, Change, subsidy
from devstack.standins.regtest.mempool import Mempool, Refused
from devstack.standins.regtest.wire import Transaction

TEMPLATE_WEIGHT_MAX: Final = 3_900_000


class Node:
    """A regtest node whose state survives a restart."""

    def __init__(self, folder: Path, *, clock: Callable[[], int]) -> None:
        self.clock = clock
        self.chain = Chain(folder)
        self.mempool = Mempool(self.chain)
        self._file = folder / "mempool.hex"
        if self._file.exists():
            stored = [Transaction.parse(bytes.fromhex(line)) for line in self._file.read_text().split()]
            self.mempool.reload(stored, time=clock())

    def _save(self) -> None:
        fresh = self._file.with_suffix(".new")
        fresh.write_text("".join(f"{entry.tx.raw.hex()}\n" for entry in self.mempool.entries.values()))
        fresh.replace(self._file)

    def accept(self, tx: Transaction) -> None:
        """Take a transaction into the mempool; raises `Refused`."""
        self.mempool.add(tx, time=self.clock())
        self._save()

    def judge(self, tx: Transaction) -> int:
        """The fee that the transaction would pay if it were accepted now; raises `Refused`."""
        entry, _ = self.mempool.judge(tx, time=self.clock())
        return entry.fee

    def moved(self, change: Change) -> None:
        self.mempool.follow(change, time=self.clock())
        self._save()

    def submit(self, raw: bytes) -> None:
        """Add a block made elsewhere; raises `BlockRefused`."""
        self.moved(self.chain.submit(raw))

    def mine(self, script: bytes, *, extra_nonce: int = 0) -> str:
        """Make the next block from the mempool, paid to this script; its hash."""
        height, previous = self.chain.height + 1, self.chain.tip.hash
        picked, fees, weight = [], 0, 0
        for entry in self.mempool.entries.values():
            if weight + entry.tx.weight > TEMPLATE_WEIGHT_MAX:
                break  # children come after their parents, so the rest waits together
            picked.append(entry.tx)
            fees += entry.fee
            weight += entry.tx.weight
        time = max(self.clock(), self.chain.median_time(previous) + 1)
        raw = self._assemble(height, previous, script, picked, fees=fees, time=time, extra_nonce=extra_nonce)
        self.submit(raw)
        return wire.double_sha256(raw[:80])[::-1].hex()

    def _assemble(
        self,
        height: int,
        previous: str,
        script: bytes,
        picked: list[Transaction],
        *,
        fees: int,
        time: int,
        extra_nonce: int,
    ) -> bytes:
        witness_root = wire.merkle_root([bytes(32), *(bytes.fromhex(tx.wtxid)[::-1] for tx in picked)])
        # Two blocks of the same second on one parent must differ, or a reorganisation made to order would
        # mine the very block that was dropped.
        nonce = (len(self.chain.blocks) << 16 | extra_nonce).to_bytes(8, "little")
        coinbase = wire.coinbase(
            height=height,
            value=subsidy(height) + fees,
            script=script,
            extra_nonce=nonce,
            commitment=wire.double_sha256(witness_root + bytes(32)),
        )
        transactions = [Transaction.parse(coinbase), *picked]
        root = wire.merkle_root([bytes.fromhex(tx.txid)[::-1] for tx in transactions])
        head = (
            (0x20000000).to_bytes(4, "little")
            + bytes.fromhex(previous)[::-1]
            + root
            + time.to_bytes(4, "little")
            + BITS.to_bytes(4, "little")
        )
        for number in range(1 << 32):  # two tries on average
            header = head + number.to_bytes(4, "little")
            if int.from_bytes(wire.double_sha256(header), "little") <= TARGET:
                break
        body = b"".join(tx.raw for tx in transactions)
        return header + wire.compact_size(len(transactions)) + body


__all__ = ["Node", "Refused"]
