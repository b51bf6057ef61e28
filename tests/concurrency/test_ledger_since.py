"""What came into the ledger since it was read …"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from enum import StrEnum
from typing import TypeVar
from uuid import uuid4

import pytest
from django.db import DatabaseError, connection, transaction

from core import audit, ledger
from core.action import action
from core.actor import Actor
from core.ledger import AccountKind, Leg, since
from kernel.money import Amount
from tests.roles import as_role

T = TypeVar("T")


class Event(StrEnum):
    MOVED = "test.moved"


@action(Event.MOVED)
def deposit(
    *, into: AccountKind, actor: Actor, now: datetime, meanwhile: Callable[[], object] = lambda: None
) -> None:
    owner = uuid4()
    customer = ledger.account(AccountKind.CUSTOMER_FUNDING, "BTC", owner)
    legs = [Leg(customer, Amount(5, "BTC")), Leg(ledger.account(into, "BTC"), Amount(-5, "BTC"))]
    ledger.post("custody.deposit", str(owner), legs, now=now)
    audit.record(Event.MOVED, f"test/{owner}", actor=actor, now=now)
    meanwhile()


def elsewhere(deed: Callable[[], T]) -> T:
    """On another connection."""

    def run() -> T:
        try:
            return deed()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(run).result()


def wait_for_what_is_open() -> None:
    """Until every transaction of the server that is open now is over, also those of tests beside this one:
    a stretch ends only where all before it are.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
        (first,) = cursor.fetchone()
        for _ in range(1200):
            cursor.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint >= %s", [first])
            if cursor.fetchone()[0]:
                return
            time.sleep(0.1)


def test_is_all_of_it_once_however_late_it_was_committed_and_however_much_came(
    real_database: str, robot: Actor, now: datetime
) -> None:
    """Who wrote first commits last, after others whose postings have greater numbers were read."""
    hot, cold = AccountKind.HOT_WALLET, AccountKind.COLD_WALLET
    for each in (hot, cold):
        deposit(into=each, actor=robot, now=now)
    seen: Counter[int] = Counter()
    mark = since.now()

    def look(most: int | None = None) -> bool:
        nonlocal mark
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            span = since.span(mark, most=most)
            cursor.execute("SELECT p.id FROM ledger_posting p WHERE " + since.NEW, span.parameters)
            seen.update(row[0] for row in cursor.fetchall())
            mark = span.until
        return span.whole

    def meanwhile() -> None:
        elsewhere(lambda: deposit(into=cold, actor=robot, now=now))
        assert elsewhere(look)
        assert len(seen) == 2
        elsewhere(lambda: deposit(into=cold, actor=robot, now=now))

    deposit(into=hot, actor=robot, now=now, meanwhile=meanwhile)
    assert look()
    assert (len(seen), set(seen.values())) == (6, {1})
    for _ in range(3):
        deposit(into=hot, actor=robot, now=now)
    wait_for_what_is_open()
    assert not look(most=2)
    assert len(seen) == 8
    while not look(most=2):
        pass
    assert (len(seen), set(seen.values())) == (12, {1})


@pytest.mark.django_db
def test_is_told_by_what_no_role_writes() -> None:
    account = ledger.account(AccountKind.CUSTOMER_FUNDING, "BTC", uuid4())
    for column in ("written_in", "id"):
        with (
            as_role("cs_worker"),
            pytest.raises(DatabaseError, match="permission"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(
                f"INSERT INTO ledger_posting (entry_id, account_id, asset, units, {column})"
                " VALUES (%s, %s, 'BTC', 1, 1)",
                [uuid4(), account.pk],
            )
