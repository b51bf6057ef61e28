"""The Bitcoin node, asked over its JSON-RPC: typed answers, amounts as exact satoshis, no floats anywhere.

The node is a witness, not an authority: what it says about coins is compared with our own books, and what
it says about a broadcast is sorted into four outcomes, because a retry that guesses wrong could pay
somebody twice.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from types import TracebackType
from typing import Any, Final, Self

import httpx

from core.certificates import authorities
from custody.adapters import bitcoin_answers as answers
from custody.adapters.bitcoin_answers import (
    Acceptance,
    Block,
    ChainInfo,
    OutPoint,
    Scan,
    Transaction,
    TxOut,
    Unspent,
)

log = logging.getLogger(__name__)

# Core's error codes that mean something to us (rpc/protocol.h).
NOT_FOUND: Final = -5
INVALID_PARAMETER: Final = -8
OUT_OF_RANGE: Final = INVALID_PARAMETER
VERIFY_ERROR: Final = -25
VERIFY_REJECTED: Final = -26
VERIFY_ALREADY_IN_UTXO_SET: Final = -27
IN_WARMUP: Final = -28


ASKED_MAX: Final = 100
"""Transactions in one request; the node answers one after the other."""
SCAN_S: Final = 3_600.0
"""A scan of all coins takes minutes on the main chain, and longer on a slow disk."""
ABORTED_S: Final = 1.0
"""A scan that was ended is over so soon."""


class NodeError(Exception):
    """The node answered a request with an error; `code` is Core's."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{message} ({code})")
        self.code = code
        self.message = message


class NodeUnreachable(Exception):
    """No answer came, or none that is JSON-RPC: whether the request took effect is not known."""


class Outcome(StrEnum):
    """What is known after a transaction was handed to the node."""

    ACCEPTED = "accepted"  # in the mempool, or there already
    ALREADY_MINED = "already_mined"  # in the chain, so nothing was left to do
    CONFLICT = "conflict"  # an input is spent by another transaction, or is not there (-25, -26)
    REJECTED = "rejected"  # refused for what it is: scripts, fee, dust, form (-22, -25, -26)
    UNKNOWN = "unknown"  # no answer: ask again, then send the same bytes again


@dataclass(frozen=True, slots=True)
class Broadcast:
    """The node's word on one broadcast. Only `ACCEPTED` and `ALREADY_MINED` mean that it is on its way."""

    outcome: Outcome
    code: int | None = None
    detail: str = ""

    @property
    def delivered(self) -> bool:
        return self.outcome in (Outcome.ACCEPTED, Outcome.ALREADY_MINED)


# The reasons (validation.cpp) that say "another transaction has these coins", as against "this one is
# malformed".
_CONFLICT_REASONS: Final = (
    "bad-txns-inputs-missingorspent",
    "missing-inputs",
    "txn-mempool-conflict",
    "bad-txns-spends-conflicting-tx",
    "insufficient fee",
    "too many potential replacements",
    "replacement-adds-unconfirmed",
)


class BitcoinNode:
    """One node behind one URL, `http://user:password@host:port`. A context manager, or `close()` it."""

    def __init__(
        self, url: str, *, timeout_s: float = 15.0, transport: httpx.BaseTransport | None = None
    ) -> None:
        parsed = httpx.URL(url)
        authentication = httpx.BasicAuth(parsed.username, parsed.password) if parsed.username else None
        self._url = parsed.copy_with(username=None, password=None)
        # trust_env=False: proxy variables of the machine have no say in how a node is reached.
        self._http = httpx.Client(
            auth=authentication,
            timeout=timeout_s,
            transport=transport,
            trust_env=False,
            verify=authorities(),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    # --- Chain ------------------------------------------------------------------------------------

    def chain(self) -> ChainInfo:
        """Network, height and tip, read in one call so that they belong together."""
        info = self._call("getblockchaininfo")
        return ChainInfo(
            network=answers.text(info, "chain"),
            height=answers.integer(info, "blocks"),
            tip=answers.text(info, "bestblockhash"),
            is_synced=not info["initialblockdownload"] and info["blocks"] == info["headers"],
        )

    def block_hash(self, height: int) -> str | None:
        """Hash of the main chain's block at this height; None above the tip."""
        try:
            answer = self._call("getblockhash", height)
        except NodeError as error:
            if error.code == OUT_OF_RANGE:
                return None
            raise
        if not isinstance(answer, str):
            raise answers.NodeAnswerUnreadable("getblockhash gave no string")
        return answer

    def block(self, block_hash: str) -> Block | None:
        """The block with its transactions, on the main chain or off it; None when the node never saw it."""
        try:
            answer = self._call("getblock", block_hash, 2)
        except NodeError as error:
            if error.code == NOT_FOUND:
                return None
            raise
        confirmations = answers.integer(answer, "confirmations")
        return Block(
            hash=answers.text(answer, "hash"),
            height=answers.integer(answer, "height"),
            previous=answer.get("previousblockhash"),
            time=answers.integer(answer, "time"),
            confirmations=confirmations,
            transactions=tuple(
                answers.transaction(each, confirmations=confirmations, block=block_hash)
                for each in answer["tx"]
            ),
        )

    # --- Transactions -----------------------------------------------------------------------------

    def transaction(self, txid: str) -> Transaction | None:
        """The transaction from the mempool or the chain (the node keeps an index); None when it knows no
        such one.
        """
        try:
            answer = self._call("getrawtransaction", txid, True)
        except NodeError as error:
            if error.code == NOT_FOUND:
                return None
            raise
        return _transaction(answer)

    def transactions(self, txids: Iterable[str]) -> dict[str, Transaction | None]:
        """The same for many, some in one request: to ask for each by itself takes longer than the answer."""
        wanted = list(dict.fromkeys(txids))
        found: dict[str, Transaction | None] = {}
        for first in range(0, len(wanted), ASKED_MAX):
            asked = wanted[first : first + ASKED_MAX]
            for txid, answer in zip(asked, self._call_each("getrawtransaction", asked), strict=True):
                found[txid] = None if answer is None else _transaction(answer)
        return found

    def mempool(self) -> frozenset[str]:
        """Ids of the transactions that wait for a block."""
        return frozenset(self._call("getrawmempool"))

    def output(self, outpoint: OutPoint, *, with_mempool: bool = True) -> TxOut | None:
        """The output if nothing spends it, with the mempool counted or not; None once it is spent."""
        answer = self._call("gettxout", outpoint.txid, outpoint.index, with_mempool)
        if answer is None:
            return None
        return answers.output({**answer, "n": outpoint.index})

    def unspent(self, addresses: Iterable[str]) -> tuple[Unspent, ...]:
        """Every confirmed unspent output of these addresses, in a stable order."""
        wanted = list(addresses)
        return self.scan(wanted).coins if wanted else ()

    def scan(self, addresses: Sequence[str]) -> Scan:
        """The same, with the block as of which it is so. The node goes through all coins that there are,
        which takes minutes on the main chain, and does so for one at a time: whoever asks ends a scan that
        was left behind.
        """
        ask = ("scantxoutset", "start", [f"addr({address})" for address in addresses])
        try:
            answer = self._call(*ask, timeout_s=SCAN_S)
        except NodeError as error:
            if error.code != INVALID_PARAMETER or not self._call("scantxoutset", "abort"):
                raise
            log.warning("a scan that was left behind was ended: %s", error)
            time.sleep(ABORTED_S)
            answer = self._call(*ask, timeout_s=SCAN_S)
        if not answer.get("success", False):
            raise NodeError(INVALID_PARAMETER, "somebody ended the scan")
        found = (
            Unspent(
                outpoint=OutPoint(answers.text(each, "txid"), answers.integer(each, "vout")),
                amount=answers.bitcoin(each["amount"]),
                script=bytes.fromhex(answers.text(each, "scriptPubKey")),
                height=answers.integer(each, "height"),
                is_coinbase=bool(each.get("coinbase", False)),
            )
            for each in answer["unspents"]
        )
        return Scan(
            height=answers.integer(answer, "height"),
            tip=answers.text(answer, "bestblock"),
            coins=tuple(
                sorted(found, key=lambda coin: (coin.height, coin.outpoint.txid, coin.outpoint.index))
            ),
        )

    def scan_progress(self) -> int | None:
        """How far the scan that is under way has come, in percent; None where there is none."""
        answer = self._call("scantxoutset", "status")
        return None if answer is None else answers.integer(answer, "progress")

    def test_accept(self, raw: bytes) -> Acceptance:
        """Whether the mempool would take this transaction now, and if not, why."""
        (answer,) = self._call("testmempoolaccept", [raw.hex()])
        allowed = bool(answer["allowed"])
        return Acceptance(
            txid=answers.text(answer, "txid"),
            is_allowed=allowed,
            reason="" if allowed else str(answer.get("reject-details") or answer.get("reject-reason", "")),
            fee=answers.bitcoin(answer["fees"]["base"]) if allowed else None,
            vsize=answers.integer(answer, "vsize") if allowed else None,
        )

    def broadcast(self, raw: bytes) -> Broadcast:
        """Hand the transaction to the node. Never raises for what the node says: the outcome tells.

        Sending the same bytes twice is harmless. `CONFLICT` and `UNKNOWN` ask for a look at the rival or
        another try with the same bytes, never for a new transaction.
        """
        try:
            self._call("sendrawtransaction", raw.hex())
        except NodeError as error:
            return _refused_broadcast(error)
        except NodeUnreachable as error:
            return Broadcast(Outcome.UNKNOWN, detail=str(error))
        return Broadcast(Outcome.ACCEPTED)

    def evicted_fees(self, txid: str) -> int:
        """The fees of all that leaves the node's memory when something takes this transaction's place: its
        own and its children's; 0 where the node does not have it in memory.
        """
        try:
            answer = self._call("getmempoolentry", txid)
        except NodeError as error:
            if error.code == NOT_FOUND:
                return 0
            raise
        return answers.sats(answer["fees"]["descendant"])

    def fee_rate(self, *, within_blocks: int) -> int | None:
        """Satoshis per virtual byte to be mined within so many blocks, rounded up; None if it cannot tell."""
        answer = self._call("estimatesmartfee", within_blocks)
        if "feerate" not in answer:
            return None
        return -(-answers.sats(answer["feerate"]) // 1000)

    # --- Regtest only -----------------------------------------------------------------------------

    def mine(self, *, blocks: int, address: str) -> tuple[str, ...]:
        """Hashes of new blocks paid to the address. Works on regtest only."""
        return tuple(self._call("generatetoaddress", blocks, address))

    def invalidate(self, block_hash: str) -> None:
        """Make the node drop this block and what stands on it: a reorganisation made to order, on regtest
        only.
        """
        self._call("invalidateblock", block_hash)

    # --- Wire -------------------------------------------------------------------------------------

    def _call(self, method: str, *params: object, timeout_s: float | None = None) -> Any:
        answer = self._asked(method, _request(method, params), timeout_s=timeout_s)
        if not isinstance(answer, dict):
            raise NodeUnreachable(f"{method}: without a JSON-RPC answer")
        return _result(method, answer)

    def _call_each(self, method: str, of: Sequence[str]) -> list[Any]:
        """One request for each, all in one; None where the node knows no such one."""
        given = self._asked(method, [_request(method, (each, True), str(at)) for at, each in enumerate(of)])
        by_id = {str(one.get("id")): one for one in given} if isinstance(given, list) else {}
        found = []
        for at in range(len(of)):
            try:
                found.append(_result(method, by_id.get(str(at), {})))
            except NodeError as error:
                if error.code != NOT_FOUND:
                    raise
                found.append(None)
        return found

    def _asked(self, method: str, request: object, *, timeout_s: float | None = None) -> Any:
        try:
            response = self._http.post(
                self._url,
                json=request,
                timeout=httpx.USE_CLIENT_DEFAULT if timeout_s is None else timeout_s,
            )
        except httpx.HTTPError as error:
            raise NodeUnreachable(f"{method}: {error or type(error).__name__}") from error
        if response.status_code in (401, 403):
            raise NodeUnreachable(f"{method}: the node refuses our credentials ({response.status_code})")
        try:
            return json.loads(response.content, parse_float=Decimal, parse_constant=_no_constant)
        except ValueError as error:
            raise NodeUnreachable(f"{method}: status {response.status_code} without JSON") from error


def _request(method: str, params: Sequence[object], name: str = "countersign") -> dict[str, object]:
    return {"jsonrpc": "1.0", "id": name, "method": method, "params": params}


def _result(method: str, answer: dict[str, Any]) -> Any:
    if "result" not in answer:
        raise NodeUnreachable(f"{method}: without a JSON-RPC answer")
    if answer.get("error") is not None:
        code, message = int(answer["error"]["code"]), str(answer["error"]["message"])
        if code == IN_WARMUP:
            raise NodeUnreachable(f"{method}: the node is starting ({message})")
        raise NodeError(code, message)
    return answer["result"]


def _transaction(answer: Any) -> Transaction:
    return answers.transaction(
        answer, confirmations=int(answer.get("confirmations", 0)), block=answer.get("blockhash")
    )


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON number")


def _refused_broadcast(error: NodeError) -> Broadcast:
    if error.code == VERIFY_ALREADY_IN_UTXO_SET:
        return Broadcast(Outcome.ALREADY_MINED, error.code, error.message)
    if error.code in (VERIFY_ERROR, VERIFY_REJECTED) and any(
        reason in error.message for reason in _CONFLICT_REASONS
    ):
        return Broadcast(Outcome.CONFLICT, error.code, error.message)
    return Broadcast(Outcome.REJECTED, error.code, error.message)
