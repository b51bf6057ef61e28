"""What the engine's events move, by kind of entry …"""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from engine_bridge.domain.events import Event, TransferClosed, Units
from engine_bridge.domain.movements import RETURNED, SETTLED, Flows, flows_of

AT = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("into_venue", "refusal", "moved"),
    [
        (True, "", {(7, "BTC", SETTLED): 5}),
        (False, "", {(7, "BTC", SETTLED): -5}),
        (True, "ASSET_UNKNOWN", {(7, "BTC", RETURNED): -5}),  # from what was on its way
        (False, "INSUFFICIENT_BALANCE", {}),  # it never left
    ],
)
def test_is_what_a_transfer_brings_takes_or_gives_back(into_venue: bool, refusal: str, moved: Flows) -> None:
    body = TransferClosed(UUID(int=1), 7, into_venue, Units(1, 5), refusal)
    assert flows_of([Event(1, 1, AT, 0, body)]) == moved
