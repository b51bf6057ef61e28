"""What a killed stack left behind …"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from devstack import leftovers, users
from devstack.layout import Layout
from devstack.leftovers import StillEnding
from devstack.postgres import Postgres
from devstack.supervisor import Supervisor
from tests.contract.test_devstack_supervisor import is_gone

STACK = """
import sys
from pathlib import Path
from devstack import leftovers
from devstack.layout import Layout
from devstack.supervisor import Supervisor
from tests.contract import test_devstack_leftovers as here
from tests.contract.test_devstack_supervisor import process
where = Layout.of(Path(sys.argv[1]))
held = leftovers.claim(where, tell=print)
supervisor = Supervisor(log_folder=where.var, echo=False, held=held)
supervisor.start({process})
print("up", supervisor.pid({name!r}), flush=True)
supervisor.wait()
"""
READY = "print('up', flush=True); time.sleep(600)"
DEAF = f"import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); {READY}"
BUSY = (
    "import os, signal, time;"
    f" signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.5), os._exit(0))); {READY}"
)


@pytest.fixture
def where() -> Iterator[Layout]:
    """A folder that other users can enter, with a short name."""
    with tempfile.TemporaryDirectory(prefix="cs-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Layout.of(Path(folder))


@contextmanager
def killed(where: Layout, process: str, name: str, *, slow_s: float = 0) -> Iterator[int]:
    """A stack of one process whose supervisor is killed outright; the process, which may still be there.

    One that is slow stands still meanwhile.
    """
    code = STACK.format(process=process, name=name)
    with subprocess.Popen(
        [sys.executable, "-c", code, str(where.var)], stdout=subprocess.PIPE, text=True
    ) as stack:
        assert stack.stdout is not None
        up, _, number = stack.stdout.readline().partition(" ")
        assert up == "up"
        if slow_s:
            os.kill(int(number), signal.SIGSTOP)
            threading.Timer(slow_s, os.kill, (int(number), signal.SIGCONT)).start()
        stack.kill()
    yield int(number)


def cluster(where: Layout) -> Postgres:
    accounts = users.prepare()
    of = accounts.of("cs-db")
    return Postgres(
        data=of.own(where.var / "postgres", mode=0o700),
        sockets=of.own(where.var / "sockets", mode=0o755),
        account=of,
        accounts=accounts,
        is_for_tests=True,
    )


def test_is_waited_for_and_named_once(where: Layout) -> None:
    told: list[str] = []
    with killed(where, f"process('busy', {BUSY!r}, ready_line='up')", "busy") as number:
        leftovers.claim(where, tell=told.append).close()
        assert len(told) == 1
        assert f"python3.11 ({number})" in told[0] or f"python ({number})" in told[0]
        assert is_gone(number)


def test_that_does_not_end_is_named_and_keeps_the_next_from_starting(where: Layout) -> None:
    with killed(where, f"process('deaf', {DEAF!r}, ready_line='up')", "deaf") as number:
        try:
            with pytest.raises(StillEnding, match=rf"after 0 s this is still there: .*\({number}\)"):
                leftovers.claim(where, tell=print, within_s=0)
        finally:
            os.kill(number, signal.SIGKILL)
        leftovers.claim(where, tell=print).close()


def test_of_a_database_lets_the_next_one_start_as_soon_as_it_has_ended(where: Layout) -> None:
    first = cluster(where)
    first.initialise()
    with (
        killed(where, "here.cluster(where).process()", "postgres", slow_s=0.5),
        leftovers.claim(where, tell=print) as held,
        Supervisor(log_folder=where.var, echo=False, held=held) as supervisor,
    ):
        supervisor.start(first.process())
        with psycopg.connect(first.url("postgres", "postgres")) as session:
            assert session.execute("SELECT 1").fetchone() == (1,)


def test_of_a_database_that_init_has_yet_to_collect_is_waited_for(where: Layout) -> None:
    """Everything was killed at once: nothing runs any more, and yet its number is taken."""
    told: list[str] = []
    with subprocess.Popen(["/bin/true"]) as dead:
        os.waitid(os.P_PID, dead.pid, os.WEXITED | os.WNOWAIT)
        (where.var / "postgres").mkdir()
        (where.var / "postgres" / "postmaster.pid").write_text(f"{dead.pid}\n{where.var}\n")
        collecting = threading.Timer(0.3, dead.wait)
        collecting.start()
        leftovers.claim(where, tell=told.append).close()
        assert is_gone(dead.pid)
        assert not Path(f"/proc/{dead.pid}").exists()
        collecting.join()
    assert len(told) == 1
    assert f"postgres ({dead.pid})" in told[0]


def test_is_nothing_where_the_stack_has_stopped(where: Layout) -> None:
    told: list[str] = []
    for _ in range(2):
        leftovers.claim(where, tell=told.append).close()
    assert told == []
