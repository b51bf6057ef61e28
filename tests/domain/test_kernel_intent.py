"""A payment intent …"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel import canonical
from kernel.intent import REFILL, SWEEP, WITHDRAWAL, BadIntent, Intent
from kernel.money import Amount

PLAIN = Intent(
    kind=WITHDRAWAL,
    deployment="demo",
    network="regtest",
    amount=Amount(25_000_000, "BTC"),
    destination="bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080",
    destination_label="Tom's own wallet",
    fee_cap=Amount(5_000, "BTC"),
    source="hot",
    reference=UUID("01900000-0000-7000-8000-000000000001"),
    maker=UUID("01900000-0000-7000-8000-0000000000a1"),
    policy=1,
    expires=datetime(2026, 11, 21, 2, 0, tzinfo=UTC),
    customer=UUID("01900000-0000-7000-8000-000000000002"),
)


def members(**changes: Any) -> bytes:
    document = {**canonical.decode_object(PLAIN.encoded()), **changes}
    return canonical.encode({name: value for name, value in document.items() if value is not ...})


def test_has_one_encoding_that_is_read_back() -> None:
    assert PLAIN.encoded() == (
        b'{"amount":"25000000","asset":"BTC","customer":"01900000-0000-7000-8000-000000000002",'
        b'"deployment":"demo","destination":"bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080",'
        b'"destination_label":"Tom\'s own wallet","expires":"2026-11-21T02:00:00Z","fee_cap":"5000",'
        b'"kind":"custody.withdrawal","maker":"01900000-0000-7000-8000-0000000000a1","network":"regtest",'
        b'"policy":1,"source":"hot","v":1,"withdrawal":"01900000-0000-7000-8000-000000000001"}'
    )
    refill = replace(PLAIN, kind=REFILL, customer=None, source="cold")
    for intent in (PLAIN, refill):
        assert Intent.parse(intent.encoded()) == intent


@given(st.integers(0, 10**20), st.integers(0, 10**9), st.integers(0, 2**31), st.text(min_size=1, max_size=20))
def test_survives_with_any_amounts_times_and_labels(units: int, fee: int, seconds: int, label: str) -> None:
    intent = replace(
        PLAIN,
        amount=Amount(units, "BTC"),
        fee_cap=Amount(fee, "BTC"),
        expires=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds),
        destination_label=label,
    )
    try:
        assert Intent.parse(intent.encoded()) == intent
    except canonical.NotCanonical:
        assert any(0xD800 <= ord(character) <= 0xDFFF for character in label)


@pytest.mark.parametrize(
    "payload",
    [
        members(v=2),
        members(v=True),
        members(kind="custody.adjustment"),
        members(kind=...),
        members(kind=REFILL),
        members(customer=...),
        members(surprise="x"),
        members(amount=25),
        members(amount="-1"),
        members(amount="01"),
        members(amount="1.5"),
        members(amount=""),
        members(asset="DOGE"),
        members(policy="1"),
        members(policy=0),
        members(policy=True),
        members(expires="2026-11-21T02:00:00+00:00"),
        members(expires="2026-11-21 02:00:00Z"),
        members(expires="2026-11-21T2:00:00Z"),
        members(expires="2026-02-30T02:00:00Z"),
        members(maker="01900000-0000-7000-8000-0000000000A1"),
        members(maker="Ana"),
        members(maker="{01900000-0000-7000-8000-0000000000a1}"),
        members(destination=""),
        members(destination=None),
    ],
)
def test_of_another_shape_is_refused(payload: bytes) -> None:
    with pytest.raises(BadIntent):
        Intent.parse(payload)


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 11, 21, 2),  # noqa: DTZ001 - the case is a time without a zone
        datetime(2026, 11, 21, 2, tzinfo=timezone(timedelta(hours=1))),
        datetime(2026, 11, 21, 2, 0, 0, 5, tzinfo=UTC),
    ],
)
def test_is_not_made_with_a_time_of_another_spelling(moment: datetime) -> None:
    with pytest.raises(BadIntent):
        replace(PLAIN, expires=moment).encoded()


def test_has_one_mark_whatever_else_is_approved_anew() -> None:
    """docs/payloads.md says how it is made, and the one of these."""
    paid = Intent.parse(members(withdrawal="01900000-0000-7000-8000-0000000000c1"))
    assert paid.mark == 594_302_078
    assert replace(paid, expires=paid.expires + timedelta(days=1), policy=paid.policy + 1).mark == paid.mark
    assert replace(paid, kind=SWEEP, customer=None).mark != paid.mark


@given(st.uuids())
def test_has_a_mark_that_locks_no_transaction(reference: UUID) -> None:
    """A lock time is a height below 500 million (BIP 113), and a moment from there on."""
    mark = replace(Intent.parse(members()), reference=reference).mark
    assert 500_000_000 <= mark < datetime(2024, 1, 1, tzinfo=UTC).timestamp()
