"""How one signer stands: its token, the registry that is pinned, its memory, and whether it may act."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from custody.signer.approvals import Sighting
from custody.signer.checks import quorum_for
from custody.signer.counters import LISTENS_MS, Memory
from custody.signer.holds import EVERYTHING
from custody.signer.journal import Journal
from custody.signer.refusals import Refused
from custody.signer.requests import RECOVERY, RELEASE, Attested, Message, Order
from custody.signer.succession import COPY, check_genesis, check_recovery, check_successor, read
from custody.signer.tokens import Token
from custody.signer.watched import Watched
from kernel import canonical
from kernel.entry import SPEND
from kernel.gathering import Gathering
from kernel.registration import digest_of
from kernel.registry import Registry

FREEZE_FILE: Final = "FREEZE"  # whoever runs the host may stop the signer; only officers start it again
ASKED_EVERY_MS: Final = 60_000  # who is not asked for longer may be cut off, or have a clock that jumped


class Standing:
    """One token with its registry and its memory."""

    def __init__(
        self,
        *,
        token: Token,
        registry: Registry,
        state: Path,
        clock: Callable[[], float],
        order: Order | None = None,
        listens: bool = True,
    ) -> None:
        self.token, self.registry, self._state, self._clock = token, registry, state, clock
        self.gathering = Gathering(threading.Condition(), places=token.places)  # of those who sign
        self._before = registry  # the one that was in force, while this one may not follow yet
        self._attested: dict[str, Attested] = {}
        self._probed_ms, self._asked_ms, self._shortens = 0, self.now_ms(), False
        self._listened_ms = 0 if listens else LISTENS_MS  # people bring the veto, or nobody does
        self.journal = Journal(state, token)
        try:
            self._begin(order)
        except Refused:
            self.journal.close()
            raise

    def _begin(self, order: Order | None) -> None:
        """Check the keys, then take the registry up: none is pinned that names other keys than these."""
        token, registry = self.token, self.registry
        self.memory = Memory.of(self.journal)
        for wallet in registry.signing:
            if token.name in wallet.tokens:
                for index in range(len(wallet.keys)):
                    token.check_key(index, public_key=wallet.key_of(token.name, index))
        if not self.journal.lines and self.journal.fault is None:
            check_genesis(registry, order=order, token=token.name, now=self.now())
            self.remember("genesis", {"token": token.name, "serial": token.serial, **self.registry_entry()})
        if self.journal.fault is None and not self._pinned():
            self._hear(order)
        if self._pinned():
            self._keep_copy()
        self.watch()
        self.follow()

    def watch(self) -> None:
        """Begin to wait for witnesses, where the registry names some."""
        self.watched = Watched(
            token=self.token, registry=self.registry, journal=self.journal, remember=self.remember
        )
        if self.journal.fault is None and self._pinned():
            self.watched.start()

    def close(self) -> None:
        """Let go of the journal and the token."""
        self.journal.close()
        self.token.close()

    def check_open(self, now_ms: int) -> None:
        """Refuse where memory, registry or clock cannot be trusted; take note of a freeze by the host."""
        self.check_store()
        self.memory.check_clock(self.journal, now_ms=now_ms)
        if self.stopped_by_host() and EVERYTHING not in self.memory.holds.held:
            self.remember("frozen", {"wallet": EVERYTHING, "reason": "by the host", "maker": "host"})

    def check_store(self, *, stops: bool = False) -> None:
        """Refuse where the journal is not what others know; but for a stop, also under another registry."""
        if self.journal.fault is not None:
            raise self.journal.fault
        self.memory.check_forked()
        if not stops:
            self.check_pinned()

    def check_pinned(self) -> None:
        """Refuse where the file that this process was started with is not the pinned one."""
        if not self._pinned():
            heard = f"it listened for {self._listened_ms // 1000} s"
            raise Refused("SIGNER_REGISTRY_CHANGED", f"the registry is not the one pinned here; {heard}")

    def _pinned(self) -> bool:
        return self.journal.registry == self.registry.digest.hex()

    @property
    def believed(self) -> Registry:
        """The registry whose officers are heard."""
        return self.registry if self._pinned() else self._before

    def follow(self) -> None:
        """Take up the registry that this process was started with, once officers announced it, its delay is
        over, and no veto came while somebody spoke to this signer. Who only moves its clock waits as long.
        """
        if self._pinned() or self.journal.fault is not None or self.memory.forked:
            return
        old, before_ms, self._asked_ms = self._before, self._asked_ms, self.now_ms()
        self._listened_ms += min(self._asked_ms - before_ms, ASKED_EVERY_MS)
        if self.memory.may_follow(self.registry, old, self._asked_ms, self._listened_ms):
            try:
                self.remember("registry", self.registry_entry())
            finally:
                if self._pinned():  # also where the token could not be told
                    self._keep_copy()
                    self.watch()

    def _hear(self, order: Order | None) -> None:
        """Go on believing the registry in force, and let its officers announce this one with the order."""
        old = read(self._state / COPY)
        if old.digest.hex() != self.journal.registry:
            raise Refused("SIGNER_REGISTRY_CHANGED", "the kept copy of the old registry was changed")
        digest, self._before = self.registry.digest.hex(), old
        if order is not None and digest not in self.memory.announced:
            sightings = check_successor(
                self.registry, old=old, order=order, token=self.token.name, now=self.now()
            )
            self.memory.check_order(order.signed.name)
            self.memory.holds.check_heard(order.signed)
            self.memory.check_reopened(order.expires, life=old.limits.order_life)
            self.announce(order, self.order_entry(order, sightings), registry=old)
        elif digest in self.memory.recoveries:
            check_recovery(self.registry, old=old)

    def _keep_copy(self) -> None:
        path = self._state / COPY
        if not path.exists() or hashlib.sha256(path.read_bytes()).digest() != self.registry.digest:
            fresh = path.with_suffix(".new")
            fresh.write_bytes(self.registry.encoded)
            fresh.replace(path)

    def stopped_by_host(self) -> bool:
        """Whether whoever runs the host says stop."""
        return (self._state / FREEZE_FILE).exists()

    def announce(self, order: Order, entry: Message, *, registry: Registry) -> None:
        """Remember which registry may follow that one, and from when on."""
        delay_s, recovery = registry.limits.registry_delay_s, order.kind == RECOVERY
        if recovery and registry.recovery is not None:
            delay_s = registry.recovery.delay_s
        members = {"version": str(order.version), "digest": order.subject, "delay_s": str(delay_s)}
        self.remember("announced", {**members, "keys": digest_of(order.keys), "recovery": recovery, **entry})

    def remember(self, event: str, details: Mapping[str, canonical.Value]) -> None:
        """Write it down, and count with it from now on, whether or not the token can be told of it.

        A spend is settled where it is signed, so that several may be together.
        """
        entry = self.journal.append(event, details, at_ms=self.now_ms())
        self.memory.add(entry)
        if entry.weighty and event != SPEND:
            self.token.in_time(self.journal.settle)

    def shorten(self, aside: Callable[[], contextlib.AbstractContextManager[None]]) -> None:
        """Where the journal's file has grown long, begin another, and forget what is over: one at a time."""
        if self.journal.is_long and not self._shortens:
            keep_s = max(self.registry.remembered_s, self._before.remembered_s)
            live, draft, self._shortens = {*self.memory.outstanding.spends}, self.journal.draft(), True
            try:
                with contextlib.suppress(OSError, Refused):
                    with aside():  # it takes a second or two, in which others have their turn
                        self.journal.write_draft(draft.forget(live, keep_ms=1000 * keep_s))
                        memory = Memory.of(draft)
                    for entry in self.journal.shorten(draft, at_ms=self.now_ms()):
                        memory.add(entry)
                    self.memory = memory
            finally:
                self._shortens = False

    def registry_entry(self) -> Message:
        """What an entry says of the registry in force."""
        return {"version": str(self.registry.version), "digest": self.registry.digest.hex()}

    def uncounted(self) -> Message:
        """Whose agreement to release each thing that is held counts for nothing here."""
        try:
            teams = quorum_for(RELEASE, self.believed)
        except Refused:  # then nobody's counts
            return {}
        return {
            name: sorted(self.believed.discounted(teams, self.memory.holds.concerned(name)))
            for name in self.memory.holds.held
        }

    def order_entry(self, order: Order, sightings: Sequence[Sighting]) -> Message:
        """What an entry says of an order; Refused where a passkey's sign count did not grow."""
        said: Message = {"order": order.signed.name, "maker": order.maker, "reason": order.reason[:400]}
        return said | self.memory.check_counts(sightings)

    def now(self) -> datetime:
        """This signer's own time."""
        return datetime.fromtimestamp(self.now_ms() / 1000, UTC)

    def now_ms(self) -> int:
        """The same in milliseconds since 1970."""
        return int(self._clock() * 1000)
