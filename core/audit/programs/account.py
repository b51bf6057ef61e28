"""Trusted programs' logs, each read whole against everything that vouches for it, and what stands in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from core.audit.heads import Seen, Wrong, pieces
from core.audit.programs.deeds import Deeds, token_of
from core.audit.programs.lines import Line, Mark, Reading, bodies
from core.audit.programs.words import say, topic
from kernel import note, witnessed

CARRIED: Final = "head.txt"
"""So a signer without a network calls the head that it leaves beside its lines."""


@dataclass(slots=True)
class Account:
    """What was read so far. `tell` is handed each line in words, before it is known that the log holds."""

    tell: Callable[[str], object] = lambda _: None
    deeds: Deeds = field(default_factory=Deeds)
    counts: dict[str, Counter[str]] = field(default_factory=dict)
    _behind: dict[str, int] = field(default_factory=dict)

    def read_carried(self, key: note.Verifier, place: Path, *, witnesses: Sequence[Seen]) -> note.Checkpoint:
        """The log of a signer without a network, as it was carried here: a folder, and in it the head that
        the signer left. Nobody but its key vouches for it, and nobody says that there is no more by now.
        """
        self.deeds.carried.add(token_of(key.name))
        heads = (place / CARRIED).read_text(encoding="utf-8")
        found = self.read(key, place, heads=heads, witnesses=witnesses)
        if not found:
            raise Wrong(f"{place / CARRIED} holds no head of {key.name}")
        return max(found, key=lambda head: head.size)

    def read(
        self, key: note.Verifier, place: Path, *, heads: str, witnesses: Sequence[Seen]
    ) -> list[note.Checkpoint]:
        """The log of that key; Wrong names its first bad line, and nothing is to be believed of it then.

        It holds against every head of it that its key signed, which are given back, and what each witness
        remembers of it.
        """
        found = []
        marks = [Mark(seen.size, seen.root, f"{seen.by} saw") for seen in witnesses if seen.log == key.name]
        for piece in pieces(heads.split("\n")):
            if piece.partition("\n")[0] == key.name:
                try:
                    head = witnessed.head(piece, by=key)
                except note.BadNote as error:
                    raise Wrong(f"a head of {key.name}: {error}") from None
                found.append(head)
                marks.append(Mark(head.size, head.root, "its key signed"))
        counted = self.counts[key.name] = Counter()

        def take(line: Line) -> None:
            counted[topic(line)] += 1
            self.deeds.take(line)
            self.tell(say(line))

        reading = Reading(key.name)
        reading.read(bodies(place), marks, take)
        self._behind[key.name] = reading.tree.size - max((mark.size for mark in marks), default=0)
        return found

    def said(self, log: str) -> str:
        """What was read of that log, as part of a verdict."""
        if log not in self.counts:
            return "; its lines were not given"
        counted = self.counts[log]
        each = ", ".join(f"{times} {name}" for name, times in sorted(counted.items()))
        behind = self._behind[log]
        young = f"; the last {behind} stand under no head yet" if behind else ""
        return f"; {counted.total()} lines read ({each}){young}"
