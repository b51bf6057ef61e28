"""The bridge's own stream, against another implementation of HTTP/2 (h2), ..."""

from __future__ import annotations

import random
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from django.conf import settings
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, Event, PingAckReceived, RequestReceived, WindowUpdated
from h2.settings import SettingCodes
from hpack import Encoder
from hypothesis import given
from hypothesis import strategies as st

from engine_bridge.adapters import trailers
from engine_bridge.adapters.channel import FRAME_MAX, EngineAway, EngineRefused
from engine_bridge.adapters.line import Line

METHOD = "/exchange.engine.v1.OrderEntry/Session"
SEED = 20261128
WINDOW, FRAME_IN_MAX = 4 * 1024 * 1024, 1024 * 1024
"""As in engine/bridge/src/http.rs."""


class Peer:
    """The other end: a server that speaks by h2, and cuts what it writes as it is told."""

    def __init__(self, opened: socket.socket, *, window: int, cut: Callable[[bytes], list[bytes]]) -> None:
        self.socket = opened
        self.cut = cut
        self.http = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self.http.initiate_connection()
        self.http.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: window})
        self.headers: dict[str, str] = {}
        self.body = b""
        self.pings = 0
        self.flush()

    def flush(self) -> None:
        for piece in self.cut(self.http.data_to_send()):
            self.socket.sendall(piece)

    def read(self) -> list[Event]:
        data = self.socket.recv(65_536)
        events: list[Event] = self.http.receive_data(data) if data else []
        for event in events:
            if isinstance(event, RequestReceived):
                self.headers = {str(name): str(value) for name, value in event.headers}
                self.http.send_headers(1, [(":status", "200"), ("content-type", "application/grpc")])
            elif isinstance(event, DataReceived):
                self.body += event.data
                self.http.acknowledge_received_data(event.flow_controlled_length, 1)
            elif isinstance(event, PingAckReceived):
                self.pings += 1
        self.flush()
        return events

    def read_until(self, done: Callable[[], bool]) -> None:
        while not done():
            self.read()

    def send(self, message: bytes, *, padding: int | None = None) -> None:
        """One message, in as many frames as its windows make of it."""
        body = b"\0" + len(message).to_bytes(4, "big") + message
        over = 0 if padding is None else padding + 1
        while body:
            room = min(
                self.http.local_flow_control_window(1) - over, self.http.max_outbound_frame_size - over
            )
            if room <= 0:
                assert any(isinstance(event, WindowUpdated) for event in self.read())
                continue
            self.http.send_data(1, body[:room], pad_length=padding)
            body = body[room:]
            self.flush()


@contextmanager
def connected(
    folder: Path, *, window: int = 65_535, cut: Callable[[bytes], list[bytes]] = lambda data: [data]
) -> Iterator[tuple[Line, Peer]]:
    """A stream and its peer, which has heard the request."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "s"))
        listening.listen()
        opened = Line(settings.ENGINE_LIBRARY)
        opened.open(f"unix:{folder / 's'}", METHOD, timeout_s=60.0)
        accepted, _ = listening.accept()
        with accepted:
            accepted.settimeout(60.0)
            peer = Peer(accepted, window=window, cut=cut)
            peer.read_until(lambda: bool(peer.headers))
            yield opened, peer
        opened.close()


def received(opened: Line, count: int) -> list[bytes]:
    found: list[bytes] = []
    while len(found) < count:
        if (message := opened.hear()) is not None:
            found.append(message)
    return found


def until_it_ends(opened: Line) -> str:
    while True:
        try:
            opened.hear()
        except (EngineAway, EngineRefused, ConnectionError) as end:
            return str(end)


def test_asks_as_grpc_does(tmp_path: Path) -> None:
    with connected(tmp_path) as (_, peer):
        assert peer.headers == {
            ":method": "POST",
            ":scheme": "http",
            ":path": METHOD,
            ":authority": "localhost",
            "content-type": "application/grpc",
            "te": "trailers",
        }


@pytest.mark.parametrize("window", [1, 700, 65_535, 1_000_000])
def test_sends_no_more_than_there_is_room_for_and_all_of_it(tmp_path: Path, window: int) -> None:
    """h2 refuses what exceeds a window. The stream is read meanwhile: that is how it hears of more room."""
    chance = random.Random(SEED)
    messages = [
        chance.randbytes(chance.choice([0, 1, 300, 3_000 if window < 700 else 90_000])) for _ in range(12)
    ]
    whole = b"".join(b"\0" + len(message).to_bytes(4, "big") + message for message in messages)
    with connected(tmp_path, window=window) as (opened, peer):
        reading = threading.Thread(target=until_it_ends, args=(opened,))
        reading.start()
        for message in messages:
            opened.say(message)
        peer.read_until(lambda: len(peer.body) >= len(whole))
        assert peer.body == whole
        peer.socket.shutdown(socket.SHUT_RDWR)
        reading.join(60)
        assert not reading.is_alive()


def test_reads_messages_however_they_are_cut(tmp_path: Path) -> None:
    """More than the window in all, so the peer goes on only where it is given room again."""
    chance = random.Random(SEED)

    def cut(data: bytes) -> list[bytes]:
        pieces = []
        while data:
            size = chance.choice([1, 2, 8, 10, 5_000, 70_000])
            pieces.append(data[:size])
            data = data[size:]
        return pieces

    messages = [chance.randbytes(chance.choice([0, 5, 400, 20_000, 900_000])) for _ in range(30)]
    assert sum(map(len, messages)) > WINDOW
    with connected(tmp_path, cut=cut) as (opened, peer):

        def answer() -> None:
            for index, message in enumerate(messages):
                peer.send(message, padding=index % 3 * 7 if index % 2 else None)
                peer.http.ping(index.to_bytes(8, "big"))
                peer.flush()
            peer.read_until(lambda: peer.pings == len(messages))

        answering = threading.Thread(target=answer)
        answering.start()
        assert received(opened, len(messages)) == messages
        while answering.is_alive():
            opened.hear()
        assert peer.pings == len(messages)


def test_goes_on_after_a_farewell_and_ends_with_its_call(tmp_path: Path) -> None:
    with connected(tmp_path) as (opened, peer):
        peer.http.close_connection(last_stream_id=1)  # GOAWAY without an error: no new calls, please
        # h2 says nothing after a farewell, so the last message and the trailers are written out.
        ends = b"\0\0\x07\x00\x00\0\0\0\x01\0\0\0\0\x02ok" + b"\0\0\x01\x01\x05\0\0\0\x01\x88"
        peer.flush()
        peer.socket.sendall(ends)
        assert received(opened, 1) == [b"ok"]
        assert until_it_ends(opened) == "the engine ended the stream"


@pytest.mark.parametrize(
    ("status", "message", "says"),
    [
        ("14", "the engine ends", EngineAway("UNAVAILABLE: the engine ends")),
        ("13", "", EngineAway("INTERNAL: ")),
        ("7", "caf%C3%A9, 100 %25", EngineRefused("PERMISSION_DENIED: café, 100 %")),
        ("8", "x" * 40_000, EngineRefused("RESOURCE_EXHAUSTED: " + "x" * 40_000)),
        ("0", "", EngineAway("the engine ended the stream")),
        ("99", "?", EngineAway("the engine ended the stream")),
    ],
)
def test_says_what_the_trailers_say(
    tmp_path: Path, status: str, message: str, says: EngineAway | EngineRefused
) -> None:
    """Of one frame, or of several where they are long."""
    with connected(tmp_path) as (opened, peer):
        peer.send(b"before")
        peer.http.send_headers(1, [("grpc-status", status), ("grpc-message", message)], end_stream=True)
        writing = threading.Thread(target=peer.flush)
        writing.start()
        assert received(opened, 1) == [b"before"]
        assert until_it_ends(opened) == str(says)
        with pytest.raises(type(says), match=re.escape(str(says))):
            opened.hear()
        writing.join()


@given(
    fields=st.lists(
        st.tuples(st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1), st.binary(max_size=300)), max_size=8
    ),
    huffman=st.booleans(),
)
def test_reads_headers_as_another_reads_them(fields: list[tuple[str, bytes]], huffman: bool) -> None:
    encoder = Encoder()
    encoder.header_table_size = 0
    encoder.encode([], huffman=huffman)
    given_to_it = [(":status", b"200"), *((f"x-{name}", value) for name, value in fields)]
    block = encoder.encode([(name.encode(), value) for name, value in given_to_it], huffman=huffman)
    assert trailers.read(block) == {name: value.decode("latin-1") for name, value in given_to_it}


@given(st.binary(max_size=200))
def test_reads_any_bytes_or_says_that_they_are_no_headers(block: bytes) -> None:
    with suppress(trailers.Malformed):
        trailers.read(block)
    assert isinstance(trailers.ended(block), EngineAway | EngineRefused)


def test_says_how_the_engine_broke_off(tmp_path: Path) -> None:
    with connected(tmp_path) as (opened, peer):
        peer.http.reset_stream(1, ErrorCodes.ENHANCE_YOUR_CALM)
        peer.flush()
        assert until_it_ends(opened) == "the engine broke off: HTTP/2 error 11"
    (tmp_path / "s").unlink()
    with connected(tmp_path) as (opened, peer):
        peer.http.close_connection(ErrorCodes.PROTOCOL_ERROR, additional_data=b"because")
        peer.flush()
        assert until_it_ends(opened) == "the engine broke off: HTTP/2 error 1"


@pytest.mark.parametrize(
    ("head", "says"),
    [
        (b"\x01\0\0\0\x01", "compressed"),
        (b"\0" + (FRAME_MAX + 1).to_bytes(4, "big"), "a message of"),
    ],
)
def test_takes_no_message_that_it_cannot_read(tmp_path: Path, head: bytes, says: str) -> None:
    with connected(tmp_path) as (opened, peer):
        peer.http.send_data(1, head)
        peer.flush()
        assert says in until_it_ends(opened)


def test_takes_no_frame_larger_than_it_allowed(tmp_path: Path) -> None:
    with connected(tmp_path) as (opened, peer):
        peer.socket.sendall((FRAME_IN_MAX + 1).to_bytes(3, "big") + b"\0\0\0\0\0\x01")
        assert "a frame of" in until_it_ends(opened)


def test_ends_when_it_is_shut_by_another_thread(tmp_path: Path) -> None:
    with connected(tmp_path) as (opened, _):
        ended: list[str] = []
        reading = threading.Thread(target=lambda: ended.append(until_it_ends(opened)))
        reading.start()
        opened.shut()
        reading.join(60)
        assert len(ended) == 1
