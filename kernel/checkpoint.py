"""What a signer goes on with where a new file of its journal begins, so that nobody reads the old ones again.

Lines are kept as they stand or forgotten, never rewritten; what is remembered of those that are kept is what
was remembered before. Forgotten is what nothing can rest on any more:

* a spend that left every window and the longest life of what may be signed, and is none of the lane's that is
  not final. Its intents stay refused by their names, and its passkeys' sign counts by the largest of them: an
  expiry alone would not do, since officers, and in the lane the web tier alone, can give an old name another.
* what made final, once all that it made so is forgotten, and word that newer word of the same replaced.

Everything else stays: what officers ordered, what customers signed, registries, reopenings.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from kernel.entry import CHECKPOINT, SPEND, Entry
from kernel.forgotten import Forgotten
from kernel.members import all_texts, an_object
from kernel.merkle import Tree


@dataclass(slots=True)
class State:
    """A journal up to a line: how many there are, what its head is, and what is kept of them."""

    lines: int
    last: str
    last_ms: int
    registry: str
    branch: str
    tree: Tree
    forgotten: Forgotten
    weighty: list[Entry]

    @classmethod
    def read(cls, data: bytes, digest: str) -> State:
        """The one that a checkpoint names by its SHA-256; ValueError where it is not."""
        if hashlib.sha256(data).hexdigest() != digest:
            raise ValueError("what the checkpoint kept is missing, or was changed")
        forgotten, *rows, head = map(json.loads, data.splitlines())
        tree = Tree([bytearray.fromhex(level) for level in head.pop("tree")], head.pop("base"))
        weighty = [Entry(*row) for row in rows]
        return cls(**head, tree=tree, forgotten=Forgotten.read(forgotten), weighty=weighty)


class Draft:
    """A state in the making. What takes long is done about lines that stand, while others are written."""

    def __init__(self, entries: list[Entry], before: Forgotten, *, until: int) -> None:
        self._entries, self._old, self._before, self._until = entries, [*entries], before, until
        self.weighty, self.forgotten = self._old, before

    def forget(self, outstanding: Collection[str], *, keep_ms: int) -> bytes:
        """Keep what something may rest on, from so long before line `until`; the state so far."""
        old, before = self._old, self._before
        late = next(one for one in old if one is old[-1] or one.number >= self._until)
        self.weighty = kept(old, outstanding, before_ms=late.at_ms - keep_ms)
        self.forgotten = forgotten(old, self.weighty, before, until_ms=late.at_ms - keep_ms)
        found = [json.dumps(self.forgotten.as_json()).encode() + b"\n", *map(_row, self.weighty)]
        self._digest = hashlib.sha256(data := b"".join(found))
        return data

    def since(self, entries: list[Entry]) -> list[Entry] | None:
        """The lines that were written since; None where the journal is another than it was."""
        return entries[len(self._old) :] if entries is self._entries else None

    def finish(self, state: State, since: list[Entry]) -> tuple[bytes, str]:
        """The rest of it, and the digest of all."""
        head = {name: getattr(state, name) for name in ("lines", "last", "last_ms", "registry", "branch")}
        head |= {"tree": [level.hex() for level in state.tree.levels], "base": state.tree.base}
        rest = b"".join([*map(_row, since), json.dumps(head).encode() + b"\n"])
        self._digest.update(rest)
        return rest, self._digest.hexdigest()


def _row(one: Entry) -> bytes:
    return json.dumps([one.number, one.at_ms, one.event, one.details, one.hash]).encode() + b"\n"


def kept(entries: Sequence[Entry], outstanding: Collection[str], *, before_ms: int) -> list[Entry]:
    """Those that something may rest on, and the last one, by which the token knows the journal."""
    ended = {
        coin
        for one in entries
        if one.event == "final" and one.at_ms >= before_ms
        for coin in an_object(one.details["spent"])
    }
    spends = [one for one in entries if one.event == SPEND]
    lives = [
        one
        for one in spends
        if one.at_ms >= before_ms or one.details["txid"] in outstanding or not ended.isdisjoint(_coins(one))
    ]
    named = {intent for one in lives for intent in paid_by(one)}  # every version of these, too
    stay = {one.number for one in spends if not named.isdisjoint(paid_by(one))} | {
        one.number for one in lives
    }
    coins = {c for one in spends if one.number in stay and one.details["unattended"] for c in _coins(one)}
    newest = {_about(one): one.number for one in entries}

    def stays(one: Entry) -> bool:
        if one.event == SPEND:
            return one.number in stay
        if one.event == "final":
            return not coins.isdisjoint(an_object(one.details["spent"]))
        return one.event != CHECKPOINT and newest[_about(one)] == one.number

    return [one for one in entries if one is entries[-1] or stays(one)]


def forgotten(
    entries: Sequence[Entry], kept: Sequence[Entry], before: Forgotten, *, until_ms: int
) -> Forgotten:
    """What is left of those that are not kept, with what was left before."""
    still = {one.number for one in kept}
    spends = [one for one in entries if one.event == SPEND and one.number not in still]
    names = (intent for one in spends for intent in paid_by(one))
    return before.more(names, (c for one in spends for c in _counts(one)), until_ms=until_ms if spends else 0)


def _about(entry: Entry) -> object:
    """What newer word of replaces it; of most kinds each line stands for itself."""
    if entry.event in ("balanced", "unbalanced"):
        return "books", entry.details["wallet"]
    return entry.event if entry.event == "cosigned" else entry.number


def _coins(spend: Entry) -> list[str]:
    return all_texts(spend.details["coins"])


def paid_by(spend: Entry) -> list[str]:
    """What a spend's payment is known by: its intent, and (in newer lines) its slot."""
    slot = [str(spend.details["slot"])] if "slot" in spend.details else []
    return [*an_object(spend.details["intents"]), *slot]


def _counts(spend: Entry) -> Iterator[tuple[str, int]]:
    for passkey, seen in an_object(spend.details.get("counts", {})).items():
        yield from ((passkey, int(str(count))) for count in an_object(seen).values())
