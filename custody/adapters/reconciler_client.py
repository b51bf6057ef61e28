"""Asking the reconciler, which compares by itself and signs by itself; a worker only carries its word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core.trusted import serving
from kernel import canonical, frames

PATIENCE_S: Final = 30.0
SENTENCE_MAX: Final = 400


class NothingReconciled(Exception):
    """The reconciler did not answer, or cannot compare now."""


@dataclass(frozen=True, slots=True)
class Compared:
    """What it found; `attestation` is the message for signers, which says so whether or not all agrees.

    `breaks` says in sentences what is not sound in the books beyond the wallet itself.
    """

    height: int
    on_chain: int
    in_books: int
    attestation: Mapping[str, canonical.Value]
    breaks: tuple[str, ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether it found nothing wrong."""
        return self.on_chain == self.in_books and not self.breaks


def reconcile(path: Path, wallet: str) -> Compared:
    """Have one wallet compared now; NothingReconciled says why not."""
    request: dict[str, canonical.Value] = {"v": 1, "type": "reconcile", "wallet": wallet}
    try:
        (answer,) = serving.ask(path, request, patience_s=PATIENCE_S)
    except (OSError, frames.BadFrame) as error:
        raise NothingReconciled(f"no answer: {error or type(error).__name__}") from error
    if answer.get("type") != "reconciled":
        raise NothingReconciled(str(answer.get("why", "an answer that is none")))
    try:
        return Compared(
            height=int(str(answer["height"])),
            on_chain=int(str(answer["on_chain"])),
            in_books=int(str(answer["in_books"])),
            attestation={
                "v": 1,
                "type": "attest",
                "payload": answer["payload"],
                "signature": answer["signature"],
            },
            breaks=_sentences(answer.get("breaks", [])),
        )
    except (KeyError, ValueError) as error:
        raise NothingReconciled("an answer that is none") from error


def _sentences(value: canonical.Value) -> tuple[str, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise ValueError(f"no list: {value!r}")
    return tuple(str(one)[:SENTENCE_MAX] for one in value)
