"""The settlement loop: reads the engine's durable events from the cursor on and has them written down."""

from __future__ import annotations

import gc
import logging
from datetime import UTC, datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import DatabaseError, OperationalError

from core import clock
from core.actor import system
from core.refusals import Refused
from engine_bridge import banding, charging, queries, tasks
from engine_bridge.actions import halt_settlement, settle_batch
from engine_bridge.actions.settlement import Gap, HistoryLost
from engine_bridge.adapters import notes, transfers
from engine_bridge.adapters.channel import EngineAway, EngineRefused
from engine_bridge.adapters.decoding import Undecodable
from engine_bridge.adapters.feed import Feed
from engine_bridge.adapters.notes import NotesDown
from engine_bridge.domain.bookkeeping import orders_opened
from engine_bridge.domain.events import Batch
from engine_bridge.domain.movements import Break
from engine_bridge.domain.transfers import ACKNOWLEDGED_AFTER
from engine_bridge.models import Transfer

log = logging.getLogger(__name__)

NAME: Final = "settlement"
ACTOR: Final = system(NAME)
SWEEP_EVERY: Final = timedelta(seconds=5)
ACKNOWLEDGE_EVERY: Final = timedelta(hours=1)
COLLECT_EVERY: Final = 200_000
"""About as many objects as two batches make."""
RETRY_HALTED: Final = timedelta(seconds=30)
NEVER: Final = datetime.min.replace(tzinfo=UTC)


def calm_collector() -> None:
    """Spare what is loaded the looks of the collector, which take as long as half a batch.

    What a batch makes goes with it, by counting references alone.
    """
    gc.freeze()
    gc.set_threshold(COLLECT_EVERY)


class Settlement:
    """One step at a time, for `core.daemon.lead`: True where something was settled."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._feed: Feed | None = None
        self._unsettled: Batch | None = None
        self._gaps = self._reached = self._known = 0
        self._waits = False
        self._swept = self._acknowledged = self._halted = self._asserted = NEVER

    def step(self) -> bool:
        """Take in the next batch. The engine's absence is waited out; what cannot be true halts, loudly."""
        now = clock.now()
        if now - self._asserted >= SWEEP_EVERY:
            self._assert_markets(now)
        if now - self._halted < RETRY_HALTED:
            return False
        try:
            batch = self._unsettled or self._next()
            newest, known = batch.newest_event_seq, max(self._known, self._reached)
            if newest < known:
                raise HistoryLost(f"the engine's events end at {newest}, and {known} were settled")
            if batch.events:
                self.settle(batch)
                self._gaps = 0
                self._reached = batch.last_event_seq
            elif queries.settled_event_seq() != self._reached:
                self.close()  # the mirrors were emptied to be rebuilt: begin again from the cursor
            self._unsettled, self._waits = None, False
            self._sweep(now)
        except EngineAway as away:
            self._wait("the engine", away)
            self._asserted = NEVER
            self.close()
            return False
        except NotesDown as down:
            # Names that clients gave their orders would be missing in the mirrors for good.
            self._wait("Redis, where notes of orders lie", down)
            self._unsettled = batch
            return False
        except EngineRefused as refused:
            # The events were settled, and the next ones are, too: only what the engine is told beside waits.
            log.warning("the engine does not take what it is told beside its events: %s", refused)
        except Gap as gap:
            # A connection can lose a batch; the engine's journal cannot. Ask again from the cursor, once.
            self.close()
            self._gaps += 1
            if self._gaps > 1:
                self._halt(gap, now)
            return False
        except OperationalError:
            self.close()
            raise
        except (Break, Undecodable, Refused, DatabaseError, ValueError, LookupError) as broken:
            self._halt(broken, now)
            return False
        return True

    def settle(self, batch: Batch) -> None:
        """Write one batch, with the notes that lie ready for its orders."""
        found = notes.find(orders_opened(batch.events))
        settle_batch(batch=batch, notes=found, actor=ACTOR, now=clock.now())

    def close(self) -> None:
        """End the subscription; the next step begins again from the cursor."""
        self._unsettled = None
        if self._feed is not None:
            self._feed.close()
            self._feed = None

    def _next(self) -> Batch:
        if self._feed is None:
            self._reached, self._known = queries.settled_event_seq(), queries.known_event_seq()
            # The last event is asked for once more: were it another one by now, so would be all that follows.
            first = self._reached + (queries.last_event() is None)
            self._feed = Feed(self._target, from_event_seq=first, consumer=NAME)
        return self._feed.next()

    def _wait(self, what: str, why: Exception) -> None:
        if not self._waits:
            log.warning("settlement waits for %s: %s", what, why)
        self._waits = True

    def _halt(self, reason: Exception, now: datetime) -> None:
        """Nothing is skipped and nothing rejected: settlement stands until a person has looked."""
        self.close()
        self._halted = now
        sentence = f"{type(reason).__name__}: {reason}"[:500]
        log.critical("settlement halted: %s", sentence)
        halt_settlement(reason=sentence, actor=ACTOR, now=now)

    def _sweep(self, now: datetime) -> None:
        """Send again what the outbox may have given up on, and let the engine forget what is long closed, and
        drop the events that are settled.
        """
        if now - self._swept >= SWEEP_EVERY:
            self._swept = now
            if Transfer.objects.filter(state="pending", created_at__lt=now - SWEEP_EVERY).exists():
                tasks.send_pending_transfers()
        if now - self._acknowledged >= ACKNOWLEDGE_EVERY:
            self._acknowledged = now
            self._tell_settled()
            done = (
                Transfer.objects.filter(closed_at__lt=now - ACKNOWLEDGED_AFTER).order_by("-event_seq").first()
            )
            if done is not None and done.event_seq is not None:
                transfers.acknowledge(settings.ENGINE_TRANSFERS_TARGET, through_event_seq=done.event_seq)

    def _tell_settled(self) -> None:
        """What is settled may be dropped, where the engine is told to drop anything; but for the last one."""
        through = max(0, queries.settled_event_seq() - 1)
        try:
            transfers.settled(self._target, consumer=NAME, through_event_seq=through)
        except EngineRefused as error:
            log.warning("the engine does not take that events are settled to %d: %s", through, error)

    def _assert_markets(self, now: datetime) -> None:
        """An officer's stop must reach the engine even where its message did not, and where settlement stands
        still. An engine that was away is told again at once: it may have begun where officers had stopped it.
        The same goes for price bands and for accounts' fees.
        """
        try:
            tasks.assert_market_states(now=now)
            banding.assert_bands(now=now)
            charging.reconcile_fees(now=now)
            self._asserted = now
        except (EngineAway, EngineRefused) as error:
            log.warning("the engine is not as officers want it: %s", error)
