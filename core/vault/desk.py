"""What the vault answers: it opens one person's texts for a named reader and purpose, and writes that down.

A caller cannot open anything silently or in bulk: the line in the log is durable before the plain text
leaves, and one reader, and one calling process, see only so many people an hour. The person is part of what
is sealed, so that a caller cannot name one and open another. Providers' deliveries, of which nobody knows yet
whom they are about, are opened for workers alone, who get a limit of their own for them.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from core.trusted.serving import Message
from core.vault import boxes
from core.vault.log import Log
from core.vault.quota import WINDOW_S, Quota
from kernel import canonical, encodings, members
from kernel.tally import Counts, Tally

DELIVERIES: Final = "kyc.webhookdelivery/"
"""How the names of deliveries begin, as the application gives them."""
TEXT_MAX: Final = 300
ITEMS_MAX: Final = 500
ALARMS: Final = frozenset({"VAULT_QUOTA", "VAULT_NOT_FOR_YOU"})
REFUSALS_MAX: Final = 10_000
OPENINGS_PER_PERSON: Final = 20
"""How often within an hour a caller opens, for each person or delivery that it may: each is a line."""
PLACES_MAX: Final = 5
"""How many places the line of a refusal names."""

Answer = dict[str, canonical.Value]


@dataclass(frozen=True, slots=True)
class Question:
    """A wish to see texts of one person."""

    subject: str
    actor: str
    purpose: str
    event: str
    wrapped: bytes
    items: tuple[tuple[str, bytes], ...]

    @classmethod
    def parse(cls, message: Message) -> Question:
        """Read it; ValueError, KeyError or TypeError for any other shape."""
        texts = [message[name] for name in ("subject", "actor", "purpose", "event")]
        if not all(isinstance(text, str) and 0 < len(text) <= TEXT_MAX for text in texts):
            raise ValueError("who asks, about whom, what for and under which event are named")
        items = message["items"]
        if not isinstance(items, list) or not 0 < len(items) <= ITEMS_MAX:
            raise ValueError("some texts are asked for")
        pairs = []
        for item in items:
            if not isinstance(item, dict):
                raise TypeError("an item is a place and a sealed text")
            place, sealed = item["place"], item["sealed"]
            if not isinstance(place, str) or not 0 < len(place) <= TEXT_MAX:
                raise ValueError("a place is named")
            pairs.append((place, encodings.from_base64url(str(sealed))))
        subject, actor, purpose, event = map(str, texts)
        wrapped = encodings.from_base64url(str(message["wrapped"]))
        return cls(subject, actor, purpose, event, wrapped, tuple(pairs))


class Vault:
    """The holder of the one private key."""

    def __init__(
        self,
        *,
        key: X25519PrivateKey,
        log: Log,
        clock: Callable[[], float],
        per_actor: int,
        per_caller: int,
        alarm: Callable[[str], None],
        workers: Collection[int] = (),
        deliveries: int = 0,
    ) -> None:
        """Limits are an hour's: people per reader and per calling user; deliveries per worker."""
        self._key, self.log, self._clock, self._alarm = key, log, clock, alarm
        self._actors, self._callers, self._mail = Quota(per_actor), Quota(per_caller), Quota(deliveries)
        self._workers = frozenset(workers)
        self._openings = Quota(OPENINGS_PER_PERSON * (per_caller + deliveries))
        self._refused_at: deque[float] = deque(maxlen=REFUSALS_MAX)
        self._tally, self._number = Tally(), 0
        self._remember()

    def answer(self, message: Message, uid: int) -> Message:
        """`open`, `standing`, or a question of the collector about the log."""
        self._tell(self._tally.due(now_ms=int(self._clock() * 1000)))
        if not members.is_version(message.get("v"), 1):
            return _refused("VAULT_UNKNOWN_QUESTION")
        if message.get("type") == "standing":
            return self._standing()
        if message.get("type") != "open":
            return self.log.answer(message) or _refused("VAULT_UNKNOWN_QUESTION")
        try:
            asked = Question.parse(message)
        except (ValueError, KeyError, TypeError):
            return _refused("VAULT_BAD_QUESTION")
        return self._open(asked, uid)

    def _open(self, asked: Question, uid: int) -> Answer:
        now_s, caller = self._clock(), f"uid:{uid}"
        if asked.subject.startswith(DELIVERIES) and uid not in self._workers:
            alarm = f"wall: {asked.actor} through user {uid} asked for a delivery"
            return self._refuse(asked, uid, now_s, "VAULT_NOT_FOR_YOU", alarm)
        if not self._admits(asked, caller, now_s):
            alarm = f"quota: {asked.actor} through user {uid} asked for one person too many, or too often"
            return self._refuse(asked, uid, now_s, "VAULT_QUOTA", alarm)
        try:
            person = boxes.open_person(asked.wrapped, self._key, subject=asked.subject)
            plain = [
                boxes.open_twice(sealed, person=person, vault=self._key, bound_to=f"{asked.subject}|{place}")
                for place, sealed in asked.items
            ]
        except boxes.NotOurs:
            return self._refuse(asked, uid, now_s, "VAULT_NOT_OURS")
        self._write(asked, uid, now_s, "", asked.items)
        self._count(asked.actor, caller, asked.subject, now_s)
        return {"v": 1, "type": "opened", "texts": [encodings.base64url(text) for text in plain]}

    def _refuse(self, asked: Question, uid: int, now_s: float, code: str, alarm: str = "") -> Answer:
        """What is said where nothing was opened, after its line, or with the next that counts."""
        now_ms = int(now_s * 1000)
        if code in ALARMS:
            self._refused_at.append(now_s)
        if self._tally.admits(str(uid), code, now_ms=now_ms):
            if alarm:
                self._alarm(alarm)
            try:
                self._write(asked, uid, now_s, code, asked.items[:PLACES_MAX])
            except OSError:
                self._tally.count(str(uid), code, now_ms=now_ms)
        return _refused(code)

    def _write(
        self, asked: Question, uid: int, now_s: float, code: str, items: Sequence[tuple[str, bytes]]
    ) -> None:
        """The line, on disk."""
        self.log.add(
            {
                "v": 1,
                "at_ms": str(int(now_s * 1000)),
                "caller": str(uid),
                "actor": asked.actor,
                "subject": asked.subject,
                "purpose": asked.purpose,
                "event": asked.event,
                "places": [place for place, _ in items],
                "code": code,
            }
        )

    def _tell(self, counted: Counts) -> None:
        """One line for the refusals that were only counted; where it cannot be written, it waits."""
        if not counted:
            return
        with contextlib.suppress(OSError):
            self.log.add({"v": 1, "at_ms": str(int(self._clock() * 1000)), "counted": counted})
            self._tally.told()

    def close(self) -> None:
        """Write down what was counted, and let another process write."""
        self._tell(self._tally.counted)
        self.log.close()

    def _admits(self, asked: Question, caller: str, now_s: float) -> bool:
        if not self._openings.admits(caller, "", now_s=now_s):
            return False
        if asked.subject.startswith(DELIVERIES):
            return self._mail.admits(caller, asked.subject, now_s=now_s)
        within = self._actors.admits(asked.actor, asked.subject, now_s=now_s)
        return within and self._callers.admits(caller, asked.subject, now_s=now_s)

    def _standing(self) -> Answer:
        """How many of the last hour's questions raised an alarm: for whoever looks after the machine."""
        since_s = self._clock() - WINDOW_S
        lately = sum(at_s > since_s for at_s in self._refused_at)
        found: Answer = {"lines": self.log.tree.size, "alarms": lately, "stuck": self.log.is_stuck}
        return {"v": 1, "type": "standing", **found}

    def _count(self, actor: str, caller: str, subject: str, now_s: float) -> None:
        self._number += 1
        self._openings.count(caller, str(self._number), now_s=now_s)
        if subject.startswith(DELIVERIES):
            self._mail.count(caller, subject, now_s=now_s)
            return
        self._actors.count(actor, subject, now_s=now_s)
        self._callers.count(caller, subject, now_s=now_s)

    def _remember(self) -> None:
        """The last hour counts after a restart, too: it stands in the log."""
        for line in self.log.lines:
            said: Mapping[str, canonical.Value] = canonical.decode_object(line[:-1])
            at_s = int(str(said["at_ms"])) / 1000
            if "counted" in said:
                self._refused_at.extend([at_s] * _alarms(said["counted"]))
                continue
            if said["code"] in ALARMS:
                self._refused_at.append(at_s)
            if not said["code"]:
                self._count(str(said["actor"]), f"uid:{said['caller']}", str(said["subject"]), at_s)


def _alarms(counted: canonical.Value) -> int:
    """How many of the refusals that were only counted raise an alarm, as far as they are kept."""
    users = members.an_object(counted).values()
    found = [(code, int(str(times))) for user in users for code, times in members.an_object(user).items()]
    return min(sum(times for code, times in found if code in ALARMS), REFUSALS_MAX)


def _refused(code: str) -> Answer:
    return {"v": 1, "type": "refused", "code": code}
