"""The logs that witnesses watch: the audit log in the database, and the trusted programs' own.

Each is known by a verifier key that was pinned when it was set up, so that a program in another's place has
nothing to show. A program's log answers framed messages on its unix socket: `log_head`, `log_proof`,
`log_entries`, and takes `log_cosigned` back, since a signer waits for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from core.audit import tree
from core.audit.models import AuditCheckpoint
from core.trusted import serving
from kernel import frames, note, witnessed

_PATIENCE_S: Final = 3.0


class Silent(Exception):
    """The log shows no head, or one that its key did not sign; the text says why."""


class Source(Protocol):
    """A log, as the collector needs it."""

    @property
    def log(self) -> note.Verifier:
        """The key by which its heads are known."""

    def head(self) -> str | None:
        """The newest signed note; None while the log is empty. Silent."""

    def proof(self, old: int, size: int) -> Sequence[bytes]:
        """That the log of `size` entries continues that of `old`. Silent."""

    def give(self, cosigned: str) -> None:
        """Hand back the note with the witnesses' lines. Silent."""


@dataclass(frozen=True, slots=True)
class OwnLog:
    """The audit log itself."""

    log: note.Verifier

    def head(self) -> str | None:
        """The newest checkpoint's note."""
        return AuditCheckpoint.objects.order_by("-size").values_list("note", flat=True).first()

    def proof(self, old: int, size: int) -> Sequence[bytes]:
        """From the kept tiles."""
        return tree.consistency_proof(size, old)

    def give(self, cosigned: str) -> None:
        """It is kept beside the checkpoint already."""


@dataclass(frozen=True, slots=True)
class ProgramsLog:
    """The log of a signer, of the approver or of the vault."""

    log: note.Verifier
    socket: Path

    def head(self) -> str | None:
        """Asked for, and checked against the pinned key. An empty log has a head, too."""
        found = self._ask({"v": 1, "type": "log_head"}).get("note")
        try:
            witnessed.head(str(found), by=self.log)
        except note.BadNote as error:
            raise Silent(f"{self.log.name}: {error}") from None
        return str(found)

    def proof(self, old: int, size: int) -> Sequence[bytes]:
        """Asked for; the witness checks it."""
        if not old:
            return []
        hashes = self._ask({"v": 1, "type": "log_proof", "old": old, "size": size}).get("hashes")
        try:
            return [bytes.fromhex(str(step)) for step in hashes] if isinstance(hashes, list) else []
        except ValueError as error:
            raise Silent(f"{self.log.name}: {error}") from None

    def give(self, cosigned: str) -> None:
        """A signer spends nothing before it has this."""
        self._ask({"v": 1, "type": "log_cosigned", "note": cosigned})

    def _ask(self, question: serving.Message) -> serving.Message:
        try:
            return serving.ask(self.socket, question, patience_s=_PATIENCE_S)[0]
        except (OSError, frames.BadFrame) as error:
            raise Silent(f"{self.log.name} cannot be asked: {error or type(error).__name__}") from None


def read(path: Path | None) -> list[ProgramsLog]:
    """The programs' logs in a file of lines `name+hash+key socket`; none without a file."""
    if path is None or not path.is_file():
        return []
    lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    return [ProgramsLog(note.Verifier.parse(key), Path(socket)) for key, socket in lines]
