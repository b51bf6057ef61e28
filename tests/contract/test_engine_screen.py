"""The engine's screen, beside the real engine, ..."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import fields, replace
from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest
from django.template.loader import render_to_string

from core import clock
from core.audit.models import AuditEvent
from core.refusals import NotAllowed
from engine_bridge import probes, queries, sighting
from engine_bridge.actions import ask_verification, rebuild_mirrors, stop_market
from engine_bridge.actions.rebuilding import NoReason, NotConfirmed
from engine_bridge.adapters import administration, inspection, vitals
from engine_bridge.adapters.channel import EngineAway
from engine_bridge.adapters.inspection import Verification
from engine_bridge.adapters.notes import NotesDown
from engine_bridge.daemons import watching
from engine_bridge.daemons.watching import look
from engine_bridge.models import Instrument
from engine_bridge.wire import types_pb2
from tests.officers import Staff
from tests.trading import maker, mirrors, place, sound, taker, terms, trading, until
from tests.venue import Venue, venue_open

pytestmark = pytest.mark.django_db


@pytest.fixture
def venue(db: None) -> Iterator[Venue]:
    with venue_open() as opened:
        yield opened


def test_shows_the_last_word_with_its_age_and_never_asks_the_engine(venue: Venue, staff: Staff) -> None:
    now = clock.now()
    vitals.leave(venue.engine.status(), now=now)
    venue.engine.kill()
    found = sighting.engine_for(staff.dot.identity, now=now)
    assert found.reading is not None
    assert (found.is_fresh, found.reading.state, found.taken_at) == (True, "running", now)
    behind = {follower.name: follower.behind for follower in found.followers}
    assert behind["settled in PostgreSQL"] == found.reading.event_seq - queries.settlement().last_event_seq
    later = now + vitals.FRESH + timedelta(seconds=1)
    found = sighting.engine_for(staff.dot.identity, now=later)
    assert (found.is_fresh, found.reading is None) == (False, False)
    assert probes.read_engine(later).status.value == "down"


def test_reads_each_figure_under_its_own_name(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = [field.name for field in fields(administration.ShardReading) if field.type == "int"]
    wire = types_pb2.ShardStatus(**{name: 100 + at for at, name in enumerate(numbers)})
    wire.consumers.add(name="settlement", sent_event_seq=7)
    wire.flush_us_buckets.extend([1, 2])
    stub = SimpleNamespace(Status=lambda request, timeout: wire)
    monkeypatch.setattr(administration, "_channel", lambda target: nullcontext())
    monkeypatch.setattr(administration.admin_pb2_grpc, "AdminStub", lambda channel: stub)
    reading = administration.status("unix:nowhere")
    assert [getattr(reading, name) for name in numbers] == list(range(100, 100 + len(numbers)))
    assert (reading.consumers, reading.flush_us_buckets) == ({"settlement": 7}, (1, 2))


def test_says_whether_the_engine_is_silent_or_nobody_asks_it(venue: Venue, staff: Staff) -> None:
    # A minute ago, so that nothing of it is news to the tests that follow.
    now, target = clock.now() - timedelta(minutes=1), f"unix:{venue.engine.admin}"
    look(target, now=now)
    venue.engine.kill()
    later = now + timedelta(seconds=1)
    with pytest.raises(EngineAway):
        look(target, now=later)
    found = sighting.engine_for(staff.dot.identity, now=later)
    assert found.silence is not None
    assert (found.silence.reason, found.silence.taken_at) == ("UNAVAILABLE", later)
    assert (found.is_fresh, found.reading is None) == (False, False)
    market = Instrument.objects.get()
    book, state = sighting.book_of(market, depth=1, now=later), sighting.state_of(market, now=later)
    assert (book.taken_at, book.is_live, state.is_live) == (now, False, False)
    reading = probes.read_engine(later)
    assert (reading.status.value, reading.sentence) == ("down", "The engine does not answer: UNAVAILABLE.")
    # Nobody asks any more, and that is another thing to mend.
    much_later = later + vitals.FRESH + timedelta(seconds=1)
    assert sighting.engine_for(staff.dot.identity, now=much_later).silence is None
    # What a clock that was far ahead has left says nothing about now either.
    much_earlier = now - vitals.FRESH - timedelta(seconds=1)
    assert (sighting.engine_for(staff.dot.identity, now=much_earlier).silence, vitals.find(much_earlier)) == (
        None,
        None,
    )
    reading = probes.read_engine(much_later)
    assert (reading.status.value, "Nobody looks at the engine" in reading.sentence) == ("down", True)
    venue.engine.start()
    look(target, now=much_later)
    found = sighting.engine_for(staff.dot.identity, now=much_later)
    assert (found.silence, found.is_fresh, probes.read_engine(much_later).status.value) == (None, True, "up")


def test_shows_a_markets_state_in_the_engine_though_settlement_stands(venue: Venue, staff: Staff) -> None:
    """Whoever stops a market in the middle of that sees whether it is stopped."""
    now, target = clock.now(), f"unix:{venue.engine.admin}"
    stop_market(
        symbol="BTC-USDT", state="halted", reason="events are missing", actor=staff.sam.actor, now=now
    )
    look(target, now=now)
    market = Instrument.objects.get()
    for delivered, state in ((False, "open"), (True, "halted")):
        if delivered:
            venue.deliver()
            look(target, now=now)
        found = sighting.state_of(market, now=now)
        assert (found.state, found.is_live, found.is_awaited) == (state, True, not delivered)
        assert [one.state for one in sighting.engine_for(staff.dot.identity, now=now).stopped] == [state]
    later = now + vitals.LIVE + timedelta(seconds=1)
    found = sighting.state_of(market, now=later)
    assert (found.state, found.is_live, found.is_awaited) == ("open", False, True)


def test_is_kept_up_to_date_whatever_one_look_meets(monkeypatch: pytest.MonkeyPatch) -> None:
    looks, enough = [], threading.Event()

    def look(target: str, *, now: datetime) -> None:
        looks.append(target)
        if len(looks) > len(meets):
            enough.set()
        else:
            raise meets[len(looks) - 1]

    meets = [EngineAway("UNAVAILABLE"), RuntimeError("nobody thought of it"), NotesDown()]
    monkeypatch.setattr(watching, "look", look)
    monkeypatch.setattr(watching, "EVERY_S", 0.001)
    with watching.watching("unix:nowhere"):
        assert enough.wait(60)


def test_has_the_mirrors_rebuilt_by_who_may_and_says_how_far_it_is(venue: Venue, staff: Staff) -> None:
    tom, tia = maker(venue), taker(venue)
    place(tom, terms("sell", "0.5", "40000", clOrdId="ask"))
    place(tia, terms("buy", "0.2", "40000"))
    venue.settle()
    before, books, reached = mirrors(), trading(tom, "USDT"), queries.settlement().last_event_seq
    now = clock.now()
    for actor, typed, reason, refusal in (
        (staff.ana.actor, "rebuild", "a test", NotAllowed),
        (staff.sam.actor, "rebuilt", "a test", NotConfirmed),
        (staff.sam.actor, "rebuild", " ", NoReason),
    ):
        with pytest.raises(refusal):
            rebuild_mirrors(typed=typed, reason=reason, actor=actor, now=now)
    assert mirrors() == before
    count = AuditEvent.objects.count()
    rebuild_mirrors(typed="rebuild", reason="a disk was restored", actor=staff.sam.actor, now=now)
    written = AuditEvent.objects.order_by("-pk")[0].doc
    assert (AuditEvent.objects.count() - count, written["action"], written["reason"]) == (
        1,
        "engine.settlement.mirrors_cleared",
        "a disk was restored",
    )
    view = queries.settlement()
    assert (view.is_rebuilding, view.rebuilt_to, mirrors()) == (True, reached, [[], [], []])
    look(f"unix:{venue.engine.admin}", now=now)
    assert probes.read_settlement(now).status.value == "degraded"
    away = probes.read_settlement(now + vitals.FRESH + timedelta(seconds=1))
    assert (away.status.value, "Settlement is away" in away.sentence) == ("down", True)
    # Its subscription is far ahead of the cursor, and nothing happens at the venue: it finds out by itself.
    venue.settle()
    assert not queries.settlement().is_rebuilding
    assert mirrors() == before
    assert trading(tom, "USDT") == books
    assert sound()


def test_has_the_journal_read_again_by_who_may_and_tells_what_was_found(venue: Venue, staff: Staff) -> None:
    now, target = clock.now(), f"unix:{venue.engine.admin}"
    assert inspection.verify(target, begin=False) is None
    with pytest.raises(NotAllowed):
        ask_verification(actor=staff.ana.actor, now=now)
    venue.deliver()
    assert inspection.verify(target, begin=False) is None
    count = AuditEvent.objects.count()
    ask_verification(actor=staff.sam.actor, now=now)
    assert AuditEvent.objects.count() - count == 1
    assert AuditEvent.objects.order_by("-pk")[0].doc["action"] == "engine.journal.verify_asked"
    venue.deliver()

    def ended() -> bool:
        found = inspection.verify(target, begin=False)
        return found is not None and found.state != "running"

    until(ended)
    look(target, now=now)
    found = sighting.engine_for(staff.dot.identity, now=now)
    assert found.verification is not None
    # A test's journal has not closed a segment; engine/server/tests reads closed ones, whole and damaged.
    assert (found.verification.state, found.verification.segments) == ("sound", 0)
    assert found.verification.finished_at is not None
    assert found.reading is not None
    assert found.flushes is not None
    assert found.flushes.count == sum(found.reading.flush_us_buckets) > 0
    assert probes.read_engine(now).status.value == "up"


def test_raises_its_health_where_the_journal_is_not_sound_or_a_start_would_take_long(
    venue: Venue, staff: Staff
) -> None:
    now = clock.now()
    broken = Verification("broken", now, now, 0, 0, 0, 0, 0, 65_536, "", "", "a.seg is corrupt at byte 99: x")
    vitals.leave(venue.engine.status(), broken, now=now)
    reading = probes.read_engine(now)
    assert (reading.status.value, "a.seg is corrupt at byte 99" in reading.sentence) == ("degraded", True)
    assert sighting.engine_for(staff.dot.identity, now=now).verification == broken
    engine = replace(venue.engine.status(), snapshot_seq=7)
    for behind, status in ((probes.REPLAY_MAX, "up"), (probes.REPLAY_MAX + 1, "degraded")):
        vitals.leave(replace(engine, durable_seq=7 + behind), now=now)
        told = probes.read_engine(now)
        assert (told.status.value, f"{behind} commands" in told.sentence) == (status, status == "degraded")


@pytest.mark.parametrize(
    ("replayed", "last", "said", "hashed"),
    [
        (0, 4_900, None, True),
        (4_500, 4_900, "Replayed from the snapshot at 4500; up to there only checksums were compared.", True),
        (4_901, 4_900, "which lies behind the closed segments: only checksums were compared.", False),
    ],
)
def test_says_what_was_dropped_on_purpose_and_from_where_it_was_replayed(
    replayed: int, last: int, said: str | None, hashed: bool
) -> None:
    now = clock.now()
    chain = "ab" * 32 if hashed else ""
    sound = Verification("sound", now, now, 3, 9, 900, 99, 4_001, last, chain, chain, "", replayed, 7, 12)
    page = " ".join(render_to_string("console/verification.html", {"found": sound, "now": now}).split())
    assert ("--attic-keep" in page) is (said is not None)
    assert said is None or said in page
    assert ("4001 to 4900" in page, "7 to 12" in page, "Hash of the state" in page) == (True, True, hashed)


def test_shows_the_engines_own_book_and_says_when_it_is_stale(venue: Venue) -> None:
    tom, now = maker(venue), clock.now()
    place(tom, terms("sell", "0.5", "40000"), terms("sell", "0.2", "40000"), terms("sell", "0.1", "41000"))
    market = Instrument.objects.get()
    # Nobody has looked into the engine for this one; and nothing of it is settled.
    unseen = Instrument.objects.get()
    unseen.pk = 77
    found = sighting.book_of(unseen, depth=12, now=now)
    assert (found.taken_at, found.is_live, list(found.asks)) == (None, False, [])
    look(f"unix:{venue.engine.admin}", now=now)
    venue.engine.kill()
    found = sighting.book_of(market, depth=12, now=now)
    assert (found.taken_at, found.is_live, list(found.bids)) == (now, True, [])
    assert [(line.price, str(line.size), line.orders) for line in found.asks] == [
        ("40000", "0.7", 2),
        ("41000", "0.1", 1),
    ]
    later = now + vitals.LIVE + timedelta(seconds=1)
    found = sighting.book_of(market, depth=1, now=later)
    assert (found.is_live, len(found.asks)) == (False, 1)


def test_says_what_a_call_auction_would_do(venue: Venue) -> None:
    tom, tia, target = maker(venue), taker(venue), f"unix:{venue.engine.admin}"
    market = Instrument.objects.get()

    def call() -> sighting.CallView | None:
        now = clock.now()
        look(target, now=now)
        return sighting.book_of(market, depth=1, now=now).call

    assert call() is None
    for state in ("halted", "auction"):
        administration.set_state(target, instrument=market.pk, state=state)
    place(tom, terms("sell", "0.3", "39000"))
    found = call()
    assert found is not None
    assert (found.price, str(found.size)) == ("", "0")
    place(tia, terms("buy", "0.1", "41000"))
    until(lambda: (found := call()) is not None and found.price != "")
    found = call()
    assert found is not None
    assert 39_000 <= int(found.price) <= 41_000
    assert (str(found.size), str(found.left), found.left_side) == ("0.1", "0.2", "sell")
    administration.run_auction(target, instrument=market.pk)
    assert call() is None
