"""The world outside the exchange: a miner, and a person's own wallet with one P2WPKH key."""

from __future__ import annotations

import hashlib
import secrets

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from custody.adapters.bitcoin import BitcoinNode
from kernel import bech32, script, secp256k1
from kernel.transaction import Input, Outpoint, Output, SpendDigests, Transaction

_FEE_SATS = 2_000
_MATURITY = 100


def _hash160(data: bytes) -> bytes:
    return hashlib.new("ripemd160", hashlib.sha256(data).digest()).digest()


class Outsider:
    """Mines on the regtest chain and pays from what was mined. Keys live only as long as the demo."""

    def __init__(self, node: BitcoinNode) -> None:
        self._node = node
        self._key = ec.derive_private_key(secrets.randbelow(secp256k1.ORDER - 1) + 1, ec.SECP256K1())
        self._public = self._key.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
        self.address = self.fresh_address(self._public)
        self._coins: list[tuple[Outpoint, int]] = []

    @staticmethod
    def fresh_address(public: bytes | None = None) -> str:
        """A P2WPKH address; without a key, one that belongs to nobody the demo knows."""
        return bech32.encode("bcrt", 0, _hash160(public or secrets.token_bytes(33)))

    def mine(self, blocks: int = 1) -> int:
        """Mine so many blocks; the chain's new height.

        Each call pays somebody else: a block mined anew within the second of one that the node was told to
        forget would be that same block, which it refuses.
        """
        self._node.mine(blocks=blocks, address=self.fresh_address())
        return self._node.chain().height

    def earn(self) -> None:
        """Mine until one reward can be spent."""
        block = self._node.block(self._node.mine(blocks=1, address=self.address)[0])
        if block is None:
            raise RuntimeError("the node forgot the block it has just mined")
        self.mine(_MATURITY)
        reward = block.transactions[0]
        sats = reward.outputs[0].amount.units
        self._coins.append((Outpoint(reward.txid, 0), sats))

    def pay(self, address: str, sats: int, *, network: str = "regtest") -> str:
        """Send sats to an address, with change to itself; the txid that the node accepted."""
        outpoint, available = self._coins.pop()
        outputs = (
            Output(sats, script.script_of(address, network)),
            Output(available - sats - _FEE_SATS, b"\x00\x14" + _hash160(self._public)),
        )
        bare = Transaction((Input(outpoint),), outputs)
        code = b"\x76\xa9\x14" + _hash160(self._public) + b"\x88\xac"
        digest = SpendDigests(bare).digest(0, script_code=code, sats=available)
        r, s = decode_dss_signature(self._key.sign(digest, ec.ECDSA(Prehashed(hashes.SHA256()))))
        der = secp256k1.low_s(r.to_bytes(32, "big") + s.to_bytes(32, "big"))
        signed = Transaction((Input(outpoint, witness=(der + b"\x01", self._public)),), outputs)
        sent = self._node.broadcast(signed.encoded())
        if not sent.delivered:
            raise RuntimeError(f"the node refused an ordinary payment: {sent}")
        self._coins.append((Outpoint(signed.txid, 1), outputs[1].sats))
        return signed.txid
