"""An engine that makes room for its standby ..."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from core.audit.models import AuditEvent
from engine_bridge import gateway, succession
from engine_bridge.adapters import administration
from engine_bridge.adapters.channel import EngineAway
from engine_bridge.models import Fill, Order
from tests.trading import code_of, maker, place, sound, taker, terms, until
from tests.venue import Engine, Venue, venue_open

pytestmark = pytest.mark.django_db


@pytest.fixture
def venue(db: None) -> Iterator[Venue]:
    with venue_open(waits=True) as opened:
        yield opened


def hand_over(standby: str, reason: str = "an upgrade") -> str:
    told = StringIO()
    call_command("hand_over_engine", standby, reason=reason, stdout=told)
    return told.getvalue()


def answers(target: str) -> bool:
    try:
        return administration.status(target).state == "standby"
    except EngineAway:
        return False


@pytest.mark.parametrize("takes_over", ["operator", "auto"])
def test_loses_nothing_and_is_written_down(
    venue: Venue, takes_over: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tom, tia = maker(venue), taker(venue)
    place(tom, terms("sell", "0.5", "40000"))
    socket = venue.engine.folder / "s.sock"
    options = ["--standby-socket", str(socket), "--take-over", takes_over]
    second = Engine(venue.engine.folder, options=options, waits=True).start()
    try:
        until(lambda: answers(f"unix:{socket}"))
        epoch = venue.engine.status().epoch
        with monkeypatch.context() as behind:
            behind.setattr(succession, "BEHIND_MAX", -1)
            with pytest.raises(CommandError, match="has reached command"):
                hand_over(f"unix:{socket}")
        assert venue.engine.status().state == "running"
        assert f"leads in epoch {epoch + 1}" in hand_over(f"unix:{socket}")
        assert venue.engine.ended() == 0
        written = AuditEvent.objects.order_by("-pk")[0].doc
        assert (written["action"], written["reason"]) == ("engine.journal.handover_begun", "an upgrade")
        until(gateway.is_connected)
        # Settlement did not have to confirm it: clients have waited long enough.
        assert not second.status().awaits_confirmation
        assert str(code_of(place(tia, terms("buy", "0.2", "40000"))[0])) == "OK"
        venue.settle()
        assert (Order.objects.count(), Fill.objects.count()) == (2, 2)
        assert sound()
        with pytest.raises(CommandError, match="leads already"):
            hand_over(f"unix:{socket}")
    finally:
        second.stop()


def test_goes_on_where_nobody_could_take_over(venue: Venue) -> None:
    before = AuditEvent.objects.count()
    nobody, itself = f"unix:{venue.engine.folder}/none.sock", f"unix:{venue.engine.admin}"
    for standby, reason, says in (
        (nobody, "an upgrade", "no standby answers"),
        (itself, "an upgrade", "is running"),
        (itself, " ", "say why"),
    ):
        with pytest.raises(CommandError, match=says):
            hand_over(standby, reason)
    assert (venue.engine.status().state, AuditEvent.objects.count()) == ("running", before)
