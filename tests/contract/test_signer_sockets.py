"""The signers' socket …

The server runs in a thread here, with an answer of the test's own.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.trusted import serving
from custody.signer import ask as asking
from custody.signer import server
from kernel import frames
from kernel.seats import AT_ONCE, PER_USER, Seats
from tests.vault import Message

HEALTH: Message = {"v": 1, "type": "health"}


def test_hang_up_on_users_that_they_do_not_know(tmp_path: Path) -> None:
    lines: list[str] = []
    left = iter([True, False])
    listener = server.listen(tmp_path / "s.sock")
    how = {"answer": lambda message, uid: message, "allowed": [os.getuid() + 1], "log": lines.append}
    thread = threading.Thread(
        target=server.serve, args=(listener,), kwargs={**how, "running": lambda: next(left)}
    )
    thread.start()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(60)
        connection.connect(str(tmp_path / "s.sock"))
        assert connection.recv(10) == b""
    thread.join(60)
    listener.close()
    assert lines == [f"refused user={os.getuid()} code=SIGNER_UNKNOWN_PEER"]


def test_use_the_thread_of_a_connection_that_ended_for_another(tmp_path: Path) -> None:
    threads: list[threading.Thread] = []
    left = iter([True] * 20 + [False])

    def answer(message: Message, uid: int) -> Message:
        threads.append(threading.current_thread())
        return message

    listener = server.listen(tmp_path / "s.sock")
    how = {"answer": answer, "allowed": [os.getuid()], "log": lambda line: None}
    thread = threading.Thread(
        target=server.serve, args=(listener,), kwargs={**how, "running": lambda: next(left)}
    )
    thread.start()
    for _ in range(20):
        assert asking.ask(tmp_path / "s.sock", HEALTH) == HEALTH
    thread.join(60)
    listener.close()
    assert len(set(threads)) < len(threads) == 20
    for each in set(threads):
        each.join(60)
    assert not any(each.is_alive() for each in threads), "they end with the server"


def test_outlive_a_request_that_meets_a_bug(tmp_path: Path) -> None:
    """The server is given an answer function that fails; the next connection is answered all the same."""
    lines: list[str] = []
    left = iter([True, True, False])

    def answer(message: Message, uid: int) -> Message:
        if message["v"] == 1:
            raise KeyError("a bug of ours\nwith a second line")
        return message

    listener = server.listen(tmp_path / "s.sock")
    thread = threading.Thread(
        target=server.serve,
        args=(listener,),
        kwargs={
            "answer": answer,
            "allowed": [os.getuid()],
            "log": lines.append,
            "running": lambda: next(left),
        },
    )
    thread.start()
    with pytest.raises(asking.NoAnswer):
        asking.ask(tmp_path / "s.sock", {"v": 1})
    assert asking.ask(tmp_path / "s.sock", {"v": 2}) == {"v": 2}
    thread.join(60)
    listener.close()
    (closed,) = (line for line in lines if line.startswith("closed "))
    assert closed.startswith(f"closed user={os.getuid()} why=KeyError")
    assert "\n" not in closed


_ENDED = """
import os, signal, socket, sys, threading, time
from pathlib import Path
import {module} as serving

def stop(number, frame):
    raise SystemExit(0)

signal.signal(signal.SIGTERM, stop)
path = Path(sys.argv[1])
listener = serving.listen(path)

def end():
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(str(path))
        while peer.recv(1):
            pass
    time.sleep(0.3)  # the first thread waits by now; where it does not, the signal is seen in any case
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

threading.Thread(target=end).start()
serving.serve(listener, answer=lambda message, uid: message, allowed=[], log=print)
"""


@pytest.mark.parametrize("module", [server.__name__, serving.__name__])
def test_end_when_told_though_the_wait_for_a_peer_goes_on(tmp_path: Path, module: str) -> None:
    """The signal reaches another thread while the first waits for a peer: nothing interrupts that wait."""
    program = [sys.executable, "-c", _ENDED.format(module=module), str(tmp_path / "s.sock")]
    subprocess.run(program, check=True, timeout=120, cwd=Path(__file__).parents[2])


def test_hear_an_order_while_more_payments_come_than_the_token_has_begun(tmp_path: Path) -> None:
    """The order comes last, and from the same user; nobody else comes back before it is answered."""
    peers = Seats[socket.socket](threading.RLock(), threading.Condition)
    begun, may_sign, heard = threading.Semaphore(0), threading.Event(), list[str]()

    def answer(message: Message, uid: int) -> Message:
        heard.append(str(message["type"]))
        if message["type"] in ("sign", "sign_unattended"):
            with peers.aside():
                begun.release()
                assert may_sign.wait(60)
        return message

    kinds = ["sign", "sign_unattended"] * AT_ONCE
    listener, left = server.listen(tmp_path / "s.sock"), iter([True] * (len(kinds) + 1) + [False])
    how = {"answer": answer, "allowed": [os.getuid()], "log": lambda line: None, "peers": peers}
    thread = threading.Thread(
        target=server.serve, args=(listener,), kwargs={**how, "running": lambda: next(left)}
    )
    thread.start()
    with ThreadPoolExecutor(len(kinds) + 1) as pool:
        asked = [pool.submit(asking.ask, tmp_path / "s.sock", {"v": 1, "type": kind}) for kind in kinds]
        try:
            assert all(begun.acquire(timeout=60) for _ in range(AT_ONCE))
            order = {"v": 1, "type": "order"}
            assert pool.submit(asking.ask, tmp_path / "s.sock", order).result(30) == order
            assert len(heard) == AT_ONCE + 1
        finally:
            may_sign.set()
        assert all(one.result(60)["v"] == 1 for one in asked)
    thread.join(60)
    listener.close()


def test_leave_a_living_socket_to_its_signer(tmp_path: Path) -> None:
    first = server.listen(tmp_path / "s.sock")
    with pytest.raises(FileExistsError):
        server.listen(tmp_path / "s.sock")
    first.close()
    server.listen(tmp_path / "s.sock").close()


def _wait_for_a_place(path: Path, ask: Callable[[], object]) -> object:
    """Asked while others fill the listener's queue: the answer, once somebody makes room."""
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as first:
        listener.bind(str(path))
        listener.listen(0)
        first.connect(str(path))
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(ask)
            with pytest.raises(TimeoutError):
                answer.result(0.2)
            listener.accept()[0].close()
            with listener.accept()[0] as connection:
                connection.sendall(frames.encode(HEALTH))
                return answer.result(60)


def test_wait_for_a_place_in_the_queue_with_an_officers_order(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    assert _wait_for_a_place(path, lambda: asking.ask(path, HEALTH)) == HEALTH


def test_wait_for_a_place_in_a_trusted_programs_queue(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    assert _wait_for_a_place(path, lambda: serving.ask(path, HEALTH, patience_s=60)) == [HEALTH]


def test_let_nobody_keep_an_officers_freeze_waiting(tmp_path: Path) -> None:
    """A worker that was taken over holds all connections that it can get: silent ones, and one that drips."""
    lines: list[str] = []
    stopped = threading.Event()
    left = iter([True] * (PER_USER + 3) + [False])
    listener = server.listen(tmp_path / "s.sock")
    how = {"answer": lambda message, uid: message, "allowed": [os.getuid()], "log": lines.append}
    thread = threading.Thread(
        target=server.serve, args=(listener,), kwargs={**how, "running": lambda: next(left)}
    )
    thread.start()

    def drip(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection.sendall(frames.FRAME_BYTES_MAX.to_bytes(4, "big"))
            while not stopped.wait(0.05):
                connection.sendall(b"x")

    with contextlib.ExitStack() as held:
        connections = []
        for _ in range(PER_USER + 2):
            connections.append(held.enter_context(socket.socket(socket.AF_UNIX)))
            connections[-1].connect(str(tmp_path / "s.sock"))
        dripping = threading.Thread(target=drip, args=(connections[-1],))
        dripping.start()
        assert asking.ask(tmp_path / "s.sock", {"v": 1, "type": "order"}) == {"v": 1, "type": "order"}
        stopped.set()
        dripping.join(60)
    thread.join(60)
    listener.close()
    assert any(line.startswith("type=order") for line in lines)
