"""Fixtures that every test may ask for."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from random import SystemRandom
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import channels_redis.serializers
import psycopg
import pytest
from django.db import connection, connections
from hypothesis import settings

from core import clock
from core.actor import Actor, system
from core.postgres import sessions
from tests.cast import NOW
from tests.roles import make_roles

if TYPE_CHECKING:
    from tests.exchange import Exchange
    from tests.officers import Staff
    from tests.stockroom import Lend, Stockroom

# Properties give the same answer every time, and a busy machine no other one.
settings.register_profile("short", derandomize=True, deadline=None, database=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "short"))

# The thread that tells hints outlives the test that gave one, and draws for each message from `random`, which
# hypothesis takes for a strategy's doing where it falls into the next test's.
channels_redis.serializers.random = SystemRandom()  # type: ignore[attr-defined]

MIGRATED = os.environ.setdefault("MIGRATED_DATABASE", f"migrated_{uuid4().hex[:12]}")
"""What this run's workers clone. Whoever needs it first makes it: migrating takes nine seconds of CPU."""

# To look for unreachable objects whenever 700 more are there took a tenth of the suite's time.
gc.set_threshold(10_000)


def pytest_configure(config: pytest.Config) -> None:
    """Two workers read from both ends: what one has rewritten the assertions of, the other finds compiled."""
    here = Path(__file__).parent
    is_second = os.environ.get("PYTEST_XDIST_WORKER") == "gw1"
    if is_second and [Path(each).resolve() for each in config.args] == [here]:
        rooms = {path.parent for path in here.glob("*/test_*.py")}
        config.args = [str(room) for room in sorted(rooms, reverse=True)]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with a slow test first: whoever gets such a file last would leave the other worker idle.

    Those for which a browser is started stand together, so that it is started once to a worker.
    """
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (item.path not in slow, not item.get_closest_marker("browser")))


def pytest_collection_finish() -> None:
    """What is loaded by now stays, so that the collector need not look through it again."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture
def robot() -> Actor:
    """A daemon's actor."""
    return system("test")


@pytest.fixture
def staff(db: None, now: datetime) -> Staff:
    """The cast's officers, enrolled, with software passkeys."""
    from tests.officers import enrol

    return enrol(now=now)


@pytest.fixture(scope="session")
def django_db_setup(
    django_test_environment: None,
    django_db_modify_db_settings: None,
    django_db_blocker: pytest.FixtureRequest,
) -> Iterator[None]:
    """The migrated test database, also where only `real_database` asks for one."""
    from django.test.utils import teardown_databases

    with django_db_blocker.unblock():  # type: ignore[attr-defined]
        made = _migrated()
    yield
    with django_db_blocker.unblock():  # type: ignore[attr-defined]
        connections.close_all()
        sessions.end_resting()
        teardown_databases(made, verbosity=0)


def _migrated() -> list[tuple[Any, str, bool]]:
    """This worker's test database, as `setup_databases` gives it."""
    from django.test.utils import setup_databases

    name, before = connection.creation._get_test_db_name(), connection.settings_dict["NAME"]
    with _administered() as admin:
        admin.execute("SELECT pg_advisory_lock(hashtext(%s))", [MIGRATED])  # one worker at a time
        if admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", [MIGRATED]).fetchone():
            _clone(name, MIGRATED)
            connections.close_all()
            connection.settings_dict["NAME"] = name
            return [(connection, before, True)]
        made = setup_databases(verbosity=0, interactive=False, serialized_aliases=[])
        with connection.cursor() as cursor:
            make_roles(cursor)
        connections.close_all()
        sessions.end_resting()
        _clone(MIGRATED, name)
        return made


def pytest_unconfigure(config: pytest.Config) -> None:
    """Whoever started the workers outlives them, and so removes what they cloned."""
    if not hasattr(config, "workerinput"):
        with suppress(psycopg.OperationalError), _administered() as admin:  # no server, no database
            admin.execute(f'DROP DATABASE IF EXISTS "{MIGRATED}" WITH (FORCE)'.encode())


@pytest.fixture(scope="session", autouse=True)
def _vault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The real vault behind its socket, in a thread; every process that tests start is told of it."""
    from tests.vaults import serving

    with serving(tmp_path_factory.mktemp("vault")):
        yield


@pytest.fixture(scope="session")
def _template(django_db_setup: None) -> str:
    """A migrated database that nobody is connected to, to be cloned."""
    return MIGRATED


@pytest.fixture
def real_database(_template: str, django_db_blocker: pytest.FixtureRequest) -> Iterator[str]:
    """A database of this test's own, with real commits, for threads, live servers and other processes."""
    with django_db_blocker.unblock(), _clone_of(_template) as name:  # type: ignore[attr-defined]
        yield name


@contextmanager
def _clone_of(template: str) -> Iterator[str]:
    """A clone, which the default connection means until it is dropped.

    Append-only tables refuse the TRUNCATE by which pytest-django would clean up after a transactional test.
    """
    name = f"test_{uuid4().hex[:12]}"
    before = connection.settings_dict["NAME"]
    connections.close_all()
    _clone(name, template)
    connection.settings_dict["NAME"] = name
    url = os.environ.get("DATABASE_URL", "")
    try:
        yield name
    finally:
        os.environ["DATABASE_URL"] = url
        connections.close_all()
        sessions.end_resting()
        connection.settings_dict["NAME"] = before
        _admin(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(scope="session")
def _stockroom(_template: str) -> Iterator[Stockroom]:
    """Where scenes stand, once a test has asked for one."""
    from tests.stockroom import Stockroom

    room = Stockroom(_template, _admin)
    yield room
    room.close()


@pytest.fixture
def lend(_stockroom: Stockroom, django_db_blocker: pytest.FixtureRequest) -> Iterator[Lend]:
    """What a function makes in a database, made once; what a test does to it is undone, as with `db`."""
    with django_db_blocker.unblock(), ExitStack() as lent:  # type: ignore[attr-defined]
        yield lambda make, now, **how: lent.enter_context(_stockroom.lent(make, now, **how))


@pytest.fixture
def lend_real(_stockroom: Stockroom, django_db_blocker: pytest.FixtureRequest) -> Iterator[Lend]:
    """The same in a database of this test's own, with real commits, as with `real_database`."""
    with django_db_blocker.unblock(), ExitStack() as lent:  # type: ignore[attr-defined]

        def real(make: Callable[[datetime], Any], now: datetime, **how: Any) -> Any:
            name, made = _stockroom.source(make, now, **how)
            lent.enter_context(_clone_of(name))
            return made

        yield real


@pytest.fixture
def exchange(lend: Lend, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Exchange:
    """One of everything behind its doors, as of this moment; what a test does to it is undone."""
    from tests import doors
    from tests.exchange import as_found, stock

    doors.open_doors(settings, monkeypatch)
    return as_found(lend(stock, clock.now()))


@pytest.fixture
def real_exchange(lend_real: Lend, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Exchange:
    """The same in a database of this test's own, with real commits."""
    from tests import doors
    from tests.exchange import as_found, stock

    doors.open_doors(settings, monkeypatch)
    return as_found(lend_real(stock, clock.now()))


@pytest.fixture
def drain_outbox() -> Callable[..., int]:
    """Deliver everything due until nothing is left; raises what a subscriber raised."""
    from core.outbox.messages import from_body
    from core.outbox.models import Delivery
    from core.outbox.subscribers import by_name

    def drain(*, now: datetime = NOW) -> int:
        count = 0
        while row := Delivery.objects.filter(done_at=None).order_by("message_id", "id").first():
            message = Delivery.objects.select_related("message").get(pk=row.pk).message
            by_name(row.subscriber).answer(from_body(message.topic, message.body), now=now)
            Delivery.objects.filter(pk=row.pk).update(done_at=now)
            count += 1
            if count > 1000:
                raise AssertionError("the outbox does not come to rest")
        return count

    return drain


def _admin(statement: str) -> None:
    """Run one statement outside any transaction, in the maintenance database."""
    with _administered() as admin:
        admin.execute(statement.encode())


def _administered() -> psycopg.Connection[Any]:
    """A session with the maintenance database, outside any transaction."""
    known = connection.get_connection_params()
    return psycopg.connect(
        host=known.get("host", ""), user=known.get("user", ""), dbname="postgres", autocommit=True
    )


def _clone(name: str, template: str) -> None:
    _admin(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')
