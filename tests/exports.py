"""An export of a small audit log for tests: events, checkpoints, leaf hashes, and the verifier over them."""

from __future__ import annotations

import io
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from core.audit.verdict import Verdict, verify
from kernel import canonical, encodings, merkle, note

SECRET = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
LOG = note.Verifier("countersign/test/audit", SECRET.public_key().public_bytes_raw())
THIEF = Ed25519PrivateKey.from_private_bytes(b"\x08" * 32)
SIZES = (1, 4, 9, 10)


def event(number: int) -> bytes:
    return canonical.encode({"v": 1, "id": number, "action": "test.done", "reason": "because"}) + b"\n"


def head(lines: list[bytes], size: int, *, by: Ed25519PrivateKey = SECRET, origin: str = LOG.name) -> str:
    root = merkle.root(merkle.leaf(line[:-1]) for line in lines[:size])
    name = note.Verifier(LOG.name, by.public_key().public_bytes_raw())
    return note.sign(note.Checkpoint(origin, size, root).text(), by=name, signer=by.sign)


def log(count: int = 10) -> list[bytes]:
    return [event(number) for number in range(count)]


LINES = log()
HEADS = [head(LINES, size) for size in SIZES]
LEAVES = b"".join(merkle.leaf(line[:-1]) for line in LINES)
SPACED = LINES[5].replace(b'"v":1', b'"v": 1')
FORGED = [*LINES[:5], LINES[5].replace(b"because", b"Because"), *LINES[6:8], SPACED, LINES[9]]


def check(
    lines: list[bytes] | bytes = LINES,
    heads: list[str] | None = None,
    *,
    leaves: bytes | None = None,
    **how: object,
) -> Verdict:
    data = lines if isinstance(lines, bytes) else b"".join(lines)
    texts = "\n".join(HEADS if heads is None else heads)
    kept = None if leaves is None else io.BytesIO(leaves)
    export = io.BytesIO(data)
    return verify(export, checkpoints=io.StringIO(texts), key=LOG, leaves=kept, **how)  # type: ignore[arg-type]


def laid(folder: Path) -> list[str]:
    """The export as files in that folder, and what the verifier is asked of them."""
    (folder / "events.jsonl").write_bytes(b"".join(LINES))
    (folder / "checkpoints.txt").write_text("\n".join(HEADS), encoding="utf-8")
    (folder / "log.key").write_text(f"{LOG}\n", encoding="utf-8")
    (folder / "leaves").write_bytes(LEAVES)
    root = encodings.base64_standard(merkle.root(merkle.leaf(line[:-1]) for line in LINES))
    (folder / "witness").write_text(f"10 {root}\n", encoding="utf-8")
    names = [("--checkpoints", "checkpoints.txt"), ("--key", "log.key"), ("--witness", "witness")]
    return [
        str(folder / "events.jsonl"),
        *(part for flag, name in names for part in (flag, str(folder / name))),
    ]
