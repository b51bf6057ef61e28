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
from kernel import cosignature, encodings, frames, merkle, note
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


def test_are_taken_from_nobody_who_listens_and_over_from_whoever_has_ended(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    first = serving.listen(path)
    with pytest.raises(FileExistsError, match="somebody is listening"):
        serving.listen(path)
    first.close()
    serving.listen(path).close()
    assert path.stat().st_mode & 0o777 == 0o666  # who may ask is decided by the peer's user


def test_hang_up_on_whoever_is_silent_or_speaks_nonsense_and_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said, heard = list[str](), list[tuple[serving.Message, int]]()
    listener, left = serving.listen(tmp_path / "s.sock"), iter([True] * 4 + [False])

    def answer(message: serving.Message, uid: int) -> serving.Message:
        heard.append((message, uid))
        return message

    told = {"answer": answer, "allowed": {os.getuid()}, "log": said.append, "running": lambda: next(left)}
    server = threading.Thread(target=serving.serve, args=[listener], kwargs=told)
    server.start()
    good, nonsense = frames.encode({"v": 1}), b"\0\0\0\2[]"
    for begun in (good + nonsense, b"", b"\0\0", b"\0\0\0\5{"):
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(60)
            serving.connect(peer, tmp_path / "s.sock", within_s=60)
            with contextlib.suppress(OSError):  # it may be hung up on already
                peer.sendall(begun)
                while peer.recv(100):  # until it is, though it holds the connection
                    pass
            monkeypatch.setattr(serving, "IDLE_S", 0.05)  # for those that come later
    server.join(60)
    listener.close()
    assert not server.is_alive()
    assert heard == [({"v": 1}, os.getuid())]
    assert [line.rpartition("=")[2] for line in said] == ["BadFrame", *["TimeoutError"] * 3]


def test_are_read_to_the_byte_and_no_longer_than_somebody_waits() -> None:
    one, other = socket.socketpair()
    with one, other:
        other.sendall(b"abcde")
        assert serving.receive(one, 3) == b"abc"
        other.shutdown(socket.SHUT_WR)
        with pytest.raises(ConnectionError, match="in the middle"):
            serving.receive(one, 3, may_end=True)
        assert serving.receive(one, 3, may_end=True) == b""
        with pytest.raises(ConnectionError, match="in the middle"):
            serving.receive(one, 3)
    one, other = socket.socketpair()
    with one, other, dripping(other, b"a"), pytest.raises(TimeoutError):
        serving.receive(one, 1_000, until=time.monotonic() + 0.1)
    one, other = socket.socketpair()
    with one, other, pytest.raises(TimeoutError):
        serving.receive(one, 1, until=time.monotonic() - 1)


def test_keep_whoever_asks_waiting_for_a_whole_answer_no_longer_than_it_said(tmp_path: Path) -> None:
    for begun in (b"", b"\0\0\1\0"):  # in the middle of a length, and of what it is the length of
        ended = threading.Event()
        with socket.socket(socket.AF_UNIX) as listener:
            path = tmp_path / f"s{len(begun)}.sock"
            listener.bind(str(path))
            listener.listen(1)

            def drip(listener: socket.socket, begun: bytes, ended: threading.Event) -> None:
                connection = listener.accept()[0]
                with connection, dripping(connection, begun):
                    ended.wait(60)

            dripper = threading.Thread(target=drip, args=[listener, begun, ended])
            dripper.start()
            try:
                with pytest.raises(TimeoutError):
                    serving.ask(path, {"v": 1}, patience_s=0.1)
            finally:
                ended.set()
                dripper.join(60)


def test_of_a_witness_answer_two_questions_and_take_no_longer_body_than_any_has(tmp_path: Path) -> None:
    path, before = tmp_path / "w.sock", int(time.time())
    path.touch()  # what a witness left that was killed
    at = witness(path)()
    assert isinstance(at, int)
    assert before <= at <= time.time()
    assert path.stat().st_mode & 0o777 == 0o666

    def asked(method: str, where: str, **headers: str) -> tuple[int, str]:
        connection = witnesses._UnixConnection(path)
        with contextlib.closing(connection):
            connection.putrequest(method, where)
            for name, value in headers.items():
                connection.putheader(name.replace("_", "-"), value)
            connection.endheaders()
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    seen = f"0 {encodings.base64_standard(merkle.EMPTY_ROOT)} {LOG.name}\n"
    assert asked("GET", "/seen") == (200, seen)
    assert asked("GET", "/key.pem")[0] == 404
    assert asked("POST", "/seen", Content_Length="0")[0] == 404
    for length in ("", "-1", "+1", "65537"):
        assert asked("POST", "/add-checkpoint", Content_Length=length) == (
            400,
            "a length, and not too long\n",
        )
    assert asked("POST", "/add-checkpoint", Content_Length="0")[1].startswith("a request is `old N`")


@pytest.mark.parametrize(
    ("answer", "why", "size"),
    [
        (b"409 Conflict\r\nContent-Length: 3\r\n\r\n17\n", "has seen 17 events", 17),
        (b"409 Conflict\r\nContent-Length: 5\r\n\r\nmany\n", "answers 409: many", None),
        (b"403 Forbidden\r\nContent-Length: 11\r\n\r\nnot signed\n", "answers 403: not signed", None),
        (b"200 OK\r\nContent-Length: 2\r\n\r\n\xff\n", "cannot be asked", None),
        (b"rubbish", "cannot be asked", None),
    ],
)
def test_of_a_witness_that_does_not_cosign_say_why(
    tmp_path: Path, answer: bytes, why: str, size: int | None
) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "w.sock"))
        listener.listen(1)

        def say() -> None:
            connection = listener.accept()[0]
            with connection:
                while not connection.recv(10_000).endswith(b"old 0\n\n"):
                    pass
                connection.sendall(b"HTTP/1.0 " + answer)

        saying = threading.Thread(target=say)
        saying.start()
        key = cosignature.Cosigner("witness.example/1", KEY.public_key().public_bytes_raw())
        with pytest.raises(witnesses.Unwilling, match=why) as refused:
            witnesses.ask(witnesses.Witness(key, tmp_path / "w.sock"), old=0, proof=[], note="")
        saying.join(60)
    assert refused.value.seen == size
