"""The mempool: which transactions wait for a block, and why others were refused, in Bitcoin Core's words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import pbk
from pbk.script import PrecomputedTransactionData

from devstack.standins.regtest.chain import COINBASE_MATURITY, Chain, Change, Coin
from devstack.standins.regtest.wire import OutPoint, Output, Transaction, script_kind

MISSING: Final = -25
REJECTED: Final = -26
RELAY_SATS_PER_KVB: Final = 1000
STANDARD_WEIGHT_MAX: Final = 400_000
ANCESTORS_MAX: Final = 25
EVICTIONS_MAX: Final = 100
HALF_ORDER: Final = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
MONEY_MAX: Final = 21_000_000 * 100_000_000

_SEQUENCE_DISABLED = 1 << 31
_SEQUENCE_IS_TIME = 1 << 22


class Refused(Exception):
    """The mempool did not take the transaction; `code` and `reason` are Bitcoin Core's."""

    def __init__(self, code: int, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}, {detail}" if detail else reason)
        self.code = code
        self.reason = reason


@dataclass(frozen=True)
class Entry:
    tx: Transaction
    fee: int
    time: int
    height: int

    @property
    def sats_per_kvb(self) -> int:
        return self.fee * 1000 // self.tx.vsize


class Mempool:
    """Transactions in the order in which they came, parents always before children."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.entries: dict[str, Entry] = {}
        self.spender: dict[OutPoint, str] = {}

    # --- Change -----------------------------------------------------------------------------------

    def add(self, tx: Transaction, *, time: int) -> Entry:
        """Take the transaction, and throw out what it replaces."""
        entry, evicted = self.judge(tx, time=time)
        self._remove(evicted)
        self._insert(entry)
        return entry

    def _insert(self, entry: Entry) -> None:
        self.entries[entry.tx.txid] = entry
        for each in entry.tx.inputs:
            self.spender[each.previous] = entry.tx.txid

    def _remove(self, txids: Iterable[str]) -> None:
        for txid in txids:
            entry = self.entries.pop(txid, None)
            for each in entry.tx.inputs if entry else ():
                self.spender.pop(each.previous, None)

    def follow(self, change: Change, *, time: int) -> None:
        """Keep what still fits after the chain moved; transactions of lost blocks wait again."""
        if change.off:
            waiting = [tx for block in reversed(change.off) for tx in block.transactions]
            waiting += [entry.tx for entry in self.entries.values()]
            self.entries.clear()
            self.spender.clear()
            self.reload(waiting, time=time)  # refuses the coinbases among them
            return
        for block in change.on:
            for tx in block.transactions:
                self._remove([tx.txid])
                for each in tx.inputs:
                    if each.previous in self.spender:
                        self._remove(self.with_descendants({self.spender[each.previous]}))

    def reload(self, transactions: Iterable[Transaction], *, time: int) -> None:
        """Take back those of the transactions that the mempool still accepts."""
        for tx in transactions:
            try:
                self.add(tx, time=time)
            except Refused:
                continue

    # --- Questions --------------------------------------------------------------------------------

    def coin(self, previous: OutPoint) -> Coin | None:
        """The output, from the chain or from a waiting transaction; None when there is no such one."""
        if previous in self.chain.coins:
            return self.chain.coins[previous]
        parent = self.entries.get(previous.txid)
        if parent is None or previous.index >= len(parent.tx.outputs):
            return None
        return Coin(parent.tx.outputs[previous.index], self.chain.height + 1, False)

    def parents(self, tx: Transaction) -> set[str]:
        return {each.previous.txid for each in tx.inputs} & self.entries.keys()

    def ancestors(self, tx: Transaction) -> set[str]:
        found: set[str] = set()
        ahead = self.parents(tx)
        while ahead:
            found |= ahead
            ahead = {parent for txid in ahead for parent in self.parents(self.entries[txid].tx)} - found
        return found

    def with_descendants(self, txids: set[str]) -> set[str]:
        found = set(txids)
        for txid, entry in self.entries.items():  # in order, so one pass reaches every generation
            if found & self.parents(entry.tx):
                found.add(txid)
        return found

    # --- Judgement --------------------------------------------------------------------------------

    def judge(self, tx: Transaction, *, time: int) -> tuple[Entry, set[str]]:
        """The entry that this transaction would be, and what it would replace; raises `Refused`."""
        _check_form(tx)
        self._check_final(tx)
        if tx.txid in self.entries:
            same = self.entries[tx.txid].tx.wtxid == tx.wtxid
            reason = "txn-already-in-mempool" if same else "txn-same-nonwitness-data-in-mempool"
            raise Refused(REJECTED, reason)
        rivals = {self.spender[each.previous] for each in tx.inputs if each.previous in self.spender}
        coins = self._coins(tx)
        self._check_sequence_locks(tx, coins)
        for coin in coins:
            if coin.is_coinbase and self.chain.height + 1 - coin.height < COINBASE_MATURITY:
                depth = self.chain.height + 1 - coin.height
                detail = f"tried to spend coinbase at depth {depth}"
                raise Refused(REJECTED, "bad-txns-premature-spend-of-coinbase", detail)
        paid_in, paid_out = sum(c.output.value for c in coins), sum(o.value for o in tx.outputs)
        if paid_in < paid_out:
            raise Refused(REJECTED, "bad-txns-in-belowout", f"value in ({paid_in}) < value out ({paid_out})")
        fee = paid_in - paid_out
        needed = tx.vsize * RELAY_SATS_PER_KVB // 1000
        if fee < needed:
            raise Refused(REJECTED, "min relay fee not met", f"{fee} < {needed}")
        entry = Entry(tx, fee, time, self.chain.height)
        evicted = self._check_replacement(entry, rivals) if rivals else set()
        if len(self.ancestors(tx)) >= ANCESTORS_MAX:
            detail = f"too many unconfirmed ancestors [limit: {ANCESTORS_MAX}]"
            raise Refused(REJECTED, "too-long-mempool-chain", detail)
        _check_scripts(tx, [coin.output for coin in coins])
        return entry, evicted

    def _coins(self, tx: Transaction) -> list[Coin]:
        found = [self.coin(each.previous) for each in tx.inputs]
        if any(coin is None for coin in found):
            if any(OutPoint(tx.txid, index) in self.chain.coins for index in range(len(tx.outputs))):
                raise Refused(REJECTED, "txn-already-known")
            raise Refused(MISSING, "bad-txns-inputs-missingorspent")
        return [coin for coin in found if coin is not None]

    def _check_final(self, tx: Transaction) -> None:
        if tx.locktime == 0 or all(each.sequence == 0xFFFFFFFF for each in tx.inputs):
            return
        by_height = tx.locktime < 500_000_000
        reached = self.chain.height + 1 if by_height else self.chain.median_time(self.chain.tip.hash)
        if tx.locktime >= reached:
            raise Refused(REJECTED, "non-final")

    def _check_sequence_locks(self, tx: Transaction, coins: list[Coin]) -> None:
        """BIP68. Without it a block made from the mempool could be invalid."""
        if tx.version < 2:
            return
        for each, coin in zip(tx.inputs, coins, strict=True):
            if each.sequence & _SEQUENCE_DISABLED:
                continue
            wait = each.sequence & 0xFFFF
            if each.sequence & _SEQUENCE_IS_TIME:
                before = self.chain.main[min(max(coin.height - 1, 0), self.chain.height)]
                ready = self.chain.median_time(before) + (wait << 9)
                is_ready = self.chain.median_time(self.chain.tip.hash) >= ready
            else:
                is_ready = self.chain.height + 1 >= coin.height + wait
            if not is_ready:
                raise Refused(REJECTED, "non-BIP68-final")

    def _check_replacement(self, entry: Entry, rivals: set[str]) -> set[str]:
        """What falls if this entry replaces its rivals, by Core's rules of full replace-by-fee."""
        name, evicted = entry.tx.txid, self.with_descendants(rivals)
        if self.ancestors(entry.tx) & evicted:
            raise Refused(REJECTED, "bad-txns-spends-conflicting-tx", f"{name} spends its own rival")
        if len(evicted) > EVICTIONS_MAX:
            raise Refused(REJECTED, "too many potential replacements", f"rejecting replacement {name}")
        best = max(self.entries[txid].sats_per_kvb for txid in rivals)
        if entry.sats_per_kvb <= best:
            detail = f"rejecting replacement {name}; new feerate {entry.sats_per_kvb} <= old {best} sat/kvB"
            raise Refused(REJECTED, "insufficient fee", detail)
        known = {parent for txid in rivals for parent in self.parents(self.entries[txid].tx)}
        if self.parents(entry.tx) - known:
            detail = f"replacement {name} adds unconfirmed input"
            raise Refused(REJECTED, "replacement-adds-unconfirmed", detail)
        owed = sum(self.entries[txid].fee for txid in evicted)
        if entry.fee < owed:
            detail = f"rejecting replacement {name}, less fees than conflicting txs; {entry.fee} < {owed}"
            raise Refused(REJECTED, "insufficient fee", detail)
        relay = entry.tx.vsize * RELAY_SATS_PER_KVB // 1000
        more = entry.fee - owed
        if more < relay:
            detail = f"rejecting replacement {name}, not enough additional fees to relay; {more} < {relay}"
            raise Refused(REJECTED, "insufficient fee", detail)
        return evicted


def _dust_limit(output: Output) -> int:
    """The least value that is worth spending at Core's dust rate of 3 sat/vB."""
    size = 8 + 1 + len(output.script)
    is_witness = script_kind(output.script).startswith("witness")
    return 3 * (size + (67 if is_witness else 148))


def _check_form(tx: Transaction) -> None:
    """What can be said of a transaction without knowing the chain."""
    if not tx.outputs:
        raise Refused(REJECTED, "bad-txns-vout-empty")
    if any(output.value > MONEY_MAX for output in tx.outputs):
        raise Refused(REJECTED, "bad-txns-vout-toolarge")
    if len({each.previous for each in tx.inputs}) != len(tx.inputs):
        raise Refused(REJECTED, "bad-txns-inputs-duplicate")
    if tx.is_coinbase:
        raise Refused(REJECTED, "coinbase")
    if tx.version not in (1, 2, 3):
        raise Refused(REJECTED, "version")
    if tx.weight > STANDARD_WEIGHT_MAX:
        raise Refused(REJECTED, "tx-size")
    if len(tx.stripped) < 65:
        raise Refused(REJECTED, "tx-size-small")
    for output in tx.outputs:
        kind = script_kind(output.script)
        if kind == "nonstandard":
            raise Refused(REJECTED, "scriptpubkey")
        if kind == "nulldata" and len(output.script) > 83:
            raise Refused(REJECTED, "datacarrier")
        if kind != "nulldata" and output.value < _dust_limit(output):
            raise Refused(REJECTED, "dust")


def _check_scripts(tx: Transaction, spent: list[Output]) -> None:
    """Every input's script, judged by Bitcoin Core's interpreter, then the low-S rule that is policy only."""
    parsed = pbk.Transaction(tx.raw)
    outputs = [pbk.TransactionOutput(pbk.ScriptPubkey(each.script), each.value) for each in spent]
    prepared = PrecomputedTransactionData(parsed, outputs)
    flags = pbk.ScriptVerificationFlags.ALL
    for index, output in enumerate(spent):
        holds = pbk.ScriptPubkey(output.script).verify(output.value, parsed, prepared, index, flags)
        if not holds:  # verify() says False, it does not raise
            where = f"input {index} of {tx.txid} (wtxid {tx.wtxid}), spending {_name(tx, index)}"
            raise Refused(REJECTED, "mempool-script-verify-flag-failed (script does not hold)", where)
    for index, each in enumerate(tx.inputs):
        if any(_is_high_s(item) for item in each.witness[:-1] or each.witness):
            why = "Non-canonical signature: S value is unnecessarily high"
            where = f"input {index} of {tx.txid}, spending {_name(tx, index)}"
            raise Refused(REJECTED, f"mempool-script-verify-flag-failed ({why})", where)


def _name(tx: Transaction, index: int) -> str:
    previous = tx.inputs[index].previous
    return f"{previous.txid}:{previous.index}"


def _is_high_s(item: bytes) -> bool:
    """Whether a witness item is a DER signature with S above half the group order."""
    if not 9 <= len(item) <= 73 or item[0] != 0x30 or item[1] != len(item) - 3 or item[2] != 0x02:
        return False
    at = 4 + item[3]
    if at + 2 > len(item) or item[at] != 0x02:
        return False
    return int.from_bytes(item[at + 2 : at + 2 + item[at + 1]], "big") > HALF_ORDER
