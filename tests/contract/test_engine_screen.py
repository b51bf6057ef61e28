"""The engine's screen, beside the real engine, ..."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from core import clock
from core.audit.models import AuditEvent
from core.refusals import NotAllowed
from engine_bridge import probes, queries, sighting
from engine_bridge.actions import rebuild_mirrors
from engine_bridge.actions.rebuilding import NoReason, NotConfirmed
from engine_bridge.adapters import vitals
from tests.officers import Staff
from tests.trading import maker, mirrors, place, sound, taker, terms, trading
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
    assert probes.read_settlement(now).status.value == "degraded"
    # Its subscription is far ahead of the cursor, and nothing happens at the venue: it finds out by itself.
    venue.settle()
    assert not queries.settlement().is_rebuilding
    assert mirrors() == before
    assert trading(tom, "USDT") == books
    assert sound()
