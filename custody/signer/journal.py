"""The signer's own memory: an append-only file of chained lines, its head pinned on the token.

Each line is canonical JSON with the SHA-256 of the line before. What the signer may rely on later (spends,
freezes, the registry) is "weighty": written and synced before the act; then the line's number and hash, and
the registry's digest, are kept as an object on the token. So a file that was cut, edited or restored from a
backup no longer meets its anchor, and the signer signs nothing until officers reopen it. A weighty line also
carries a MAC under a secret that the token keeps: whoever can write the file, but does not hold the PIN,
cannot add the few lines by which the file may be ahead of the token.

Spends that are decided one after another may be settled together: one sync and one anchor for all of them,
before a key is used for any.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import threading
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from custody.signer.anchor import Anchored
from custody.signer.disk import File
from custody.signer.refusals import Refused
from kernel import canonical, witnessed
from kernel.merkle import Tree
from kernel.seats import AT_ONCE
from kernel.tally import Tally

WEIGHTY: Final = frozenset(
    {"genesis", "registry", "announced", "vetoed", "spend", "frozen", "released", "reopened"}
    | {"customer_key", "beneficiary", "beneficiary_removed", "unbalanced", "balanced", "final"}
    | {"cosigned", "forked"}
)
LIGHT: Final = frozenset({"signed"})
"""Synced with the next line, or before a head is shown: the synced line of the spend says what counts."""
NAMES_REGISTRY: Final = frozenset({"genesis", "registry", "reopened"})
STOPS: Final = frozenset({"frozen", "vetoed"})
SPEND: Final = "spend"
AHEAD_MAX: Final = AT_ONCE + 1
"""Spends that the token may not know of yet: of those that are aside, and of one more that would be."""
FIRST: Final = "0" * 64
AGAIN_MAX: Final = 1_000  # lines an hour for signatures that pay nothing new


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: its number, its moment (milliseconds since 1970, by the signer's clock), what happened."""

    number: int
    at_ms: int
    event: str
    details: Mapping[str, canonical.Value]
    hash: str

    @property
    def weighty(self) -> bool:
        """Whether later decisions rest on it."""
        return self.event in WEIGHTY


class Journal:
    """The open file. `fault` says why nothing may be signed, or is None; `registry` is the pinned digest;
    `cut` is how many bytes of an unfinished line were cut off at the start.
    """

    def __init__(self, folder: Path, anchor: Anchored) -> None:
        self._file, self._anchor, self._secret = File(folder), anchor, anchor.secret()
        self._tally, self._again_ms = Tally(), list[int]()
        self._settling, self.check_room = threading.Lock(), self._file.check_room
        self._settled = 0  # how many weighty lines the token knows of
        self._newest = 0, b""  # how many there are, and what it is to know of the last
        self._lost: Refused | None = None
        self.weighty: list[Entry] = []
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
        if event in WEIGHTY and self.fault is None and not _may_lead([*self._ahead(), event]):
            self._anchor.in_time(self.settle)
        synced = event not in LIGHT | {SPEND}
        if synced and self._ahead():  # if the disk fails the line, it fails that line alone
            with contextlib.suppress(*(OSError, Refused) if event in STOPS else ()):
                self.sync()
        members: dict[str, canonical.Value] = {
            "n": self.lines,
            "prev": self._last,
            # Officers who reopen also vouch for the clock, even if it now stands earlier.
            "at": at_ms if event == "reopened" else max(at_ms, self.last_ms),
            "event": event,
            "details": details,
        }
        if event in WEIGHTY:
            members["mac"] = self._mac(members)
        body = canonical.encode(members)
        self._file.append(body + b"\n", synced=synced, stops=event in STOPS)
        # What is remembered is what the line says, and not what it was made of.
        said = json.loads(body)
        entry = Entry(said["n"], said["at"], event, said["details"], hashlib.sha256(body).hexdigest())
        self._take(entry, body)
        return entry

    def settle(self, gather: Callable[[Callable[[], bool]], object] = lambda _: None) -> None:
        """Every weighty line on the disk and the newest told to the token: before anything rests on them.

        Whoever decides may write more meanwhile: it is settled with those who wait for this, or gather first.
        Where the token could not be told, the lines stand; where the disk failed, nothing more is signed.
        """
        wanted = len(self.weighty)
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
                why = "the disk did not take the journal's last lines; start the signer again on a sound one"
                self.fault = self._lost = Refused("SIGNER_STORE_DAMAGED", why)
            raise

    def between(self, start: int, end: int) -> list[str]:
        """Lines of the file from `start` to before `end`, or fewer where they are many or long."""
        end = min(end, start + witnessed.LINES_MAX)
        starts = [*self._starts[start : end + 1], self._size]
        return witnessed.page(map(self._file.between, starts[: end - start], starts[1:]))

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

    def _ahead(self) -> list[str]:
        """What the token may not know of yet."""
        return [entry.event for entry in self.weighty[self._settled :]]

    def _forget(self) -> None:
        self.weighty.clear()
        self._settled, self._newest, self._lost = 0, (0, b""), None
        self.lines, self.last_ms, self._last = 0, 0, FIRST
        self.tree, self._starts, self._size = Tree(), array("Q"), 0  # where each line begins in the file

    def _take(self, entry: Entry, body: bytes) -> None:
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
            self._newest = len(self.weighty), pin

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
        events = self._ahead()
        told = (pin.get("n"), pin.get("hash"))
        known = next((n for n, one in enumerate(self.weighty, 1) if (one.number, one.hash) == told), 0)
        if pinned is None and events in ([], ["genesis"]):
            self.settle()
        elif pinned is None:
            self.fault = Refused("SIGNER_TOKEN_CHANGED", "the token does not know this journal")
        elif known and _may_lead(events[known:]):
            # Ended between writing lines and telling the token: they count, so nothing is forgotten.
            self._settled = known
            self.settle()
        else:
            code = "SIGNER_STORE_RESTORED" if events else "SIGNER_STORE_LOST"
            self.fault = Refused(code, "the journal is not the one that the token remembers")
            self.registry = str(pin["registry"])

    def _read(self) -> Iterator[tuple[Entry, bytes]]:
        whole, self.cut = self._file.read()
        previous, number = FIRST, 0
        for line in whole.splitlines():
            entry, before = self._entry(line)
            if entry.number != number or before != previous:
                raise ValueError(f"line {number} does not follow the one before")
            previous, number = entry.hash, number + 1
            yield entry, line

    def _entry(self, body: bytes) -> tuple[Entry, str]:
        """The line, and the hash that it says the line before had; ValueError where it is not ours."""
        document = canonical.decode_object(body)
        mac = document.pop("mac", "")
        number, at_ms, event, details, previous = (
            document[name] for name in ("n", "at", "event", "details", "prev")
        )
        if type(number) is not int or type(at_ms) is not int or not isinstance(event, str):
            raise ValueError("a line has a number, a moment and an event")
        if not isinstance(details, Mapping) or not isinstance(previous, str):
            raise ValueError("a line has details and the hash of the one before")
        if event in WEIGHTY and not hmac.compare_digest(str(mac).encode(), self._mac(document).encode()):
            raise ValueError(f"line {number} was not written by this signer")
        return Entry(number, at_ms, event, details, hashlib.sha256(body).hexdigest()), previous

    def _mac(self, members: Mapping[str, canonical.Value]) -> str:
        return hmac.new(self._secret, canonical.encode(members), hashlib.sha256).hexdigest()


def _may_lead(events: Sequence[str]) -> bool:
    """Whether these may be ahead of the token: a few spends, one line of any kind, and then only stops."""
    spends = next((place for place, event in enumerate(events) if event != SPEND), len(events))
    return spends <= AHEAD_MAX and STOPS.issuperset(events[spends + 1 :])
