"""An entry by raw SQL, which balances …"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final
from uuid import UUID, uuid4

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from core import ledger
from core.ledger import AccountKind, invariants, rules
from core.ledger.models import JournalEntry
from core.privileges import ROLES
from tests.roles import as_role

pytestmark = pytest.mark.django_db

TOM, TIA = (UUID(int=number) for number in (1, 2))
OWN: Final = {"customer_funding", "customer_trading", "in_transit"}
Legs = tuple[tuple[str, UUID | None, int], ...]

STARTED: Final = (("customer_funding", TOM, -7), ("in_transit", TOM, 7))
DEPOSIT: Final = (("hot_wallet", None, -90), ("customer_funding", TOM, 90))
HONEST: Final[tuple[tuple[str, Legs], ...]] = (
    ("custody.deposit", DEPOSIT),
    ("custody.deposit", (("cold_wallet", None, -90), ("suspense", None, 90))),
    (
        "custody.withdrawal",
        (
            ("customer_funding", TOM, -10),
            ("hot_wallet", None, 11),
            ("network_fees", None, -2),
            ("withdrawal_fees", None, 1),
        ),
    ),
    ("custody.refill", (("cold_wallet", None, 9), ("hot_wallet", None, -8), ("network_fees", None, -1))),
    ("custody.sweep", (("hot_wallet", None, 9), ("cold_wallet", None, -8), ("network_fees", None, -1))),
    ("custody.refill", (("hot_wallet", None, 9), ("cold_wallet", None, -8), ("network_fees", None, -1))),
    ("custody.fee_corrected", (("hot_wallet", None, 1), ("network_fees", None, -1))),
    ("custody.fee_corrected", (("hot_wallet", None, -1), ("network_fees", None, 1))),
    ("engine.transfer_started", STARTED),
    ("engine.transfer_settled", (("in_transit", TOM, -5), ("customer_trading", TOM, 5))),
    ("engine.transfer_returned", (("in_transit", TOM, -2), ("customer_funding", TOM, 2))),
    (
        "engine.trade",
        (("customer_trading", TOM, -4), ("customer_trading", TIA, 3), ("engine_fees", None, 1)),
    ),
    ("engine.transfer_settled", (("customer_trading", TIA, -2), ("customer_funding", TIA, 2))),
)


def write(kind: str, legs: Legs, *, reference: str = "") -> None:
    """As whoever holds a role's password would."""
    entry = uuid4()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO ledger_entry (id, kind, reference, posted_at) VALUES (%s, %s, %s, now())",
            [entry, kind, reference or str(entry)],
        )
        parts = [
            part
            for where, owner, units in legs
            for part in (entry, ledger.account(AccountKind(where), "BTC", owner).pk, units)
        ]
        if not legs:
            return
        values = ", ".join(["(%s, %s, 'BTC', %s)"] * len(legs))
        cursor.execute(
            f"INSERT INTO ledger_posting (entry_id, account_id, asset, units) VALUES {values}", parts
        )


def refused(write_it: Callable[[], None], match: str) -> None:
    entries = JournalEntry.objects.count()
    with pytest.raises(DatabaseError, match=match), transaction.atomic():
        write_it()
    assert JournalEntry.objects.count() == entries


def test_is_taken_where_its_legs_are_those_of_its_kind() -> None:
    for kind, legs in HONEST:
        write(kind, legs)
    assert not any(invariants.broken().values())
    assert {kind for kind, _ in HONEST} == rules.LEGS.keys() - {"custody.adjustment"}


@pytest.mark.parametrize("kind", sorted(rules.LEGS))
@pytest.mark.parametrize("source", sorted({*AccountKind} - {"customer_funding"}))
def test_credits_a_customer_out_of_nothing_but_what_its_kind_has(kind: str, source: str) -> None:
    write("custody.deposit", DEPOSIT)
    write("engine.transfer_started", STARTED)
    write("engine.transfer_settled", (("in_transit", TOM, -3), ("customer_trading", TOM, 3)))
    legs = ((source, TOM if source in OWN else None, -1), ("customer_funding", TOM, 1))
    signs = {f"{source} -", "customer_funding +"}
    if signs <= set(rules.LEGS[kind]) and kind != "custody.adjustment":
        write(kind, legs)
    else:
        refused(lambda: write(kind, legs), "legs that its kind|credits that officers agreed")


@pytest.mark.parametrize(
    ("kind", "legs"),
    [
        ("engine.transfer_started", (("customer_funding", TOM, -7), ("in_transit", TIA, 7))),
        ("engine.transfer_settled", (("in_transit", TOM, -5), ("customer_funding", TIA, 5))),
        ("engine.transfer_returned", (("in_transit", TOM, -2), ("customer_funding", TIA, 2))),
        ("custody.deposit", (*DEPOSIT[:1], ("customer_funding", TOM, 45), ("customer_funding", TIA, 45))),
        ("custody.withdrawal", (("network_fees", None, -9), ("withdrawal_fees", None, 9))),
        ("custody.withdrawal", (("customer_funding", TOM, -7), ("withdrawal_fees", None, 7))),
        ("engine.trade", (("customer_trading", TIA, 3), ("engine_fees", None, -3))),
        ("a.new.kind", DEPOSIT),
    ],
)
def test_moves_nothing_between_customers_and_pays_out_of_no_income(kind: str, legs: Legs) -> None:
    write("custody.deposit", DEPOSIT)
    write("engine.transfer_started", STARTED)
    refused(lambda: write(kind, legs), "legs that its kind")


@pytest.mark.parametrize("role", ROLES)
def test_is_written_by_the_role_alone_whose_kind_it_is(role: str) -> None:
    """The web tier's two roles write no deposit and no trade, and the worker no credit and no transfer."""
    write("custody.deposit", DEPOSIT)
    write("engine.transfer_started", STARTED)
    accounts = {(where, owner) for _, legs in HONEST for where, owner, _ in legs}
    for where, owner in accounts:
        ledger.account(AccountKind(where), "BTC", owner)
    with as_role(role):
        for kind, legs in HONEST:
            if kind in rules.WRITERS[role]:
                write(kind, legs)
            else:
                refused(lambda kind=kind, legs=legs: write(kind, legs), "writes no entry of")  # type: ignore[misc]


def test_uses_up_nobody_elses_reference() -> None:
    for role in ("cs_console", "cs_trader"):
        with as_role(role):
            refused(lambda: write("engine.trade", (), reference="0/1"), "no entry of that kind")


def test_touches_no_second_account_of_a_wallet(now: datetime) -> None:
    """It would be one that nobody compares with the chain."""
    for where in sorted({*AccountKind} - OWN):
        with pytest.raises(IntegrityError, match="account_of_whom"), transaction.atomic():
            ledger.account(AccountKind(where), "BTC", TOM)
    with pytest.raises(IntegrityError, match="account_of_whom"), transaction.atomic():
        ledger.account(AccountKind.CUSTOMER_FUNDING, "BTC")


def test_is_ruled_for_every_kind_that_a_role_writes_and_no_other() -> None:
    written = [kind for kinds in rules.WRITERS.values() for kind in kinds]
    assert sorted(written) == sorted(rules.LEGS)
    assert sorted(rules.WRITERS) == sorted(ROLES)


def test_is_judged_by_its_own_rows_however_many_there_are() -> None:
    write("custody.deposit", (("hot_wallet", None, -90_000), ("customer_funding", TOM, 90_000)))
    with connection.cursor() as cursor:
        cursor.execute("DISCARD PLANS")  # which may be from another test's tables
    read = [_rows_read_for(entries=1000) for _ in range(4)]
    assert len(set(read)) == 1, read


def _rows_read_for(*, entries: int) -> int:
    """Rows of the ledger that are read, by whichever road, for so many transfers in one statement."""
    accounts = [
        ledger.account(kind, "BTC", TOM).pk for kind in (AccountKind.CUSTOMER_FUNDING, AccountKind.IN_TRANSIT)
    ]
    before = _rows_read()
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH e AS (INSERT INTO ledger_entry (id, kind, reference, posted_at)"
            " SELECT gen_random_uuid(), 'engine.transfer_started', gen_random_uuid(), now()"
            " FROM generate_series(1, %s) RETURNING id)"
            " INSERT INTO ledger_posting (entry_id, account_id, asset, units)"
            " SELECT e.id, leg.account, 'BTC', leg.units FROM e"
            " CROSS JOIN (VALUES (%s, -1), (%s, 1)) AS leg(account, units)",
            [entries, *accounts],
        )
    return _rows_read() - before


def _rows_read() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) FROM pg_stat_xact_user_tables"
            " WHERE relname IN ('ledger_entry', 'ledger_posting')"
        )
        return int(cursor.fetchone()[0])
