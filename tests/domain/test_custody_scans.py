"""The coins that a reconciler has a node scan for …"""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from custody.adapters import bitcoin
from custody.adapters.bitcoin import BitcoinNode, NodeUnreachable
from custody.adapters.bitcoin_answers import OutPoint, Scan
from custody.daemons import coins
from custody.daemons.coins import Coins, NotScanned

OURS, OTHER = b"ours", b"other"


class Chain:
    """A node of which each block's transactions are (spends, outputs), an output (script, units)."""

    def __init__(self) -> None:
        self.blocks: list[list[tuple[str, list[str], list[tuple[bytes, int]]]]] = [[]]
        self.branch, self.asked = "a", 0

    def block_hash(self, height: int) -> str | None:
        return f"{self.branch}{height}" if height < len(self.blocks) else None

    def block(self, block_hash: str) -> Any:
        height = int(block_hash[1:])
        made = [
            SimpleNamespace(
                txid=txid,
                spends=[OutPoint(*_point(one)) for one in spends],
                outputs=[
                    SimpleNamespace(index=at, script=script, amount=SimpleNamespace(units=units))
                    for at, (script, units) in enumerate(outs)
                ],
            )
            for txid, spends, outs in self.blocks[height]
        ]
        previous = f"{self.branch}{height - 1}"
        return SimpleNamespace(height=height, hash=block_hash, previous=previous, transactions=made)

    def scan(self, addresses: Any) -> Any:
        """What the addresses named in this question hold; a script is its own address here."""
        self.asked += 1
        held: dict[str, tuple[bytes, int]] = {}
        for block in self.blocks:
            for txid, spends, outs in block:
                for one in spends:
                    held.pop(one, None)
                held |= {f"{txid}:{at}": out for at, out in enumerate(outs) if out[0] in addresses}
        found = [
            SimpleNamespace(
                outpoint=OutPoint(*_point(one)), script=script, amount=SimpleNamespace(units=units)
            )
            for one, (script, units) in held.items()
        ]
        return SimpleNamespace(height=self.height, tip=self.tip, coins=found)

    def scan_progress(self) -> int:
        return 37

    @property
    def height(self) -> int:
        return len(self.blocks) - 1

    @property
    def tip(self) -> str:
        return f"{self.branch}{self.height}"


def _point(coin: str) -> tuple[str, int]:
    txid, _, index = coin.partition(":")
    return txid, int(index)


def known(chain: Chain, start: Callable[[Callable[[], None]], None], *scripts: bytes) -> Coins:
    wanted = scripts or (OURS,)
    return Coins(node=chain, addresses=lambda: wanted, scripts=frozenset(wanted), start=start)  # type: ignore[arg-type,return-value]


def test_are_scanned_beside_a_look_and_brought_to_the_tip_by_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coins, "WAIT_S", 0)
    jobs: list[Callable[[], None]] = []
    chain = Chain()
    chain.blocks.append([("one", [], [(OURS, 5), (OTHER, 9), (OURS, 2)])])
    ours = known(chain, jobs.append)
    for _ in range(2):
        with pytest.raises(NotScanned, match=r"goes through its coins \(37 %\)"):
            ours.at(chain.height, chain.tip)
    (scan,) = jobs
    scan()
    jobs.clear()
    ours._rests_until = float("inf")
    assert ours.at(chain.height, chain.tip).units() == 7
    chain.blocks += [
        [("two", ["one:0"], [(OTHER, 4)])],
        [("three", ["two:0", "one:2"], [(OURS, 1), (OURS, 3), (OTHER, 8)])],
    ]
    held = ours.at(chain.height, chain.tip)
    assert (held.height, held.tip, held.units()) == (3, "a3", 4)
    assert (held.units([OURS]), held.units([OTHER])) == (4, 0)
    assert (chain.asked, jobs) == (1, [])

    chain.branch = "b"  # a reorganisation
    chain.blocks.append([])
    with pytest.raises(NotScanned, match="another branch"):
        ours.at(chain.height, chain.tip)
    with pytest.raises(NotScanned, match="goes through"):
        ours.at(chain.height, chain.tip)
    jobs[0]()
    assert ours.at(chain.height, chain.tip).tip == "b4"
    monkeypatch.setattr(coins, "AGE_S_MAX", -1)
    ours._rests_until = float("inf")
    with pytest.raises(NotScanned):
        ours.at(chain.height, chain.tip)


def test_are_asked_for_some_addresses_at_a_time_whatever_is_mined_between(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(coins, "AT_ONCE", 1)
    chain = Chain()
    chain.blocks.append([("one", [], [(OURS, 5), (OTHER, 9)])])
    asked = chain.scan

    def mined_after(addresses: Any) -> Any:
        found = asked(addresses)
        if chain.asked == 1:
            chain.blocks.append([("two", ["one:0", "one:1"], [(OURS, 6), (OTHER, 7)])])
        return found

    monkeypatch.setattr(chain, "scan", mined_after)
    held = known(chain, lambda job: job(), OURS, OTHER).at(1, "a1")
    assert (held.height, held.units([OURS]), held.units([OTHER])) == (2, 6, 7)
    assert chain.asked == 2


def test_are_not_known_where_the_node_fails_and_its_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(addresses: Any) -> Any:
        raise NodeUnreachable("scantxoutset: refused")

    chain = Chain()
    monkeypatch.setattr(chain, "scan", fails)
    with pytest.raises(NodeUnreachable, match="refused"):
        known(chain, lambda job: job()).at(0, "a0")


def test_are_scanned_for_though_another_process_left_a_scan_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bitcoin Core goes on with it, and takes no second one."""
    monkeypatch.setattr(bitcoin, "ABORTED_S", 0)
    asked: list[str] = []

    def node(request: httpx.Request) -> httpx.Response:
        action = json.loads(request.content)["params"][0]
        asked.append(action)
        if asked == ["start"]:
            busy = {"code": -8, "message": 'Scan already in progress, use action "abort" or "status"'}
            return httpx.Response(500, json={"result": None, "error": busy})
        found = {"success": True, "height": 7, "bestblock": "ab", "unspents": []}
        return httpx.Response(200, json={"result": True if action == "abort" else found, "error": None})

    with BitcoinNode("http://node", transport=httpx.MockTransport(node)) as one:
        assert one.scan(["address"]) == Scan(7, "ab", ())
    assert asked == ["start", "abort", "start"]
