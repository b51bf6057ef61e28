"""What the reconciler says of the venue, look by look …"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection

from core.ledger import AccountKind
from engine_bridge import following, rounds
from engine_bridge.comparing import NotCompared, compare
from engine_bridge.followed import Followed
from engine_bridge.following import Following, MoreToCompare
from tests.reconciling import book
from tests.roles import as_role
from tests.traders import Trader
from tests.trading import account, maker, place, taker, terms
from tests.venue import Venue, venue_open

pytestmark = pytest.mark.django_db

FUNDING, TRANSIT, TRADING = (
    AccountKind.CUSTOMER_FUNDING,
    AccountKind.IN_TRANSIT,
    AccountKind.CUSTOMER_TRADING,
)


@pytest.fixture
def venue(db: None) -> Iterator[Venue]:
    with venue_open() as opened:
        yield opened


@pytest.fixture
def tom(venue: Venue) -> Trader:
    return maker(venue)


@pytest.fixture
def tia(venue: Venue) -> Trader:
    return taker(venue)


def test_names_what_moved_without_the_engine_until_it_is_undone(
    venue: Venue, tom: Trader, tia: Trader, tmp_path: Path
) -> None:
    """Also where each balance at the venue is what the engine says: what came there from somebody's funding
    without a transfer, and left for somebody else's.
    """
    target, path = f"unix:{venue.engine.transfers}", tmp_path / "venue"
    first = Following(target, Followed(path))
    with as_role("cs_reconciler"):
        assert first.breaks() == []
    place(tom, terms("sell", "0.5", "40000"))
    place(tia, terms("buy", "0.2", "40000"))
    with as_role("cs_reconciler"):
        assert first.breaks() == []  # before settlement has any of it
    venue.settle()
    with as_role("cs_reconciler"):
        assert first.breaks() == []

    one, other = account(tom).pk, account(tia).pk
    with as_role("cs_worker"):
        book("engine.trade", (TRADING, tom.customer.pk, -5), (TRADING, tia.customer.pk, 5))
    said = [
        f"Account {number} at the venue: entries engine.trade moved 0.00000005 BTC {how} in the ledger"
        " than the engine did."
        for number, how in ((one, "less"), (other, "more"))
    ]
    with as_role("cs_reconciler"):
        assert first.breaks()[:2] == said
        again = Following(target, Followed(path))  # another process
        assert again.breaks()[:2] == said
    leave(tia)
    come(tom)
    assert compare(target).differences == ()
    with as_role("cs_reconciler"):
        found = again.breaks()
    assert [line for line in found if "engine.trade" in line] == said
    assert len(found) == 4
    come(tia)
    leave(tom)
    with as_role("cs_worker"):
        book("engine.trade", (TRADING, tia.customer.pk, -5), (TRADING, tom.customer.pk, 5))
    assert again.breaks() == []

    with as_role("cs_trader"):
        book("engine.transfer_started", (FUNDING, tom.customer.pk, -5), (TRANSIT, tom.customer.pk, 5))
    assert again.breaks() == []  # it is on its way
    with as_role("cs_worker"):
        book("engine.transfer_returned", (TRANSIT, tom.customer.pk, -5), (FUNDING, tom.customer.pk, 5))
        (line,) = again.breaks()
        assert "engine.transfer_returned moved 0.00000005 BTC less" in line
        with connection.cursor() as cursor:
            cursor.execute("UPDATE engine_cursor SET last_event_seq = last_event_seq - 1")
        (line,) = again.breaks()
        assert line.startswith("Settlement stands at event ")
    with pytest.raises(NotCompared, match="the venue was not compared"):
        Following("unix:/nowhere").breaks()


def leave(who: Trader) -> None:
    """Five units from the venue, of which it never heard."""
    with as_role("cs_worker"):
        book("engine.transfer_settled", (TRADING, who.customer.pk, -5), (FUNDING, who.customer.pk, 5))


def come(who: Trader) -> None:
    """Five units there, likewise."""
    with as_role("cs_trader"):
        book("engine.transfer_started", (FUNDING, who.customer.pk, -5), (TRANSIT, who.customer.pk, 5))
    with as_role("cs_worker"):
        book("engine.transfer_settled", (TRANSIT, who.customer.pk, -5), (TRADING, who.customer.pk, 5))


def test_is_good_after_a_first_round_only_and_each_round_finds_what_no_entry_did(
    venue: Venue, tom: Trader, tia: Trader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database's owner changes a balance past the ledger's rules. Rounds go on where they were."""
    target, path = f"unix:{venue.engine.transfers}", tmp_path / "venue"
    place(tom, terms("sell", "0.5", "40000"))
    place(tia, terms("buy", "0.2", "40000"))
    venue.settle()
    monkeypatch.setattr(rounds, "AT_ONCE", 1)
    monkeypatch.setattr(following, "FOR_S", 0)
    looks = 0
    while True:
        looks += 1
        try:
            assert Following(target, Followed(path)).breaks() == []
        except MoreToCompare:
            assert looks < 20
        else:
            break
    assert looks > 3
    owner = Following(target, Followed(path))
    for units in (7, -7):
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE ledger_account DISABLE TRIGGER USER")
            cursor.execute(
                "UPDATE ledger_account SET units = units + %s * CASE owner WHEN %s THEN 1 ELSE -1 END"
                " WHERE kind = 'customer_trading' AND asset = 'USDT' AND owner IN (%s, %s)",
                [units, tom.customer.pk, tom.customer.pk, tia.customer.pk],
            )
            cursor.execute("ALTER TABLE ledger_account ENABLE TRIGGER USER")
        told = [owner.breaks() for _ in range(looks + 1)]
        found = next((at for at, lines in enumerate(told) if lines), 0)
        assert units < 0 or all(told[found:])  # once found it is named by each look
        said = told[-1]
        assert [line.partition(" has ")[0] for line in said] == (
            [f"Account {account(who).pk} at the venue" for who in (tom, tia)] if units > 0 else []
        )
