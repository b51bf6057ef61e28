"""A Bitcoin node, as the adapter sees it, ...

One suite for two nodes: the regtest service always, a real bitcoind as well when BITCOIND_EXE names one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import bdkpython as bdk
import coincurve
import httpx
import pytest

from custody.adapters.bitcoin import BitcoinNode, NodeUnreachable, Outcome
from custody.adapters.bitcoin_answers import NodeAnswerUnreadable, OutPoint, sats
from devstack import bitcoind
from devstack.standins.regtest import launch
from kernel.money import Amount
from tests import ports

HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
ORDER = 2 * HALF_ORDER + 1


NODES = {"regtest": launch.running} | (
    {"bitcoind": lambda folder: bitcoind.running(folder, port=ports.free())} if bitcoind.executable() else {}
)


@dataclass(frozen=True)
class Coin:
    outpoint: OutPoint
    sats: int


def sha(data: bytes) -> bytes:
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


class Purse:
    """One P2WPKH key, and just enough of a wallet to spend with it."""

    def __init__(self, secret: int) -> None:
        self.key = coincurve.PrivateKey.from_int(secret)
        self.public = self.key.public_key.format()
        self.program = hashlib.new("ripemd160", hashlib.sha256(self.public).digest()).digest()
        self.script = b"\x00\x14" + self.program
        self.address = str(bdk.Address.from_script(bdk.Script(self.script), bdk.Network.REGTEST))

    def spend(
        self,
        coin: Coin,
        outputs: list[tuple[bytes, int]],
        *,
        high_s: bool = False,
        forge: bool = False,
        locktime: int = 0,
    ) -> bytes:
        """The signed bytes of a transaction from one coin to these (script, sats)."""
        version, sequence, locked = b"\x02\0\0\0", b"\xfd\xff\xff\xff", locktime.to_bytes(4, "little")
        previous = bytes.fromhex(coin.outpoint.txid)[::-1] + coin.outpoint.index.to_bytes(4, "little")
        body = b"".join(v.to_bytes(8, "little") + bytes([len(s)]) + s for s, v in outputs)
        code = b"\x19\x76\xa9\x14" + self.program + b"\x88\xac"
        digest = sha(
            version + sha(previous) + sha(sequence) + previous + code + coin.sats.to_bytes(8, "little")
            + sequence + sha(body) + locked + b"\x01\0\0\0"
        )  # fmt: skip
        signature = self.key.sign(digest if not forge else sha(digest), hasher=None)
        if high_s:
            signature = with_high_s(signature)
        witness = b"\x02" + bytes([len(signature) + 1]) + signature + b"\x01" + b"\x21" + self.public
        count = bytes([len(outputs)])
        return version + b"\0\x01\x01" + previous + b"\0" + sequence + count + body + witness + locked


def with_high_s(der: bytes) -> bytes:
    """The same signature with S replaced by its negative: valid by consensus, refused by policy."""
    length = der[3]
    r, s = der[4 : 4 + length], int.from_bytes(der[6 + length :], "big")
    raw = (ORDER - s).to_bytes(33, "big").lstrip(b"\0")
    raw = (b"\0" if raw[0] & 0x80 else b"") + raw
    body = b"\x02" + bytes([len(r)]) + r + b"\x02" + bytes([len(raw)]) + raw
    return b"\x30" + bytes([len(body)]) + body


ANA = Purse(0xA11A)
BEN = Purse(0xBE9)


@pytest.fixture(scope="module", params=sorted(NODES))
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with NODES[request.param](tmp_path_factory.mktemp("node")) as url:
        with BitcoinNode(url) as node:
            node.mine(blocks=101, address=ANA.address)
        yield url


@pytest.fixture
def node(url: str) -> Iterator[BitcoinNode]:
    with BitcoinNode(url) as node:
        yield node


@pytest.fixture
def coin(node: BitcoinNode) -> Coin:
    """A mature coin of Ana's that no other test has touched."""
    node.mine(blocks=1, address=ANA.address)
    height = node.chain().height
    mature = [
        each for each in node.unspent([ANA.address]) if each.is_coinbase and each.height <= height - 100
    ]
    fresh = next(each for each in mature if node.output(each.outpoint) is not None)
    return Coin(fresh.outpoint, fresh.amount.units)


def btc(units: int) -> Amount:
    return Amount(units=units, asset="BTC")


def test_says_which_network_it_is_on_and_where_the_tip_is(node: BitcoinNode) -> None:
    info = node.chain()
    assert info.network == "regtest"
    assert info.is_synced
    assert info.height >= 101
    assert node.block_hash(info.height) == info.tip
    assert node.block_hash(info.height + 1) is None


def test_shows_a_block_with_whole_transactions(node: BitcoinNode, coin: Coin) -> None:
    raw = ANA.spend(coin, [(BEN.script, 1_234_567), (ANA.script, coin.sats - 1_234_567 - 500)])
    assert node.broadcast(raw).outcome is Outcome.ACCEPTED
    (tip,) = node.mine(blocks=1, address=ANA.address)
    block = node.block(tip)
    assert block is not None
    assert block.confirmations == 1
    assert block.previous == node.block_hash(block.height - 1)
    coinbase, paid = block.transactions
    assert coinbase.is_coinbase
    assert coinbase.spends == ()
    assert paid.raw == raw
    assert paid.spends == (coin.outpoint,)
    assert [(out.amount, out.address) for out in paid.outputs] == [
        (btc(1_234_567), BEN.address),
        (btc(coin.sats - 1_234_567 - 500), ANA.address),
    ]
    assert paid.outputs[0].script == BEN.script


def test_knows_no_block_or_transaction_that_was_never_made(node: BitcoinNode) -> None:
    assert node.block("11" * 32) is None
    assert node.transaction("11" * 32) is None
    assert node.output(OutPoint("11" * 32, 0)) is None


def test_counts_confirmations_from_the_mempool_on(node: BitcoinNode, coin: Coin) -> None:
    raw = ANA.spend(coin, [(BEN.script, coin.sats - 1000)])
    accepted = node.test_accept(raw)
    assert accepted.is_allowed
    assert accepted.fee == btc(1000)
    assert node.broadcast(raw).outcome is Outcome.ACCEPTED
    txid = accepted.txid
    assert txid in node.mempool()
    seen = node.transaction(txid)
    assert seen is not None
    assert (seen.confirmations, seen.block) == (0, None)
    node.mine(blocks=2, address=ANA.address)
    seen = node.transaction(txid)
    assert seen is not None
    assert seen.confirmations == 2
    assert txid not in node.mempool()


def test_takes_the_same_transaction_twice_without_harm(node: BitcoinNode, coin: Coin) -> None:
    raw = ANA.spend(coin, [(BEN.script, coin.sats - 1000)])
    assert node.broadcast(raw).outcome is Outcome.ACCEPTED
    assert node.broadcast(raw).outcome is Outcome.ACCEPTED
    node.mine(blocks=1, address=ANA.address)
    again = node.broadcast(raw)
    assert again.outcome is Outcome.ALREADY_MINED
    assert again.code == -27
    assert again.delivered


def test_calls_a_double_spend_a_conflict(node: BitcoinNode, coin: Coin) -> None:
    first = ANA.spend(coin, [(BEN.script, coin.sats - 1000)])
    rival = ANA.spend(coin, [(ANA.script, coin.sats - 1000)])
    assert node.broadcast(first).outcome is Outcome.ACCEPTED
    waiting = node.broadcast(rival)
    assert (waiting.outcome, waiting.code) == (Outcome.CONFLICT, -26)
    assert not waiting.delivered
    node.mine(blocks=1, address=ANA.address)
    mined = node.broadcast(rival)
    assert (mined.outcome, mined.code) == (Outcome.CONFLICT, -25)


def test_lets_a_higher_fee_replace_and_calls_the_replaced_one_a_conflict(
    node: BitcoinNode, coin: Coin
) -> None:
    cheap = ANA.spend(coin, [(BEN.script, coin.sats - 500)])
    dear = ANA.spend(coin, [(BEN.script, coin.sats - 5000)])
    cheap_id, dear_id = node.test_accept(cheap).txid, node.test_accept(dear).txid
    assert node.broadcast(cheap).outcome is Outcome.ACCEPTED
    assert node.broadcast(dear).outcome is Outcome.ACCEPTED
    assert dear_id in node.mempool()
    assert cheap_id not in node.mempool()
    assert node.broadcast(cheap).outcome is Outcome.CONFLICT


@pytest.mark.parametrize(
    ("flaw", "word"),
    [
        ("forged signature", "script"),
        ("high s", "script"),
        ("no fee", "fee"),
        ("dust", "dust"),
        ("more out than in", "belowout"),
        ("locked", "final"),
        ("fee far too high", "Fee exceeds"),
    ],
)
def test_rejects(node: BitcoinNode, coin: Coin, flaw: str, word: str) -> None:
    out = [(BEN.script, coin.sats - 1000)]
    raw = {
        "forged signature": ANA.spend(coin, out, forge=True),
        "high s": ANA.spend(coin, out, high_s=True),
        "no fee": ANA.spend(coin, [(BEN.script, coin.sats)]),
        "dust": ANA.spend(coin, [(BEN.script, 100), (ANA.script, coin.sats - 2000)]),
        "more out than in": ANA.spend(coin, [(BEN.script, coin.sats + 1)]),
        "locked": ANA.spend(coin, out, locktime=400_000),
        "fee far too high": ANA.spend(coin, [(BEN.script, coin.sats - 100_000_000)]),
    }[flaw]
    assert not node.test_accept(raw).is_allowed
    answer = node.broadcast(raw)
    assert answer.outcome is Outcome.REJECTED
    assert word in answer.detail
    assert node.output(coin.outpoint) is not None


def test_rejects_bytes_that_are_no_transaction(node: BitcoinNode) -> None:
    answer = node.broadcast(b"\x01\x02")
    assert (answer.outcome, answer.code) == (Outcome.REJECTED, -22)


def test_refuses_to_spend_a_young_coinbase(node: BitcoinNode) -> None:
    (tip,) = node.mine(blocks=1, address=ANA.address)
    block = node.block(tip)
    assert block is not None
    reward = block.transactions[0]
    young = Coin(OutPoint(reward.txid, 0), reward.outputs[0].amount.units)
    answer = node.broadcast(ANA.spend(young, [(BEN.script, young.sats - 1000)]))
    assert answer.outcome is Outcome.REJECTED
    assert "premature" in answer.detail


def test_mines_a_child_with_its_parent(node: BitcoinNode, coin: Coin) -> None:
    parent = ANA.spend(coin, [(BEN.script, coin.sats - 1000)])
    parent_id = node.test_accept(parent).txid
    child = BEN.spend(Coin(OutPoint(parent_id, 0), coin.sats - 1000), [(ANA.script, coin.sats - 3000)])
    early = node.broadcast(child)
    assert (early.outcome, early.code) == (Outcome.CONFLICT, -25)
    assert node.broadcast(parent).outcome is Outcome.ACCEPTED
    assert node.broadcast(child).outcome is Outcome.ACCEPTED
    (tip,) = node.mine(blocks=1, address=ANA.address)
    block = node.block(tip)
    assert block is not None
    assert [tx.raw for tx in block.transactions[1:]] == [parent, child]


def test_finds_the_unspent_outputs_of_an_address_in_the_chain_only(node: BitcoinNode, coin: Coin) -> None:
    cy = Purse(int.from_bytes(bytes.fromhex(coin.outpoint.txid)[:8], "big"))
    raw = ANA.spend(coin, [(cy.script, 70_000), (ANA.script, coin.sats - 71_000)])
    assert node.broadcast(raw).delivered
    assert node.unspent([cy.address]) == ()
    node.mine(blocks=1, address=ANA.address)
    (found,) = node.unspent([cy.address, BEN.address.replace(BEN.address, cy.address)])
    assert (found.amount, found.script, found.height) == (btc(70_000), cy.script, node.chain().height)
    scan, tip = node.scan([cy.address]), node.chain()
    assert (scan.coins, scan.height, scan.tip) == ((found,), tip.height, tip.tip)
    assert node.scan_progress() is None
    asked = [found.outpoint.txid, "ab" * 32, coin.outpoint.txid, found.outpoint.txid]
    assert node.transactions(asked) == {txid: node.transaction(txid) for txid in asked}
    spent = cy.spend(Coin(found.outpoint, 70_000), [(ANA.script, 69_000)])
    assert node.broadcast(spent).delivered
    assert node.output(found.outpoint) is None
    assert node.output(found.outpoint, with_mempool=False) is not None


def test_returns_a_payment_to_the_mempool_when_its_block_is_reorganised_away(
    node: BitcoinNode, coin: Coin
) -> None:
    raw = ANA.spend(coin, [(BEN.script, coin.sats - 1000)])
    txid = node.test_accept(raw).txid
    assert node.broadcast(raw).delivered
    (lost,) = node.mine(blocks=1, address=ANA.address)
    node.invalidate(lost)
    gone = node.block(lost)
    assert gone is not None
    assert gone.confirmations == -1
    assert node.block_hash(gone.height) is None
    seen = node.transaction(txid)
    assert seen is not None
    assert seen.confirmations == 0
    assert txid in node.mempool()
    node.mine(blocks=2, address=BEN.address)
    seen = node.transaction(txid)
    assert seen is not None
    assert seen.confirmations == 2
    assert seen.block != lost


def test_drops_a_payment_whose_rival_was_mined_after_a_reorganisation(node: BitcoinNode, coin: Coin) -> None:
    paid = ANA.spend(coin, [(BEN.script, coin.sats - 1000)])
    rival = ANA.spend(coin, [(ANA.script, coin.sats - 9000)])
    paid_id = node.test_accept(paid).txid
    assert node.broadcast(paid).delivered
    (lost,) = node.mine(blocks=1, address=ANA.address)
    node.invalidate(lost)
    assert node.broadcast(rival).outcome is Outcome.ACCEPTED  # pays more, so it replaces
    node.mine(blocks=2, address=ANA.address)
    assert paid_id not in node.mempool()
    late = node.broadcast(paid)
    assert (late.outcome, late.code) == (Outcome.CONFLICT, -25)


def test_has_no_fee_estimate_on_a_young_chain(node: BitcoinNode) -> None:
    assert node.fee_rate(within_blocks=6) is None


def test_is_unreachable_with_a_wrong_password_or_when_it_is_gone(url: str) -> None:
    wrong = httpx.URL(url).copy_with(password="guess")
    with BitcoinNode(str(wrong)) as stranger, pytest.raises(NodeUnreachable, match="credentials"):
        stranger.chain()
    with BitcoinNode("http://a:b@127.0.0.1:1") as nobody:
        with pytest.raises(NodeUnreachable):
            nobody.chain()
        assert nobody.broadcast(b"\x00").outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("kind", sorted(NODES))
def test_keeps_chain_and_mempool_over_a_restart(kind: str, tmp_path: Path) -> None:
    with NODES[kind](tmp_path) as url, BitcoinNode(url) as node:
        node.mine(blocks=102, address=ANA.address)
        first = node.unspent([ANA.address])[0]
        (dropped,) = node.mine(blocks=1, address=ANA.address)
        node.invalidate(dropped)
        raw = ANA.spend(Coin(first.outpoint, first.amount.units), [(BEN.script, first.amount.units - 1000)])
        assert node.broadcast(raw).delivered
        before, waiting = node.chain(), node.mempool()
    with NODES[kind](tmp_path) as url, BitcoinNode(url) as node:
        assert node.chain() == before
        assert node.mempool() == waiting


@pytest.mark.parametrize(
    ("text", "units"),
    [("0.00000001", 1), ("20999999.97690000", 2_099_999_997_690_000), ("1E-8", 1), ("50", 5_000_000_000)],
)
def test_amounts_are_exact(text: str, units: int) -> None:
    assert sats(Decimal(text)) == units


@pytest.mark.parametrize("value", [Decimal("0.000000001"), 0.1, "1", None, True])
def test_amounts_that_are_not_exact_satoshis_are_refused(value: object) -> None:
    with pytest.raises(NodeAnswerUnreadable):
        sats(value)
