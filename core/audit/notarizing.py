"""Asking the notary for its signature on a head, and the key by which its notes are known."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from core.audit.growing import Growth
from core.audit.sealing import NotSealed, Seal
from core.trusted import serving
from kernel import canonical, frames, note

_PATIENCE_S: Final = 5.0


class NoLogKey(Exception):
    """The file is missing or holds no verifier key."""


def verifier(path: Path | None, *, origin: str) -> note.Verifier:
    """What checks the log's notes."""
    if path is None or not path.is_file():
        raise NoLogKey(f"AUDIT_KEY_FILE names no readable file ({path})")
    found = note.Verifier.parse(path.read_text(encoding="utf-8"))
    if found.name != origin:
        raise NoLogKey(f"{path} holds the key of {found.name}, not of {origin}")
    return found


def notary(socket: Path, *, log: note.Verifier) -> Seal:
    """The seal that the notary at that socket gives. It first says what it signed last."""

    def seal(size: int, root: bytes, growth: Growth) -> str:
        head = _ask(socket, {"v": 1, "type": "head"})
        signed_size = head.get("size")
        if type(signed_size) is not int or signed_size > size:
            raise NotSealed(f"the notary signed {signed_size} events, and this log would have {size}")
        proof: list[canonical.Value] = [step.hex() for step in growth.proof(signed_size)]
        question: dict[str, canonical.Value] = {"v": 1, "type": "sign", "size": size, "root": root.hex()}
        question["proof"] = proof
        answer = _ask(socket, question)
        signed = answer.get("note")
        if not isinstance(signed, str):
            raise NotSealed(f"the notary says {answer.get('code')}: it signed {answer.get('seen')} events")
        if note.open_note(signed, by=log) != note.Checkpoint(log.name, size, root).text():
            raise NotSealed("the notary signed something else")
        return signed

    return seal


def _ask(socket: Path, question: serving.Message) -> serving.Message:
    try:
        return serving.ask(socket, question, patience_s=_PATIENCE_S)[0]
    except (OSError, frames.BadFrame) as error:
        raise NotSealed(f"the notary cannot be asked: {error}") from None
