"""The sockets of the vault, the notary, the reconciler and the witnesses …"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from core.audit import witnesses
from core.audit.witness import Server, Witness
from core.trusted import serving
from custody.adapters.reconciler_client import NothingReconciled, reconcile
from kernel import cosignature, frames, merkle, note
from kernel.seats import PER_USER

KEY = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
LOG = note.Verifier("countersign/test/audit", KEY.public_key().public_bytes_raw())


Ask = Callable[[], object]
Program = Callable[[Path], Ask]


def echo(path: Path) -> Ask:
    """A trusted program that says what it hears; how to ask it."""
    listener = serving.listen(path)
    told = {"answer": lambda message, uid: message, "allowed": [os.getuid()], "log": print}
    threading.Thread(target=serving.serve, args=[listener], kwargs=told, daemon=True).start()
    message: serving.Message = {"v": 1, "type": "head"}

    def ask() -> object:
        answers = serving.ask(path, message, patience_s=60)
        assert answers == [message]
        return answers

    return ask


def witness(path: Path) -> Ask:
    """A witness; how to have a head cosigned."""
    one = Witness(name="witness.example/1", logs=[LOG], state=path.with_suffix(".state"))
    threading.Thread(target=Server(path, one).serve_forever, daemon=True).start()
    text = note.Checkpoint(LOG.name, 0, merkle.EMPTY_ROOT).text()
    signed = note.sign(text, by=LOG, signer=KEY.sign)

    def ask() -> object:
        line = witnesses.ask(witnesses.Witness(one.cosigner, path), old=0, proof=[], note=signed)
        return cosignature.check(text, [line], by=one.cosigner)

    return ask


BEGUN: dict[Program, bytes] = {
    echo: frames.FRAME_BYTES_MAX.to_bytes(4, "big"),
    witness: b"POST /add-checkpoint HTTP/1.1\r\n",
}


@contextlib.contextmanager
def dripping(connection: socket.socket, begun: bytes) -> Iterator[None]:
    """A peer that has begun to speak, and goes on byte by byte."""
    stopped = threading.Event()

    def drip() -> None:
        with contextlib.suppress(OSError):
            while not stopped.wait(0.05):
                connection.sendall(b"x")

    connection.sendall(begun)
    thread = threading.Thread(target=drip)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join(60)


@pytest.mark.parametrize("program", [echo, witness])
def test_are_kept_from_nobody_by_silent_peers_and_one_that_drips(tmp_path: Path, program: Program) -> None:
    """A web process that was taken over holds all connections that it can get."""
    path = tmp_path / "s.sock"
    ask = program(path)
    with contextlib.ExitStack() as held:
        taken = [held.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(PER_USER + 3)]
        for one in taken:
            serving.connect(one, path, within_s=60)
        held.enter_context(dripping(taken[-1], BEGUN[program]))
        ask()
    ask()


def test_answer_one_at_a_time_and_end_with_whole_answers(tmp_path: Path) -> None:
    """What the programs hold, a token's session or a log, is not for several threads."""
    path, inside, most = tmp_path / "s.sock", [0], [0]

    def answer(message: serving.Message, uid: int) -> serving.Message:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        time.sleep(0.002)
        inside[0] -= 1
        return message

    left = iter([True] * 8 + [False])
    listener = serving.listen(path)
    told = {"answer": answer, "allowed": [os.getuid()], "log": print, "running": lambda: next(left)}
    server = threading.Thread(target=serving.serve, args=[listener], kwargs=told)
    server.start()
    messages: list[serving.Message] = [{"v": 1, "n": number} for number in range(5)]

    def ask() -> None:
        assert serving.ask(path, *messages, patience_s=60) == messages

    asking = [threading.Thread(target=ask) for _ in range(8)]
    for one in asking:
        one.start()
    for one in [*asking, server]:
        one.join(60)
    listener.close()
    assert (server.is_alive(), most) == (False, [1])


def test_hang_up_on_whoever_is_not_the_worker(tmp_path: Path) -> None:
    listener = serving.listen(tmp_path / "r.sock")
    said: list[str] = []
    answer: serving.Message = {"v": 1, "type": "later", "why": "not now"}
    told = {"answer": lambda *_: answer, "allowed": {os.getuid() + 1}, "log": said.append}
    threading.Thread(target=serving.serve, args=[listener], kwargs=told, daemon=True).start()
    with pytest.raises(NothingReconciled, match="no answer"):
        reconcile(tmp_path / "r.sock", "hot")
    assert said == [f"refused user={os.getuid()}: unknown"]
