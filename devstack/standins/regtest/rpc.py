"""The JSON-RPC methods of Bitcoin Core that the exchange uses, with Core's names, shapes and error codes."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from devstack.standins.regtest import wire
from devstack.standins.regtest.chain import BlockRefused, UnknownBlock
from devstack.standins.regtest.mempool import MISSING, REJECTED, RELAY_SATS_PER_KVB, Entry
from devstack.standins.regtest.node import Node, Refused
from devstack.standins.regtest.wire import BadBytes, Block, OutPoint, Output, Transaction

MISC: Final = -1
WRONG_TYPE: Final = -3
BAD_ADDRESS_OR_KEY: Final = -5
BAD_PARAMETER: Final = -8
BAD_ENCODING: Final = -22
ALREADY_MINED: Final = -27
BAD_REQUEST: Final = -32600
NO_METHOD: Final = -32601

MAX_FEE_SATS_PER_KVB: Final = 10_000_000  # 0.1 BTC/kvB, Core's default for sendrawtransaction
BLOCKS_PER_CALL_MAX: Final = 10_000


class RpcError(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def bitcoin(sats: int) -> Decimal:
    return Decimal(sats).scaleb(-8)


class Rpc:
    """Answers one method call at a time; `serve` keeps calls apart."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.chain = node.chain
        self.mempool = node.mempool
        self._started = node.clock()

    def call(self, method: str, params: Sequence[Any] | Mapping[str, Any]) -> Any:
        """The method's result; raises `RpcError`."""
        function: Callable[..., Any] | None = getattr(self, f"do_{method}", None)
        if function is None or not re.fullmatch(r"[a-z]+", method):
            raise RpcError(NO_METHOD, "Method not found")
        try:
            signature = inspect.signature(function)
            bound = signature.bind(**params) if isinstance(params, Mapping) else signature.bind(*params)
        except TypeError as error:
            raise RpcError(MISC, f"{method}{inspect.signature(function)}: {error}") from error
        try:
            return function(*bound.args, **bound.kwargs)
        except UnknownBlock as error:
            raise RpcError(BAD_ADDRESS_OR_KEY, "Block not found") from error
        except (TypeError, AttributeError) as error:
            raise RpcError(WRONG_TYPE, f"JSON value is not of the expected type ({error})") from error

    # --- Chain ------------------------------------------------------------------------------------

    def do_getblockchaininfo(self) -> dict[str, Any]:
        tip = self.chain.tip
        return {
            "chain": "regtest",
            "blocks": self.chain.height,
            "headers": self.chain.height,
            "bestblockhash": tip.hash,
            "bits": f"{tip.bits:08x}",
            "difficulty": Decimal("4.656542373906925e-10"),
            "time": tip.time,
            "mediantime": self.chain.median_time(tip.hash),
            "verificationprogress": 1,
            "initialblockdownload": False,
            "chainwork": _work(self.chain.height),
            "size_on_disk": sum(len(block.raw) for block in self.chain.blocks.values()),
            "pruned": False,
            "warnings": [],
        }

    def do_getnetworkinfo(self) -> dict[str, Any]:
        return {
            "version": 290000,
            "subversion": "/countersign-regtest:1/",
            "protocolversion": 70016,
            "connections": 0,
            "networkactive": False,
            "relayfee": bitcoin(RELAY_SATS_PER_KVB),
            "incrementalfee": bitcoin(RELAY_SATS_PER_KVB),
            "warnings": [],
        }

    def do_uptime(self) -> int:
        return self.node.clock() - self._started

    def do_getblockcount(self) -> int:
        return self.chain.height

    def do_getbestblockhash(self) -> str:
        return self.chain.tip.hash

    def do_getblockhash(self, height: int) -> str:
        if not 0 <= height <= self.chain.height:
            raise RpcError(BAD_PARAMETER, "Block height out of range")
        return self.chain.main[height]

    def do_getblockheader(self, blockhash: str, verbose: bool = True) -> Any:
        block = self._block(blockhash)
        return self._header(block) if verbose else block.raw[:80].hex()

    def do_getblock(self, blockhash: str, verbosity: int | bool = 1) -> Any:
        block = self._block(blockhash)
        level = int(verbosity)
        if level == 0:
            return block.raw.hex()
        transactions: list[Any] = [tx.txid for tx in block.transactions]
        if level >= 2:
            transactions = []
            for tx in block.transactions:
                fee = self.chain.fee(tx, block)
                paid = {} if fee is None else {"fee": bitcoin(fee)}
                transactions.append(self._decoded(tx) | paid | {"hex": tx.raw.hex()})
        return self._header(block) | {
            "strippedsize": block.stripped_size,
            "size": len(block.raw),
            "weight": block.weight,
            "tx": transactions,
        }

    def do_invalidateblock(self, blockhash: str) -> None:
        self._block(blockhash)
        self.node.moved(self.chain.drop(blockhash))

    def do_reconsiderblock(self, blockhash: str) -> None:
        self._block(blockhash)
        self.node.moved(self.chain.restore(blockhash))

    def do_submitblock(self, hexdata: str) -> str | None:
        try:
            self.node.submit(_bytes(hexdata, "Block decode failed"))
        except BadBytes as error:
            raise RpcError(BAD_ENCODING, "Block decode failed") from error
        except BlockRefused as error:
            return str(error)
        return None

    def do_generatetoaddress(self, nblocks: int, address: str, maxtries: int = 1_000_000) -> list[str]:
        if not 0 <= nblocks <= BLOCKS_PER_CALL_MAX:
            raise RpcError(BAD_PARAMETER, f"nblocks must be 0 to {BLOCKS_PER_CALL_MAX}")
        script = _script(address, "Error: Invalid address")
        return [self.node.mine(script, extra_nonce=number) for number in range(nblocks)]

    # --- Transactions -----------------------------------------------------------------------------

    def do_getrawtransaction(
        self, txid: str, verbose: int | bool = False, blockhash: str | None = None
    ) -> Any:
        tx, block = self._find(_hash(txid), blockhash)
        if not verbose:
            return tx.raw.hex()
        shown = self._decoded(tx) | {"hex": tx.raw.hex()}
        if block is not None:
            shown["blockhash"] = block.hash
            confirmations = self.chain.confirmations(block.hash)
            shown["confirmations"] = max(confirmations, 0)
            if confirmations > 0:
                shown |= {"time": block.time, "blocktime": block.time}
        return shown

    def do_decoderawtransaction(self, hexstring: str, iswitness: bool | None = None) -> dict[str, Any]:
        return self._decoded(_transaction(hexstring))

    def do_sendrawtransaction(self, hexstring: str, maxfeerate: Any = None, maxburnamount: Any = None) -> str:
        tx = _transaction(hexstring)
        if any(OutPoint(tx.txid, index) in self.chain.coins for index in range(len(tx.outputs))):
            raise RpcError(ALREADY_MINED, "Transaction outputs already in utxo set")
        burnt = max((output.value for output in tx.outputs if output.script[:1] == b"\x6a"), default=0)
        if burnt > _sats(maxburnamount, 0):
            text = "Unspendable output exceeds maximum configured by user (maxburnamount)"
            raise RpcError(MISSING, text)
        if tx.txid in self.mempool.entries:
            return tx.txid
        limit = _sats(maxfeerate, MAX_FEE_SATS_PER_KVB)
        try:
            fee = self.node.judge(tx)
            if limit and fee > limit * tx.vsize // 1000:
                text = "Fee exceeds maximum configured by user (e.g. -maxtxfee, maxfeerate)"
                raise RpcError(MISSING, text)
            self.node.accept(tx)
        except Refused as error:
            raise RpcError(error.code, str(error)) from error
        return tx.txid

    def do_testmempoolaccept(self, rawtxs: list[str], maxfeerate: Any = None) -> list[dict[str, Any]]:
        if len(rawtxs) != 1:
            raise RpcError(BAD_PARAMETER, "this node judges one transaction at a time")
        tx = _transaction(rawtxs[0])
        answer: dict[str, Any] = {"txid": tx.txid, "wtxid": tx.wtxid}
        try:
            fee = self.node.judge(tx)
        except Refused as error:
            reason = "missing-inputs" if error.code == MISSING else error.reason
            return [answer | {"allowed": False, "reject-reason": reason, "reject-details": str(error)}]
        limit = _sats(maxfeerate, MAX_FEE_SATS_PER_KVB)
        if limit and fee > limit * tx.vsize // 1000:
            return [answer | {"allowed": False, "reject-reason": "max-fee-exceeded"}]
        rate = bitcoin(fee * 1000 // tx.vsize)
        fees = {"base": bitcoin(fee), "effective-feerate": rate, "effective-includes": [tx.wtxid]}
        return [answer | {"allowed": True, "vsize": tx.vsize, "fees": fees}]

    def do_getmempoolinfo(self) -> dict[str, Any]:
        entries = self.mempool.entries.values()
        return {
            "loaded": True,
            "size": len(entries),
            "bytes": sum(entry.tx.vsize for entry in entries),
            "usage": sum(len(entry.tx.raw) for entry in entries),
            "total_fee": bitcoin(sum(entry.fee for entry in entries)),
            "maxmempool": 300_000_000,
            "mempoolminfee": bitcoin(RELAY_SATS_PER_KVB),
            "minrelaytxfee": bitcoin(RELAY_SATS_PER_KVB),
            "incrementalrelayfee": bitcoin(RELAY_SATS_PER_KVB),
            "unbroadcastcount": 0,
            "fullrbf": True,
        }

    def do_getrawmempool(self, verbose: bool = False) -> Any:
        if not verbose:
            return list(self.mempool.entries)
        return {txid: self._entry(entry) for txid, entry in self.mempool.entries.items()}

    def do_getmempoolentry(self, txid: str) -> dict[str, Any]:
        entry = self.mempool.entries.get(_hash(txid))
        if entry is None:
            raise RpcError(BAD_ADDRESS_OR_KEY, "Transaction not in mempool")
        return self._entry(entry)

    def do_estimatesmartfee(self, conf_target: int, estimate_mode: str = "economical") -> dict[str, Any]:
        # As on any young regtest chain: there is no fee market to learn from.
        return {"errors": ["Insufficient data or no feerate found"], "blocks": conf_target}

    def do_gettxout(self, txid: str, n: int, include_mempool: bool = True) -> dict[str, Any] | None:
        previous = OutPoint(_hash(txid), n)
        if include_mempool:
            coin = None if previous in self.mempool.spender else self.mempool.coin(previous)
        else:
            coin = self.chain.coins.get(previous)
        if coin is None:
            return None
        return {
            "bestblock": self.chain.tip.hash,
            "confirmations": self.chain.height - coin.height + 1,
            "value": bitcoin(coin.output.value),
            "scriptPubKey": _script_shown(coin.output),
            "coinbase": coin.is_coinbase,
        }

    def do_scantxoutset(self, action: str, scanobjects: list[Any] | None = None) -> Any:
        if action != "start":
            return {"status": None, "abort": False}.get(action)
        wanted: dict[bytes, str] = {}
        for each in scanobjects or []:
            descriptor = each["desc"] if isinstance(each, dict) else each
            found = re.fullmatch(r"(addr|raw)\((\w+)\)(?:#\w{8})?", descriptor)
            if found is None:
                raise RpcError(BAD_ADDRESS_OR_KEY, f"this node scans for addr() and raw() only: {descriptor}")
            kind, content = found[1], found[2]
            script = _script(content, "Address is not valid") if kind == "addr" else _bytes(content, kind)
            wanted[script] = f"{kind}({content})"
        found_coins = {at: coin for at, coin in self.chain.coins.items() if coin.output.script in wanted}
        total = sum(coin.output.value for coin in found_coins.values())
        unspents = [
            {
                "txid": previous.txid,
                "vout": previous.index,
                "scriptPubKey": coin.output.script.hex(),
                "desc": wanted[coin.output.script],
                "amount": bitcoin(coin.output.value),
                "coinbase": coin.is_coinbase,
                "height": coin.height,
                "blockhash": self.chain.main[coin.height],
                "confirmations": self.chain.height - coin.height + 1,
            }
            for previous, coin in found_coins.items()
        ]
        return {
            "success": True,
            "txouts": len(self.chain.coins),
            "height": self.chain.height,
            "bestblock": self.chain.tip.hash,
            "unspents": unspents,
            "total_amount": bitcoin(total),
        }

    # --- Shapes -----------------------------------------------------------------------------------

    def _block(self, block_hash: str) -> Block:
        _hash(block_hash, "blockhash")
        self.chain.height_of(block_hash)
        return self.chain.blocks[block_hash]

    def _find(self, txid: str, block_hash: str | None) -> tuple[Transaction, Block | None]:
        if block_hash is not None:
            block = self._block(block_hash)
            found = next((tx for tx in block.transactions if tx.txid == txid), None)
            if found is None:
                raise RpcError(BAD_ADDRESS_OR_KEY, "No such transaction found in the provided block.")
            return found, block
        if txid in self.mempool.entries:
            return self.mempool.entries[txid].tx, None
        mined = self.chain.transaction(txid)
        if mined is None:
            raise RpcError(BAD_ADDRESS_OR_KEY, "No such mempool or blockchain transaction.")
        return mined

    def _header(self, block: Block) -> dict[str, Any]:
        height = self.chain.height_of(block.hash)
        shown: dict[str, Any] = {
            "hash": block.hash,
            "confirmations": self.chain.confirmations(block.hash),
            "height": height,
            "version": block.version,
            "versionHex": f"{block.version:08x}",
            "merkleroot": block.merkle_root,
            "time": block.time,
            "mediantime": self.chain.median_time(block.hash),
            "nonce": block.nonce,
            "bits": f"{block.bits:08x}",
            "difficulty": Decimal("4.656542373906925e-10"),
            "chainwork": _work(height),
            "nTx": len(block.transactions),
        }
        if height:
            shown["previousblockhash"] = block.previous
        if shown["confirmations"] > 1:
            shown["nextblockhash"] = self.chain.main[height + 1]
        return shown

    def _decoded(self, tx: Transaction) -> dict[str, Any]:
        inputs: list[dict[str, Any]] = []
        for each in tx.inputs:
            witness = {"txinwitness": [item.hex() for item in each.witness]} if each.witness else {}
            if tx.is_coinbase:
                inputs.append({"coinbase": each.script.hex()} | witness | {"sequence": each.sequence})
            else:
                source = {"txid": each.previous.txid, "vout": each.previous.index}
                script = {"scriptSig": {"asm": "", "hex": each.script.hex()}}
                inputs.append(source | script | witness | {"sequence": each.sequence})
        outputs = [
            {"value": bitcoin(each.value), "n": index, "scriptPubKey": _script_shown(each)}
            for index, each in enumerate(tx.outputs)
        ]
        return {
            "txid": tx.txid,
            "hash": tx.wtxid,
            "version": tx.version,
            "size": len(tx.raw),
            "vsize": tx.vsize,
            "weight": tx.weight,
            "locktime": tx.locktime,
            "vin": inputs,
            "vout": outputs,
        }

    def _entry(self, entry: Entry) -> dict[str, Any]:
        ancestors = self.mempool.ancestors(entry.tx)
        descendants = self.mempool.with_descendants({entry.tx.txid})
        return {
            "vsize": entry.tx.vsize,
            "weight": entry.tx.weight,
            "time": entry.time,
            "height": entry.height,
            "descendantcount": len(descendants),
            "ancestorcount": len(ancestors) + 1,
            "wtxid": entry.tx.wtxid,
            "fees": {
                "base": bitcoin(entry.fee),
                "modified": bitcoin(entry.fee),
                "ancestor": bitcoin(entry.fee + sum(self.mempool.entries[txid].fee for txid in ancestors)),
                "descendant": bitcoin(sum(self.mempool.entries[txid].fee for txid in descendants)),
            },
            "depends": sorted(self.mempool.parents(entry.tx)),
            "bip125-replaceable": True,
            "unbroadcast": False,
        }


def _script_shown(output: Output) -> dict[str, Any]:
    address = wire.address_of(output.script)
    shown = {"asm": "", "hex": output.script.hex(), "type": wire.script_kind(output.script)}
    return shown | ({"address": address} if address else {})


def _work(height: int) -> str:
    return f"{2 * (height + 1):064x}"


def _bytes(text: str, complaint: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError as error:
        raise RpcError(BAD_ENCODING, complaint) from error


def _hash(text: str, name: str = "txid") -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise RpcError(BAD_PARAMETER, f"{name} must be of length 64 and hexadecimal (not '{text}')")
    return text


def _transaction(text: str) -> Transaction:
    complaint = "TX decode failed. Make sure the tx has at least one input."
    try:
        return Transaction.parse(_bytes(text, complaint))
    except BadBytes as error:
        raise RpcError(BAD_ENCODING, complaint) from error


def _script(address: str, complaint: str) -> bytes:
    try:
        return wire.script_of(address)
    except BadBytes as error:
        raise RpcError(BAD_ADDRESS_OR_KEY, complaint) from error


def _sats(value: Any, default: int) -> int:
    return default if value is None else int(Decimal(str(value)).scaleb(8))


__all__ = ["MISSING", "REJECTED", "Rpc", "RpcError"]
