"""The supervisor ..."""

from __future__ import annotations

import io
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from devstack import kept, layout, ports
from devstack.layout import AlreadyRunning, Layout
from devstack.supervisor import Died, Process, StartFailed, Supervisor
from devstack.users import Account, prepare
from tests.ports import free

ME = Account("me", os.geteuid(), os.getegid(), ())
STAYS = "import time; print('up', flush=True); time.sleep(60)"


def process(name: str, code: str, **options: object) -> Process:
    return Process(name, [sys.executable, "-c", code], ME, {"PATH": "/usr/bin:/bin"}, **options)  # type: ignore[arg-type]


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def supervisor(tmp_path: Path, out: io.StringIO) -> Supervisor:
    return Supervisor(log_folder=tmp_path, out=out, stop_within_s=0.5)


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return state == "Z"


def eventually(holds: Callable[[], bool], within_s: float = 60.0) -> bool:
    deadline = time.monotonic() + within_s
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.02)
    return holds()


def test_starts_in_order_and_prefixes_what_each_prints(
    supervisor: Supervisor, out: io.StringIO, tmp_path: Path
) -> None:
    with supervisor:
        supervisor.start(process("first", STAYS, ready_line="up"))
        supervisor.start(process("second", STAYS, ready_line="up"))
        assert supervisor.names() == ["first", "second"]
    assert out.getvalue().splitlines() == ["first     | up", "second    | up"]
    assert (tmp_path / "first.log").read_text() == "up\n"


def test_ends_with_all_of_them_gone_and_their_children_too(supervisor: Supervisor, tmp_path: Path) -> None:
    note = tmp_path / "child"
    parent = (
        "import subprocess, sys, time, pathlib;"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
        f"pathlib.Path({str(note)!r}).write_text(str(child.pid)); print('up', flush=True); time.sleep(60)"
    )
    ignore = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    deaf = f"{ignore}; print('up', flush=True); time.sleep(60)"
    with supervisor:
        supervisor.start(process("parent", parent, ready_line="up"), process("deaf", deaf, ready_line="up"))
        pids = [supervisor.pid("parent"), supervisor.pid("deaf"), int(note.read_text())]
    assert all(eventually(lambda pid=pid: is_gone(pid)) for pid in pids)


def test_says_which_part_did_not_start_and_why(supervisor: Supervisor) -> None:
    with supervisor:
        supervisor.start(process("good", STAYS, ready_line="up"))
        pid = supervisor.pid("good")
        with pytest.raises(StartFailed) as failure:
            supervisor.start(
                process("bad", "import sys; print('no such token'); sys.exit(3)", ready_line="up")
            )
    assert str(failure.value).startswith("bad ended before it was ready with exit code 3")
    assert "no such token" in str(failure.value)
    assert is_gone(pid)


def test_says_which_part_was_never_ready(supervisor: Supervisor) -> None:
    with supervisor, pytest.raises(StartFailed, match="slow was not ready after 0 s"):
        supervisor.start(process("slow", STAYS, ready_line="never said", ready_within_s=0.2))


def test_says_which_program_is_missing(supervisor: Supervisor) -> None:
    missing = Process("engine", ["/nonexistent/countersign-engine"], ME, {})
    with supervisor, pytest.raises(StartFailed, match="engine could not be started"):
        supervisor.start(missing)


def test_notices_a_process_that_dies_later(supervisor: Supervisor) -> None:
    with supervisor:
        supervisor.start(process("worker", STAYS, ready_line="up"))
        os.kill(supervisor.pid("worker"), signal.SIGKILL)
        with pytest.raises(Died, match="worker ended by signal SIGKILL"):
            supervisor.wait()


def test_gives_a_secret_on_standard_input_and_nowhere_else(supervisor: Supervisor, out: io.StringIO) -> None:
    code = "import sys, time; print('got', sys.stdin.readline().strip(), flush=True); time.sleep(60)"
    with supervisor:
        supervisor.start(process("signer", code, ready_line="got", secret="1234"))
        folder = Path(f"/proc/{supervisor.pid('signer')}")
        assert b"1234" not in (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
    assert "got 1234" in out.getvalue()


def test_children_do_not_outlive_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    code = f"""
import pathlib, sys
from tests.contract.test_devstack_supervisor import STAYS, process
from devstack.supervisor import Supervisor
supervisor = Supervisor(log_folder=pathlib.Path({str(tmp_path)!r}), echo=False)
supervisor.start(process("orphan", STAYS, ready_line="up"))
print(supervisor.pid("orphan"), flush=True)
supervisor.wait()
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as killed:
        assert killed.stdout is not None
        orphan = int(killed.stdout.readline())
        killed.kill()
    assert eventually(lambda: is_gone(orphan))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start processes as other users")
def test_starts_a_process_as_its_own_user_without_roots_groups(
    supervisor: Supervisor, out: io.StringIO
) -> None:
    account = prepare().of("cs-hot-1")
    show = "import os, time; print('up', os.getuid(), os.getgroups(), flush=True); time.sleep(60)"
    command = ["/usr/bin/python3.11", "-c", show]
    with supervisor:
        supervisor.start(Process("signer", command, account, {}, ready_line="up"))
    assert f"up {account.uid} []" in out.getvalue()


def test_a_second_stack_on_the_same_state_says_who_has_it(tmp_path: Path) -> None:
    where = Layout.of(tmp_path)
    with layout.lock(where):
        with pytest.raises(AlreadyRunning) as refusal:
            layout.lock(where)
        assert f"process {os.getpid()}" in str(refusal.value)
        assert "Ctrl-C" in str(refusal.value)
    layout.lock(where).close()


def test_a_port_that_is_taken_is_named() -> None:
    port = free()
    named = f"port {port}, where the edge should listen"
    with socket.create_server(("127.0.0.1", port)), pytest.raises(ports.PortTaken, match=named):
        ports.require_free(port, what="the edge")
    ports.require_free(port, what="the edge")


def test_state_made_for_one_port_is_not_started_on_another(tmp_path: Path) -> None:
    where = Layout.of(tmp_path)
    first = kept.load_secrets(where, port=8123)
    assert kept.load_secrets(where, port=None).values == first.values
    with pytest.raises(kept.WrongPort, match="8123"):
        kept.load_secrets(where, port=8124)


def test_a_long_state_path_still_gets_short_sockets(tmp_path: Path) -> None:
    where = Layout.of(tmp_path / ("long" * 30))
    assert len(str(where.run / "signers" / "cold-1.sock")) < 100
