"""The signer's own memory: an append-only file of chained lines, its head pinned on the token.

Each line is canonical JSON with the SHA-256 of the line before. What the signer may rely on later (spends,
freezes, the registry) is "weighty": written and synced before the act; then the line's number and hash, and
the registry's digest, are kept as an object on the token. So a file that was cut, edited or restored from a
backup no longer meets its anchor, and the signer signs nothing until officers reopen it. A weighty line also
carries a MAC under a secret that the token keeps: whoever can write the file, but does not hold the PIN,
cannot add the few lines by which the file may be ahead of the token.

Spends that are decided one after another may be settled together: one sync and one anchor for all of them,
before a key is used for any.

After many lines a new file begins with a checkpoint: a line that names what is kept (`checkpoint`). The chain
goes on, and files from before stay on the disk for witnesses; a start needs none of them.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from array import array
from collections.abc import Callable, Iterator, Mapping
from itertools import takewhile
from pathlib import Path
from typing import Final

from custody.signer.anchor import Anchored
from custody.signer.disk import File
from custody.signer.refusals import Refused
from kernel import canonical, witnessed
from kernel.checkpoint import Draft, State
from kernel.entry import CHECKPOINT, FIRST, LATER, NAMES_REGISTRY, STOPS, WEIGHTY, Entry, line, may_lead
from kernel.forgotten import Forgotten
from kernel.merkle import Tree
from kernel.tally import Tally

AGAIN_MAX: Final = 1_000  # lines an hour for signatures that pay nothing new
FILE_LINES: Final = 20_000  # after so many a new file begins


class Journal:
    """The open file. `fault` says why nothing may be signed, or is None; `registry` is the pinned digest;
    `cut` is how many bytes of an unfinished line were cut off at the start.
    """

    def __init__(self, folder: Path, anchor: Anchored) -> None:
        self._file, self._anchor, self._secret = File(folder), anchor, anchor.secret()
        self._tally, self._again_ms = Tally(), list[int]()
        self._settling = threading.Lock()
        self.check_room, self.write_draft = self._file.check_room, self._file.draft
        self._settled, self._newest = 0, (0, b"")
        self._lost: Refused | None = None
        self.registry = self.branch = ""
        self._forget()
        self.fault: Refused | None = None
        self.cut = 0
        self._load()

    def close(self) -> None:
        """Write down what was counted, and let go of the file."""
        self.tell()
        self._file.close()

    @property
    def standing(self) -> str:
        """One hash over what the file and the token remember: what an order to reopen must name.

        The token's part makes it differ each time, so that an order cannot be used for a second restoration.
        """
        last = self.weighty[-1].hash if self.weighty else FIRST
        return hashlib.sha256(last.encode() + (self._anchor.read() or b"")).hexdigest()

    def append(self, event: str, details: Mapping[str, canonical.Value], *, at_ms: int) -> Entry:
        """Write one line, synced to disk unless it is light or a spend; a weighty one is to be settled.

        While the token cannot be told, no line comes that `_load` would not take behind those it knows of.
        """
        ahead = [one.event for one in self._ahead()]
        if event in WEIGHTY and self.fault is None and not may_lead([*ahead, event]):
            self._anchor.in_time(self.settle)
        synced = event not in LATER
        if synced and self._ahead():  # if the disk fails the line, it fails that line alone
            with contextlib.suppress(*(OSError, Refused) if event in STOPS else ()):
                self.sync()
        body = self._line(event, details, at_ms)
        self._file.append(body + b"\n", synced=synced, stops=event in STOPS)
        return self._take(Entry.written(body), body)

    def draft(self) -> Draft:
        """What a new file is to begin with, before anything is forgotten in it."""
        self._next = self.lines + FILE_LINES // 10
        # As of some lines ago: no clock that jumps forgets all at once.
        return Draft(self.weighty, self.forgotten, until=self.lines - FILE_LINES)

    def shorten(self, draft: Draft, *, at_ms: int) -> list[Entry]:
        """Go on in a new file; the lines that came since the draft. OSError or Refused: another time."""
        self._anchor.in_time(self.settle)
        with self._settling:
            self.sync()  # lines for which nobody waits are in the old file, too
            if self.fault is not None or (since := draft.since(self.weighty)) is None:
                raise Refused("SIGNER_STORE_DAMAGED", "another journal than a moment ago")
            self.tree.forget()
            here = (self.lines, self._last, self.last_ms, self.registry, self.branch)
            state = State(*here, self.tree, draft.forgotten, draft.weighty + since)
            rest, digest = draft.finish(state, since)
            body = self._line(CHECKPOINT, {"state": digest}, at_ms)
            new = self._file.prepare(body + b"\n", digest, rest, ends=(self.lines, self._last))
            try:
                self._file.turn_to(new)
            except OSError:
                self._lose()
                raise
            self._begin(state)
            self._take(Entry.written(body), body)
        self._anchor.in_time(self.settle)
        self._file.tidy(digest)
        return since

    @property
    def is_long(self) -> bool:
        """Whether a new file should begin."""
        return self.fault is None and self.lines >= max(self._next, self._began[0] + FILE_LINES)

    def settle(self, gather: Callable[[Callable[[], bool]], object] = lambda _: None) -> None:
        """Every weighty line on the disk and the newest told to the token: before anything rests on them.

        Whoever decides may write more meanwhile: it is settled with those who wait for this, or gather first.
        Where the token could not be told, the lines stand; where the disk failed, nothing more is signed.
        """
        wanted = self._newest[0]
        gather(lambda: self._settled >= wanted)
        with self._settling:
            upto, pin = self._newest
            if self._settled < min(wanted, upto):
                self.sync()
                self._anchor.write(pin)
                self._settled = upto

    def sync(self) -> None:
        """Every line on the disk: before anybody outside is shown how many there are.

        A disk that failed lines which are counted already may say next that all is well: it is asked no more.
        """
        if self._lost is not None:
            raise self._lost
        counted = self._ahead()
        try:
            self._file.sync()
        except OSError:
            if counted:
                self._lose()
            raise

    def _lose(self) -> None:
        why = "the disk did not take the journal's last lines; start the signer again on a sound one"
        self.fault = self._lost = Refused("SIGNER_STORE_DAMAGED", why)

    def between(self, start: int, end: int) -> list[str]:
        """Lines of the file from `start` to before `end`, or fewer where they are many or long."""
        return witnessed.page(self._bodies(start, min(end, start + witnessed.LINES_MAX)))

    def reopen(self, details: Mapping[str, canonical.Value], *, at_ms: int) -> Entry:
        """Trust again, on officers' word, once the token knows. A damaged file is put aside, not deleted."""
        if details["new_log"] and self.fault is not None and self.fault.code != "SIGNER_STORE_RESTORED":
            with self._settling:
                self._file.put_aside(at_ms)
                self._forget()
        entry = self.append("reopened", details, at_ms=at_ms)
        self._anchor.in_time(self.settle)
        self.fault = None
        return entry

    def check_again(self, *, at_ms: int) -> None:
        """Refuse what pays nothing new where too much of it was signed within the hour, a line each time."""
        self._again_ms = [at for at in self._again_ms if at > at_ms - 3_600_000]
        if len(self._again_ms) >= AGAIN_MAX:
            raise Refused("SIGNER_SIGNED_ENOUGH", f"{AGAIN_MAX} times an hour, and nothing new is paid")
        self._again_ms.append(at_ms)

    def refuse(self, user: str, refusal: Refused, *, at_ms: int) -> None:
        """Write a refusal down; only count it where that user got many, or the disk has no room."""
        if self.fault is None and self._tally.admits(user, refusal.code, now_ms=at_ms):
            code, detail = refusal.code, refusal.detail[:400]
            try:
                self.append("refused", {"code": code, "detail": detail, "user": user}, at_ms=at_ms)
            except OSError:
                self._tally.count(user, code, now_ms=at_ms)

    def tell(self, *, at_ms: int | None = None) -> None:
        """Once a minute, or at the end, one line for what was only counted."""
        counted = self._tally.counted if at_ms is None else self._tally.due(now_ms=at_ms)
        with contextlib.suppress(OSError):  # then it waits
            if counted and self.fault is None:
                self.append("refusals", {"counts": counted}, at_ms=at_ms or self.last_ms)
                self._tally.told()

    def _bodies(self, start: int, end: int) -> Iterator[bytes]:
        """Lines of all files, without their ends; Refused where one is not on this disk any more."""
        while start < min(end, self._began[0]):
            for body in self._file.older(start, end, behind=self._began):
                yield body
                start += 1
        for place in range(start - self._began[0], min(end, self.lines) - self._began[0]):
            after = self._starts[place + 1] if place + 1 < len(self._starts) else self._size
            yield self._file.between(self._starts[place], after - 1)

    def _ahead(self) -> list[Entry]:
        """What the token may not know of yet."""
        return [*takewhile(lambda entry: entry.number >= self._settled, reversed(self.weighty))][::-1]

    def _forget(self) -> None:
        self._settled, self._newest, self._lost = 0, (0, b""), None  # to where the token knows, and is to
        self._begin(State(0, FIRST, 0, self.registry, self.branch, Tree(), Forgotten(), []))

    def _begin(self, state: State) -> None:
        """With the first line of a file, after this."""
        self.lines, self._last, self.last_ms = state.lines, state.last, state.last_ms
        self.registry, self.branch, self.tree = state.registry, state.branch, state.tree
        self.weighty, self.forgotten, self.tree.recall = state.weighty, state.forgotten, self._bodies
        self._began, self._next = (state.lines, state.last), 0
        self._starts, self._size = array("Q"), 0  # where each line begins in the file

    def _line(self, event: str, details: Mapping[str, canonical.Value], at_ms: int) -> bytes:
        # Officers who reopen also vouch for the clock, even if it now stands earlier.
        moment = at_ms if event == "reopened" else max(at_ms, self.last_ms)
        return line(self.lines, event, details, previous=self._last, at_ms=moment, secret=self._secret)

    def _take(self, entry: Entry, body: bytes) -> Entry:
        self.tree.append(body)
        self._starts.append(self._size)
        self._size += len(body) + 1
        self.lines, self.last_ms, self._last = entry.number + 1, entry.at_ms, entry.hash
        if entry.event in NAMES_REGISTRY:
            self.registry = str(entry.details["digest"])
        if entry.event == "reopened":
            self.branch = str(entry.details["branch"])
        if entry.weighty:  # only these are kept in memory: refusals are many where somebody tries
            self.weighty.append(entry)
            pin = canonical.encode({"n": entry.number, "hash": entry.hash, "registry": self.registry})
            self._newest = self.lines, pin
        return entry

    def _load(self) -> None:
        pinned = self._anchor.read()
        pin = canonical.decode_object(pinned) if pinned is not None else {}
        try:
            for entry, body in self._read():
                self._take(entry, body)
        except (ValueError, KeyError) as error:
            self._forget()
            self.registry = str(pin.get("registry", ""))
            self.fault = Refused("SIGNER_STORE_DAMAGED", f"the journal does not hold: {error}")
            return
        ahead, told = self._ahead(), (pin.get("n"), pin.get("hash"))
        events = [one.event for one in ahead]
        known = next((n for n, one in enumerate(ahead, 1) if (one.number, one.hash) == told), 0)
        if pinned is None and events in ([], ["genesis"]):
            self.settle()
        elif pinned is None:
            self.fault = Refused("SIGNER_TOKEN_CHANGED", "the token does not know this journal")
        elif known and may_lead(events[known:]):
            # Ended between writing lines and telling the token: they count, so nothing is forgotten.
            self._settled = ahead[known - 1].number + 1
            self.settle()
        else:
            code = "SIGNER_STORE_RESTORED" if events else "SIGNER_STORE_LOST"
            self.fault = Refused(code, "the journal is not the one that the token remembers")
            self.registry = str(pin["registry"])

    def _read(self) -> Iterator[tuple[Entry, bytes]]:
        whole, self.cut = self._file.read()
        for body in whole.splitlines():
            entry, before = Entry.read(body, secret=self._secret)
            if entry.event == CHECKPOINT:
                if self.lines:
                    raise ValueError("a checkpoint stands only at the beginning of a file")
                digest = str(entry.details["state"])
                self._begin(State.read(self._file.state(digest), digest))
                self._settled = self.weighty[-1].number  # the oldest that the token may know
            if (entry.number, before) != (self.lines, self._last):
                raise ValueError(f"line {self.lines} does not follow the one before")
            yield entry, body
