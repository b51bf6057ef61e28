"""A program's log line by line: whether it is the one that heads and witnesses vouch for.

The lines are taken as the program wrote them: its file, or the folder of a signer's files. Nothing in them is
believed before a root over them that the log's key signed, or that a witness remembers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from hashlib import sha256
from itertools import chain, islice
from pathlib import Path
from typing import Final, NamedTuple

from core.audit.heads import Wrong
from kernel import canonical, merkle
from kernel.entry import FIRST, WEIGHTY

_NAMES: Final = ("journal.jsonl", "signatures.jsonl", "openings.jsonl")


class Kind(Enum):
    """Whose log it is, and which members a line of it may have."""

    SIGNER = (frozenset({"n", "prev", "at", "event", "details"}),)
    APPROVER = (
        *(
            frozenset({"v", "at_ms", "officer", "credential_id", "verb", "kind", "request", "nonce"})
            | {"digest", "assertion"}
            | more
            for more in (frozenset[str](), frozenset({"about"}))
        ),
    )
    VAULT = (
        frozenset({"v", "at_ms", "caller", "actor", "subject", "purpose", "event", "places", "code"}),
        frozenset({"v", "at_ms", "counted"}),
    )

    @classmethod
    def of(cls, log: str) -> Kind:
        """By the name of the log, which its pinned key carries; ValueError for one of no such program."""
        if "/signer/" in log:
            return cls.SIGNER
        named = {"approver": cls.APPROVER, "vault": cls.VAULT}
        try:
            return named[log.rpartition("/")[2]]
        except KeyError:
            raise ValueError(f"{log} is no signer's, approver's or vault's log") from None


class Mark(NamedTuple):
    """A root over the first lines, and who vouches for it."""

    size: int
    root: bytes
    by: str


@dataclass(frozen=True, slots=True)
class Line:
    """What a line says."""

    log: str
    number: int
    kind: Kind
    at_ms: int
    said: Mapping[str, canonical.Value]


@dataclass(slots=True)
class Reading:
    """One log, read from its first line to its last."""

    log: str
    kind: Kind = field(init=False)
    tree: merkle.Frontier = field(default_factory=merkle.Frontier)
    _last: str = FIRST

    def __post_init__(self) -> None:
        self.kind = Kind.of(self.log)

    def read(self, bodies: Iterator[bytes], marks: Sequence[Mark], take: Callable[[Line], None]) -> None:
        """Every line in order, handed on as it is read; Wrong names the first that is not the log's, as
        narrowly as marks and chain tell, and then what was handed on is worth nothing. Lines behind the last
        mark are handed on, too: so far nobody vouches for them.
        """
        good = 0
        for mark in sorted(marks):
            for body in islice(bodies, mark.size - self.tree.size):
                take(self._line(body))
            if self.tree.size < mark.size:
                raise Wrong(f"line {self.tree.size} of {self.log} is missing: {mark.by} {mark.size} lines")
            if self.tree.root() != mark.root:
                if self.kind is Kind.SIGNER:  # the next line knows whether it is the last one that is bad
                    for body in islice(bodies, 1):
                        self._line(body)
                which = f"line {good} of {self.log} is not the one"
                if mark.size > good + 1:
                    span = f"one of the lines {good} to {mark.size - 1}"
                    which = f"{span} of {self.log} was changed, removed, added or moved"
                raise Wrong(f"{which}: {mark.by} another root at {mark.size}")
            good = mark.size
        for body in bodies:
            take(self._line(body))

    def _line(self, body: bytes) -> Line:
        """The next line, in the tree; Wrong where its program did not write it behind the one before."""
        number = self.tree.size
        try:
            said = canonical.decode_object(body)
        except canonical.NotCanonical as error:
            raise Wrong(f"line {number} of {self.log} is none: it is not canonical ({error})") from None
        if not self._is_shaped(said):
            raise Wrong(f"line {number} of {self.log} is none that its program writes")
        if self.kind is Kind.SIGNER:
            self._check_chain(number, said, body)
        at = said["at"] if self.kind is Kind.SIGNER else said["at_ms"]
        self.tree = self.tree.extended([merkle.leaf(body)])
        return Line(self.log, number, self.kind, int(str(at)), said)

    def _is_shaped(self, said: Mapping[str, canonical.Value]) -> bool:
        """Whether it has the members of such a line, and a time."""
        if self.kind is not Kind.SIGNER:
            return said.keys() in self.kind.value and str(said["at_ms"]).isdecimal()
        if said.keys() - {"mac"} not in self.kind.value or not isinstance(said["event"], str):
            return False
        has_mac = "mac" in said
        is_whole = type(said["at"]) is int and isinstance(said["details"], Mapping)
        return is_whole and has_mac == (said["event"] in WEIGHTY)

    def _check_chain(self, number: int, said: Mapping[str, canonical.Value], body: bytes) -> None:
        if said["n"] != number:
            raise Wrong(f"line {number} of {self.log} is missing: line {said['n']} stands in its place")
        if said["prev"] != self._last:
            raise Wrong(
                f"line {number - 1} of {self.log} is not the one behind which line {number} was written"
                if number
                else f"line 0 of {self.log} says that there is one before"
            )
        self._last = sha256(body).hexdigest()


def bodies(place: Path) -> Iterator[bytes]:
    """The lines of a log in this file, or in the files of this folder, without their ends. A last one without
    an end is none yet: nobody was answered for it.
    """
    if not place.is_dir():
        return _bodies(place)
    newest = next((place / name for name in _NAMES if (place / name).is_file()), None)
    if newest is None:
        raise FileNotFoundError(f"{place} holds none of {', '.join(_NAMES)}")
    parts, first = [_bodies(newest)], _start(newest)
    while first is not None and first[0] > 0:  # a signer's file goes on behind another
        older = place / f"journal-{first[0]}-{first[1][:16]}.jsonl"
        begun = _start(older)
        count = first[0] - (begun[0] if begun is not None else 0)
        parts.append(islice(_bodies(older), count))
        first = begun if begun is not None and begun[0] < first[0] else None
    return chain.from_iterable(reversed(parts))


def _bodies(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while (line := file.readline(canonical.LENGTH_MAX + 2)).endswith(b"\n"):
            yield line[:-1]
        if len(line) > canonical.LENGTH_MAX:
            yield line  # longer than any: whoever reads it says so


def _start(path: Path) -> tuple[int, str] | None:
    """Which line of its journal a signer's file begins with, and the hash of the one before."""
    try:
        said = canonical.decode_object(next(_bodies(path), b""))
    except canonical.NotCanonical:
        return None
    number, before = said.get("n"), said.get("prev")
    return (number, before) if type(number) is int and isinstance(before, str) else None
