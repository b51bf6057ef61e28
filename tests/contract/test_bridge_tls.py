"""The bridge and the real engine over TCP, certificates on both sides ..."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from engine_bridge.adapters import administration, feed, transfers
from engine_bridge.adapters.channel import EngineAway, EngineRefused, open_channel
from engine_bridge.adapters.client import Bridge
from engine_bridge.adapters.line import Line
from engine_bridge.adapters.papers import BadTarget
from engine_bridge.adapters.session import METHOD
from tests import papers, ports
from tests.contract.test_bridge_session import cancels, numbers
from tests.trading import until
from tests.venue import Engine


class Site:
    """An engine that listens over TCP, and folders of papers for those who come."""

    def __init__(self, folder: Path) -> None:
        self.port = ports.free()
        self.folder = folder
        self.authority = papers.Authority()
        server = self.authority.issue(folder / "server", papers.here())
        for name in papers.NAMES:
            self.authority.issue(folder / name, papers.client(name))
        self.engine = Engine(folder, options=papers.options(server, self.port))

    def target(self, name: str, *, host: str = "127.0.0.1") -> str:
        return f"tls://{host}:{self.port}?papers={self.folder / name}"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with tempfile.TemporaryDirectory(prefix="cs-", dir="/tmp") as folder:
        opened = Site(Path(folder))
        try:
            opened.engine.start()
            yield opened
        finally:
            opened.engine.stop()


def refusal(target: str) -> str:
    """Why the engine, or we, did not want this stream."""
    line = Line(settings.ENGINE_LIBRARY)
    try:
        line.open(target, METHOD, timeout_s=60.0)
        while True:
            line.hear()
    except (EngineAway, EngineRefused, OSError) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        line.close()


def test_sends_orders_and_goes_on_after_a_kill(site: Site) -> None:
    bridge = Bridge(site.target("orders"))
    try:
        assert bridge.connected()
        asked = cancels(3_000)
        assert numbers(bridge.submit(asked)) == [command.order_id for command in asked]
        site.engine.kill()
        site.engine.start()
        until(bridge.connected)
        again: list[Any] = bridge.submit(asked)
        assert numbers(again) == [command.order_id for command in asked]
        assert {answer.duplicate for answer in again} == {True}
    finally:
        bridge.close()


def test_is_told_in_the_engines_words_what_it_may_not(site: Site) -> None:
    """Over a unix socket as well: the trailers say it, and they are read."""
    for target in (site.target("transfers"), f"unix:{site.engine.transfers}"):
        assert refusal(target).startswith("EngineRefused: PERMISSION_DENIED: ")
    bridge = Bridge(site.target("transfers"))
    try:
        assert not bridge.connected()
        with pytest.raises(EngineAway, match="PERMISSION_DENIED"):
            bridge.submit(cancels(1))
    finally:
        bridge.close()


def test_shows_its_papers_for_single_calls_and_events_too(site: Site) -> None:
    assert administration.status(site.target("admin")).state == "running"
    with feed.Feed(site.target("transfers"), from_event_seq=1, consumer="test") as events:
        assert events.next(60).events
    assert transfers.acknowledge(site.target("transfers"), through_event_seq=1) == 0
    with pytest.raises(EngineAway):
        administration.status(site.target("admin").replace("/admin", "/nowhere"))


def test_gets_nowhere_without_papers_of_the_engines_own_authority(site: Site) -> None:
    papers.Authority().issue(site.folder / "strange", papers.client("orders"))
    strange = site.folder / "strange"
    # They do not believe the engine ...
    assert "invalid peer certificate" in refusal(site.target("strange"))
    # ... and it does not believe them.
    (strange / "ca.pem").write_bytes((site.folder / "orders/ca.pem").read_bytes())
    assert "alert" in refusal(site.target("strange"))
    # Nor is another host's certificate taken for this one's.
    assert "invalid peer certificate" in refusal(site.target("orders", host="localhost"))
    with pytest.raises(EngineAway):
        administration.status(site.target("admin", host="localhost"))


@pytest.mark.parametrize(
    "target", ["127.0.0.1:1", "tcp://127.0.0.1:1", "tls://127.0.0.1:1", "tls://h?papers=/x"]
)
def test_is_not_begun_where_no_certificates_are_named(target: str) -> None:
    for begin in (Bridge, open_channel):
        with pytest.raises(BadTarget, match="Nothing was sent"):
            begin(target)
