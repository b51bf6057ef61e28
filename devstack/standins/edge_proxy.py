"""Passing one HTTP/1.1 request on to a unix socket, WebSockets included."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final, TypeAlias

import h11

READ_BYTES: Final = 64 * 1024
CONNECT_TIMEOUT_S: Final = 5
Headers: TypeAlias = "list[tuple[bytes, bytes]]"

_HOP_BY_HOP: Final = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"te",
        b"trailer",
        b"upgrade",
    }
)
_FORWARDING: Final = frozenset(
    {b"forwarded", b"x-real-ip", b"true-client-ip", b"x-original-url", b"x-rewrite-url", b"x-client-ip"}
)


class Unreachable(Exception):
    """The process behind the socket does not answer."""


class Stream:
    """A connection with its h11 state."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        role: type[h11.CLIENT] | type[h11.SERVER],
    ) -> None:
        self.reader, self.writer = reader, writer
        self.state = h11.Connection(role)

    async def next_event(self) -> object:
        """The next event, reading as needed."""
        while True:
            event = self.state.next_event()
            if event is not h11.NEED_DATA:
                return event
            if self.state.they_are_waiting_for_100_continue:
                await self.send(h11.InformationalResponse(status_code=100, headers=[]))
            self.state.receive_data(await self.reader.read(READ_BYTES))

    async def send(self, event: h11.Event) -> None:
        """Write one event."""
        data = self.state.send(event)
        if data:
            self.writer.write(data)
            await self.writer.drain()

    def close(self) -> None:
        """End the connection; errors of a peer that has gone already do not matter."""
        with contextlib.suppress(OSError):
            self.writer.close()


def is_websocket(headers: Headers) -> bool:
    """Whether the request asks to become a WebSocket."""
    return any(name == b"upgrade" and value.lower() == b"websocket" for name, value in headers)


def cleaned(headers: Headers) -> Headers:
    """The client's headers without anything that only the edge may say, or that ends at this hop."""
    return [
        (name, value)
        for name, value in headers
        if name not in _HOP_BY_HOP
        and name not in _FORWARDING
        and not name.startswith((b"cf-", b"x-forwarded-"))
        and b"_" not in name
    ]


async def pass_on(
    client: Stream,
    request: h11.Request,
    *,
    socket: Path,
    added: Headers,
    cookie: bytes | None,
    set_cookies: Sequence[bytes] = (),
) -> None:
    """Forward the request with its body and stream the answer back; Unreachable if nobody answers."""
    raw = list(request.headers)
    websocket = is_websocket(raw)
    headers = [pair for pair in cleaned(raw) if pair[0] != b"cookie"]
    if cookie:
        headers.append((b"cookie", cookie))
    headers += added
    headers += (
        [(b"connection", b"upgrade"), (b"upgrade", b"websocket")]
        if websocket
        else [(b"connection", b"close")]
    )
    try:
        opening = asyncio.open_unix_connection(socket)
        reader, writer = await asyncio.wait_for(opening, CONNECT_TIMEOUT_S)
    except (OSError, TimeoutError) as error:
        raise Unreachable(str(error)) from error
    upstream = Stream(reader, writer, h11.CLIENT)
    try:
        await upstream.send(h11.Request(method=request.method, target=request.target, headers=headers))
        await _pump_body(client, upstream)
        await _answer(client, upstream, set_cookies)
    finally:
        upstream.close()


async def _pump_body(client: Stream, upstream: Stream) -> None:
    while True:
        event = await client.next_event()
        if isinstance(event, h11.Data):
            await upstream.send(h11.Data(data=event.data))
        elif isinstance(event, h11.EndOfMessage):
            await upstream.send(h11.EndOfMessage())
            return
        else:
            raise ConnectionResetError("the client went away")


async def _answer(client: Stream, upstream: Stream, set_cookies: Sequence[bytes]) -> None:
    while True:
        event = await upstream.next_event()
        if isinstance(event, h11.InformationalResponse):
            if event.status_code == 101:
                await client.send(h11.InformationalResponse(status_code=101, headers=list(event.headers)))
                await _tunnel(client, upstream)
                return
        elif isinstance(event, h11.Response):
            headers = [pair for pair in event.headers if pair[0] not in _HOP_BY_HOP]
            headers += [(b"set-cookie", value) for value in set_cookies]
            await client.send(
                h11.Response(status_code=event.status_code, headers=headers, reason=event.reason)
            )
        elif isinstance(event, h11.Data):
            await client.send(h11.Data(data=event.data))
        elif isinstance(event, h11.EndOfMessage):
            await client.send(h11.EndOfMessage())
            return
        else:
            raise Unreachable("the process behind the door closed the connection")


async def _tunnel(client: Stream, upstream: Stream) -> None:
    """Bytes both ways until either side ends."""
    for source, target in ((client, upstream), (upstream, client)):
        early, _ = source.state.trailing_data
        target.writer.write(early)
    both = [
        asyncio.create_task(_copy(client.reader, upstream.writer)),
        asyncio.create_task(_copy(upstream.reader, client.writer)),
    ]
    _, rest = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    for task in rest:
        task.cancel()
    await asyncio.gather(*both, return_exceptions=True)
    client.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(READ_BYTES):
        writer.write(data)
        await writer.drain()
