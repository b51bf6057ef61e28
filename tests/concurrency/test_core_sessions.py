"""A session with PostgreSQL that was given back …"""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

import httpx
import pytest
from django.conf import settings as configured
from django.db import OperationalError, ProgrammingError, connection, transaction

from backoffice import asgi
from core import busy
from core.postgres import sessions
from tests.racing import closing

Make: TypeAlias = Callable[[], Any]

PORTRAIT = """
SELECT current_user, session_user, coalesce(current_setting('countersign.act', true), ''),
  (SELECT array_agg(name || '=' || setting ORDER BY name) FROM pg_settings WHERE source = 'session'),
  (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()),
  (SELECT count(*) FROM pg_listening_channels()),
  (SELECT count(*) FROM pg_cursors WHERE name = 'left_open'),
  (SELECT count(*) FROM pg_class WHERE relname = 'left_over' AND relnamespace = pg_my_temp_schema())
"""
LEFT = {
    "role": "SET ROLE pg_monitor",
    "user": "SET SESSION AUTHORIZATION pg_monitor",
    "act": "SELECT set_config('countersign.act', 'x', false)",
    "limit": "SET statement_timeout = 0",
    "locks": "SELECT pg_advisory_lock(1), pg_advisory_lock_shared(2)",
    "ear": "LISTEN left_on",
    "cursor": "DECLARE left_open CURSOR WITH HOLD FOR SELECT 1",
    "table": "CREATE TEMP TABLE left_over AS SELECT 1",
}

pytestmark = pytest.mark.django_db


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Makes connections as threads have them, with two sessions for all."""
    made: list[Any] = []
    monkeypatch.setattr(sessions, "_known", {})
    monkeypatch.setitem(connection.settings_dict, "SESSIONS", 2)

    def one() -> Any:
        made.append(connection.copy())
        made[-1].inc_thread_sharing()
        return made[-1]

    yield one
    for each in made:
        each.close()
    sessions.end_resting()


def ask(one: Any, statement: str) -> Any:
    with one.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone() if cursor.description else None


def number(one: Any) -> int:
    """The session's, which no other has."""
    return int(ask(one, "SELECT pg_backend_pid()")[0])


def used(one: Any) -> int:
    """The number of the session that it had and gave back."""
    found = number(one)
    one.close()
    return found


def restart() -> None:
    """As far as anybody who is connected can tell."""
    ask(
        connection,
        "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE backend_type ="
        " 'client backend' AND datname = current_database() AND pid <> pg_backend_pid()",
    )


def alive(*numbers: int, at_most: int) -> int:
    """How many of these sessions the server has, once they are no more than that."""
    deadline = time.monotonic() + 20
    while True:
        ask(connection, "SELECT pg_stat_clear_snapshot()")  # else a transaction sees its first one for ever
        (found,) = ask(
            connection,
            f"SELECT count(*) FROM pg_stat_activity WHERE pid IN ({', '.join(map(str, numbers))})",
        )
        if found <= at_most or time.monotonic() > deadline:
            return int(found)
        time.sleep(0.01)


def lose(one: Any) -> None:
    """As a thread does that ends without a word."""
    one.connection = None
    gc.collect()


def answer(
    *, door: str = configured.API_ORIGIN, path: str = "/api/v5/public/instruments?instType=SPOT"
) -> Any:
    """What a request in a thread of its own is told."""

    async def go() -> httpx.Response:
        transport = httpx.ASGITransport(app=asgi.trader)
        async with httpx.AsyncClient(transport=transport, base_url=door) as client:
            return await client.get(path)

    return asyncio.run(go())


def test_is_the_next_ones_whoever_that_is(make: Make) -> None:
    first, second = make(), make()
    assert used(first) == used(second) == used(first)
    with ThreadPoolExecutor(1) as other:
        assert other.submit(used, second).result() == used(first)


@pytest.mark.parametrize("what", LEFT)
def test_shows_nothing_of_whoever_had_it(make: Make, what: str) -> None:
    first, second = make(), make()
    began, portrait = number(first), ask(first, PORTRAIT)
    ask(first, LEFT[what])
    assert ask(first, PORTRAIT) != portrait
    first.close()
    assert (number(second), ask(second, PORTRAIT)) == (began, portrait)


def test_has_drawn_no_number(make: Make) -> None:
    one = make()
    ask(one, "SELECT nextval(pg_get_serial_sequence('django_content_type', 'id'))")
    one.close()
    with pytest.raises(OperationalError, match="lastval is not yet defined"):
        ask(one, "SELECT lastval()")


def test_goes_to_nobody_where_a_transaction_was_left_open(make: Make) -> None:
    def leave(*statements: str) -> int:
        began = used(connection)
        with transaction.atomic():
            assert connection.connection is None or connection.ensure_connection() is None
            for statement in statements:
                ask(connection, statement)
            connection.ensure_connection()
            connection.close()
        return began

    with ThreadPoolExecutor(1) as other:
        before = other.submit(closing(lambda: leave("SELECT 1"))).result()
        between = other.submit(closing(leave)).result()
        assert len({before, between, used(make())}) == 3


def test_is_not_met_again_once_the_server_ended_it(make: Make) -> None:
    first, second = make(), make()
    before = {number(first), number(second)}
    first.close()
    second.close()
    restart()
    assert not before & {number(first), number(second)}


def test_serves_one_request_after_the_other_and_a_restarted_server_none_a_failure(make: Make) -> None:
    assert answer().status_code == 200
    with ThreadPoolExecutor(1) as other:
        before = other.submit(used, make()).result()
    assert answer().status_code == 200
    assert used(make()) == before, "a request began one of its own"
    restart()
    assert answer().status_code == 200


def test_is_waited_for_while_all_are_in_use_but_not_for_long(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = make(), make(), make()
    began = {number(first), number(second)}
    monkeypatch.setattr(first.connection.home, "_patience_s", 0.05)
    with pytest.raises(OperationalError, match="no session came free") as refused:
        number(third)
    assert busy.is_busy(refused.value)
    told = answer()
    assert (told.status_code, told.json()["code"]) == (503, "50001")
    monkeypatch.setattr(first.connection.home, "_patience_s", 20)
    with ThreadPoolExecutor(1) as other:
        other.submit(lambda: (time.sleep(0.05), first.close()))
        assert number(third) in began


def test_makes_room_for_another_also_where_nobody_gave_it_back(make: Make) -> None:
    one, other = make(), make()
    number(one)
    number(other)
    other.connection.close()  # as who is left behind by a deed
    other.connection = None
    assert number(other)
    with pytest.warns(ResourceWarning):
        lose(one)
    assert number(make())


def test_is_never_one_too_many(make: Make) -> None:
    def work(_: int) -> set[int]:
        one = connection.copy()
        one.inc_thread_sharing()
        return {used(one) for _ in range(10)}

    with ThreadPoolExecutor(6) as crew:
        found = set().union(*crew.map(work, range(6)))
    assert len(found) <= 2


def test_may_do_what_its_role_may_do_by_now(make: Make) -> None:
    one, owner = make(), make()
    ask(owner, "CREATE TABLE test_rights (id int); GRANT SELECT ON test_rights TO cs_worker")
    try:
        ask(one, "SET ROLE cs_worker")
        ask(one, "SELECT count(*) FROM test_rights")
        one.close()
        ask(owner, "REVOKE SELECT ON test_rights FROM cs_worker")
        ask(one, "SET ROLE cs_worker")
        with pytest.raises(ProgrammingError, match="permission denied"):
            ask(one, "SELECT count(*) FROM test_rights")
    finally:
        ask(owner, "DROP TABLE test_rights")


def test_is_ended_after_some_time_in_use_or_at_rest(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = make(), make()
    number(first)
    resting = used(second)
    monkeypatch.setattr(sessions, "REST_MAX_S", 0)
    kept = used(first)
    assert used(first) == kept
    assert alive(resting, kept, at_most=1) == 1
    monkeypatch.setattr(sessions, "AGE_MAX_S", 0)
    assert used(first) == kept
    assert used(first) != kept


def test_stays_the_parents_where_a_process_is_forked(make: Make) -> None:
    one = make()
    before = used(one)
    child = os.fork()
    if not child:
        os._exit(0 if used(connection.copy()) not in (before, 0) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert used(one) == before


def test_ends_with_its_process(make: Make) -> None:
    before = used(make())
    sessions.end_resting()
    assert not alive(before, at_most=0)
