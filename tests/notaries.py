"""A notary whose key lies in memory; its memory, its rules and its messages are the real ones."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from core.audit import sealing
from core.audit.growing import Growth
from core.audit.notary.memory import Notary, begin
from core.audit.sealing import NotSealed
from kernel import note


def soft_notary(folder: Path, *, origin: str, key: Ed25519PrivateKey | None = None) -> Notary:
    """A notary with its memory in that folder."""
    key = key or Ed25519PrivateKey.generate()
    (folder / "notary").mkdir(exist_ok=True)
    begin(folder / "notary")
    log = note.Verifier(origin, key.public_key().public_bytes_raw())
    return Notary(log=log, signer=key.sign, state=folder / "notary")


def seal_by(notary: Notary) -> sealing.Seal:
    """Ask it as the sealer does, without a socket between."""

    def seal(size: int, root: bytes, growth: Growth) -> str:
        seen = notary.size
        if seen > size:
            raise NotSealed("cut back")
        proof = [step.hex() for step in growth.proof(seen)]
        answer = notary.answer({"v": 1, "type": "sign", "size": size, "root": root.hex(), "proof": proof})
        if answer["type"] != "signed":
            raise NotSealed(str(answer["code"]))
        return str(answer["note"])

    return seal


def soft_log(folder: Path, *, origin: str) -> tuple[note.Verifier, sealing.Seal]:
    """A log's verifier key, also in `key.txt`, and its seal."""
    notary = soft_notary(folder, origin=origin)
    (folder / "key.txt").write_text(f"{notary.log}\n", encoding="utf-8")
    return notary.log, seal_by(notary)
