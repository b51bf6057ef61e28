"""What accounts come to, as a reconciler keeps it …"""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest
from django.db import connection, transaction

from core import ledger
from core.ledger import AccountKind
from custody.daemons import tally
from custody.daemons.looking import MoreToSee
from custody.daemons.tally import Tally
from custody.queries.tally import of_all
from tests.reconciling import book
from tests.treasury import Treasury

pytestmark = pytest.mark.django_db

FUNDING, HOT, TRADING = AccountKind.CUSTOMER_FUNDING, AccountKind.HOT_WALLET, AccountKind.CUSTOMER_TRADING


def test_is_that_of_all_accounts_whatever_is_booked_while_they_are_counted(
    treasury: Treasury, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An account at a time, by one process after the other; each booking meets some that were counted, and
    some that were not.
    """
    monkeypatch.setattr(tally, "PIECE", 1)
    monkeypatch.setattr(tally, "FOR_S", 0)
    path, customers = tmp_path / "tally", [UUID(int=number) for number in range(1, 5)]
    for who in customers:
        ledger.account(FUNDING, "BTC", who)

    def pay(units: int) -> None:
        for who in customers:
            book("custody.deposit", (FUNDING, who, units), (HOT, None, -units))

    said = []
    with pytest.raises(MoreToSee):
        Tally(path).go_round()
    for units in range(1, 30):
        pay(units)
        try:
            Tally(path).go_round()
        except MoreToSee as more:
            said.append(str(more))
        else:
            break
    assert said[:2] == [f"{count} accounts were counted, and more wait" for count in (2, 3)]
    assert len(said) > 4
    for units in range(1, 10):
        pay(units)
        with transaction.atomic():
            found = Tally(path).sums()
        assert {kind: one.units for kind, one in found.items()} == {
            kind: one.units for kind, one in of_all().items()
        }


def test_has_what_no_entry_did_once_a_round_came_by(
    treasury: Treasury, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tally, "PIECE", 1)
    known = Tally()
    known.go_round()
    kind = ("BTC", FUNDING.value)
    before = known.sums()[kind].units
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE ledger_account DISABLE TRIGGER USER")
        cursor.execute("UPDATE ledger_account SET units = units + 7 WHERE kind = 'customer_funding'")
        cursor.execute("ALTER TABLE ledger_account ENABLE TRIGGER USER")
    looks = [known.sums()[kind].units - before for _ in range(20)]
    assert (looks[0], looks[-1]) == (0, 7)
    assert known.sums()["BTC", HOT.value].units == ledger.account(HOT, "BTC").units
