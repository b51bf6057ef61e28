"""The last look before a transaction leaves: two libraries that are not ours must agree that it is final and
valid.

BDK (rust-bitcoin, miniscript) finalises, which runs every script; Bitcoin Core's own engine then verifies the
finished bytes under consensus rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import bdkpython as bdk
import pbk
from pbk.script import PrecomputedTransactionData

from kernel.psbt import Psbt
from kernel.transaction import Transaction

_NETWORKS: Final = {
    "mainnet": bdk.Network.BITCOIN,
    "testnet": bdk.Network.TESTNET,
    "signet": bdk.Network.SIGNET,
    "regtest": bdk.Network.REGTEST,
}


class NotFinal(Exception):
    """A judge refused the transaction; nothing of it may be sent."""


def finalise(psbt: Psbt) -> bytes:
    """The bytes to send, if both judges accept every input; NotFinal names who did not and why."""
    outcome = bdk.Psbt(psbt.base64()).finalize()
    if not outcome.could_finalize:
        reasons = ", ".join(str(error) for error in outcome.errors or [])
        raise NotFinal(f"bdk cannot finalise it: {reasons}")
    raw = bytes(outcome.psbt.extract_tx().serialize())
    if Transaction.parse(raw).txid != psbt.transaction.txid:
        raise NotFinal("bdk finalised another transaction")
    if not is_valid(raw, [(coin.sats, coin.script) for coin in map(psbt.coin, range(len(psbt.spends)))]):
        raise NotFinal("consensus refuses it")
    return raw


def is_valid(raw: bytes, coins: list[tuple[int, bytes]]) -> bool:
    """Whether every input satisfies its coin's script under consensus rules; `coins` are (sats, script) in
    order.
    """
    if not coins or len(coins) != len(Transaction.parse(raw).inputs):
        return False
    transaction = pbk.Transaction(raw)
    outputs = [pbk.TransactionOutput(pbk.ScriptPubkey(script), sats) for sats, script in coins]
    shared = PrecomputedTransactionData(transaction, outputs)
    # verify() answers False for a bad script and raises only for misuse, so its value is what counts.
    return all(
        pbk.ScriptPubkey(script).verify(sats, transaction, shared, place, pbk.ScriptVerificationFlags.ALL)
        for place, (sats, script) in enumerate(coins)
    )


def address_of(threshold: int, keys: Sequence[bytes], network: str) -> str:
    """The address of sortedmulti(threshold, keys), derived by a library that is not ours."""
    kind = bdk.NetworkKind.MAIN if network == "mainnet" else bdk.NetworkKind.TEST
    listed = ",".join(key.hex() for key in keys)
    descriptor = bdk.Descriptor(f"wsh(sortedmulti({threshold},{listed}))", kind)
    return str(descriptor.derive_address(0, _NETWORKS[network]))
