"""BIP 143 digests of a wide transaction: the kernel's shared midstates, against btclib's digest per input.

A signer computes one digest per input before it signs; a sweep has hundreds of inputs. Hashing everything
again for each of them makes the work quadratic, which is what the kernel avoids.
"""

from __future__ import annotations

import secrets
import time

from btclib.tx.tx import Tx
from btclib.tx.tx_out import TxOut

from kernel.script import sorted_multisig
from kernel.secp256k1 import ORDER
from kernel.transaction import Input, Outpoint, Output, SpendDigests, Transaction

INPUTS = 200
SATS = 50_000


def main() -> None:
    """Both ways over the same transaction; the digests must be equal before anything is timed."""
    import coincurve
    from btclib.script.sig_hash import segwit_v0

    keys = [coincurve.PrivateKey.from_int(secrets.randbelow(ORDER - 1) + 1) for _ in range(3)]
    script = sorted_multisig(2, [key.public_key.format() for key in keys])
    spent = tuple(Input(Outpoint(secrets.token_hex(32), 0)) for _ in range(INPUTS))
    transaction = Transaction(spent, (Output(SATS * INPUTS - 10_000, b"\x00\x20" + secrets.token_bytes(32)),))
    theirs = Tx.parse(transaction.encoded())

    began = time.perf_counter()
    shared = SpendDigests(transaction)
    ours = [shared.digest(index, script_code=script, sats=SATS) for index in range(INPUTS)]
    kernel_s = time.perf_counter() - began

    coin = TxOut(SATS, b"\x00\x20" + bytes(32))
    began = time.perf_counter()
    baseline = [segwit_v0(script, theirs, index, 1, coin.value) for index in range(INPUTS)]
    btclib_s = time.perf_counter() - began

    if ours != baseline:
        raise SystemExit("the two disagree about a digest: no figure is worth anything")
    print(f"spend digests of {INPUTS} P2WSH 2-of-3 inputs, equal to btclib's")
    print(f"  kernel                {kernel_s / INPUTS * 1e6:9.1f} us per input")
    baseline_us = btclib_s / INPUTS * 1e6
    print(f"  btclib, all per input {baseline_us:9.1f} us per input   ({btclib_s / kernel_s:.0f} times)")


if __name__ == "__main__":
    main()
