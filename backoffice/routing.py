"""WebSocket routes of the two entries. Whatever else is asked for is refused, not an error."""

from __future__ import annotations

from typing import Any

from django.urls import URLPattern, path, re_path

from backoffice.console.consumers import Live


async def nothing(scope: Any, receive: Any, send: Any) -> None:
    """No socket stands here."""
    await receive()
    await send({"type": "websocket.close"})


_nothing: Any = nothing  # for Django's types a view, for Channels an application
_ANYTHING_ELSE = re_path("", _nothing)

console_sockets: list[URLPattern] = [path("live", Live.as_asgi()), _ANYTHING_ELSE]
trader_sockets: list[URLPattern] = [_ANYTHING_ELSE]
