"""The verifier's rate."""

from __future__ import annotations

import io
import time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from benchmarks.auditing.writers import PADDING
from kernel import canonical, merkle, note


def verified(count: int = 100_000) -> tuple[float, int]:
    """Events that the verifier checks per second of CPU, and their average length."""
    from core.audit.verdict import verify

    key = Ed25519PrivateKey.generate()
    by = note.Verifier("countersign/bench/audit", key.public_key().public_bytes_raw())
    lines = [
        canonical.encode({"v": 1, "n": number, "action": "bench.done", "reason": PADDING}) + b"\n"
        for number in range(count)
    ]
    tree, heads = merkle.Frontier(), []
    for start in range(0, count, 500):
        tree = tree.extended(merkle.leaf(line[:-1]) for line in lines[start : start + 500])
        heads.append(
            note.sign(note.Checkpoint(by.name, tree.size, tree.root()).text(), by=by, signer=key.sign)
        )
    data, notes, best = b"".join(lines), "\n".join(heads), 0.0
    for _ in range(3):
        start_s = time.process_time()
        verify(io.BytesIO(data), checkpoints=notes, key=by)
        best = max(best, count / (time.process_time() - start_s))
    return best, len(data) // count
