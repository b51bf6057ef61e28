"""The engine's screen tells whoever looks in an outage ..."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from html import unescape
from typing import Final

from core import clock
from core.actor import system
from engine_bridge.actions import halt_settlement
from engine_bridge.adapters import vitals
from engine_bridge.adapters.administration import ShardReading
from tests.doors import at_console
from tests.exchange import Exchange

READING: Final = ShardReading(
    epoch=31, state="running", engine_seq=7_001, durable_seq=7_002, event_seq=7_003, queue_depth=41,
    open_orders=51, accounts=52, fsync_p50_us=61, fsync_p99_us=62, journal_bytes=71 * 1024 * 1024,
    snapshot_seq=7_004, state_hash="5e" * 32, state_hash_seq=7_005, engine_time=clock.now(), version="9.9",
    consumers={"settlement": 6_990, "archive": 6_900}, queue_limit=42,
)  # fmt: skip


def words(markup: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", markup)).split())


def engine(exchange: Exchange) -> str:
    page: str = at_console(exchange.staff.sam.identity).get("/engine/").content.decode()
    return page[page.index("<main") :]


def title(page: str) -> str:
    found = re.search(r'<div id="live".*?<div class="title">(.*?)</div>', page, re.DOTALL)
    assert found is not None, "the state is renewed with the rest"
    return words(found[1])


def test_every_figure_beside_its_name(exchange: Exchange) -> None:
    vitals.leave(READING, now=clock.now())
    page = engine(exchange)
    told = {words(name): words(value) for name, value in re.findall(r"<dt>(.*?)</dt>\s*<dd>(.*?)</dd>", page)}
    assert (
        told
        | {
            "Commands taken": "7001 in epoch 31",
            "Durable up to": "7002",
            "Newest event": "7003",
            "Waiting in its queue": "41 of 42; beyond that traders hear busy",
            "Open orders, accounts": "51, 52",
            "Version": "9.9",
            "Flush, half of them within": "61 µs",
            "Flush, 99 of 100 within": "62 µs",
            "Size": "71.0\xa0MB".replace("\xa0", " "),
            "Newest snapshot": "at command 7004",
            "State hash": "…5e5e5e5e at 7005",
        }
        == told
    )
    rows = [words(row) for row in re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL)]
    assert {"settlement 6990 13", "archive 6900 103"} <= set(rows)


def test_whether_it_runs_is_silent_or_is_not_looked_at(exchange: Exchange) -> None:
    begun = clock.now() - timedelta(minutes=1)
    vitals.leave(READING, now=begun)
    assert title(engine(exchange)).startswith("Engine unknown Nobody looks at it: settlement")
    vitals.leave(replace(READING, state="draining"), now=clock.now())
    assert re.search(r"^Engine draining heard \d+ s ago; it takes no orders.$", title(engine(exchange)))
    vitals.leave(READING, now=clock.now())
    assert re.search(r"^Engine running heard \d+ s ago$", title(engine(exchange)))
    vitals.leave_silence("UNAVAILABLE", now=clock.now())
    assert title(engine(exchange)).startswith("Engine down It does not answer: UNAVAILABLE, asked")
    vitals.leave(READING, now=clock.now())
    assert title(engine(exchange)).startswith("Engine running")


def test_that_settlement_stands_before_anything_else_and_what_does_not_help(exchange: Exchange) -> None:
    vitals.leave(READING, now=clock.now())
    warning = "Settlement stands, and this mends nothing of it."
    page = engine(exchange)
    assert (page.index('id="vitals"') < page.index('id="settlement"'), warning in page) == (True, False)
    halt_settlement(reason="Gap: event 9 came after 7", actor=system("settlement"), now=clock.now())
    page = engine(exchange)
    assert (page.index('id="vitals"') > page.index('id="settlement"'), warning in page) == (True, True)
    assert "Gap: event 9 came after 7" in page
