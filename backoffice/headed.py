"""What every answer says to a browser, also one that Django's middleware never sees: a static file, a refusal
of a body that is too long.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from django.conf import settings

from backoffice.bounded import Application, Message, Receive, Send

HEADERS: Final[Mapping[str, str]] = {
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
}
NOTHING: Final = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox"
"""The policy of answers that no browser has any business showing."""
# Said here and not by Django's SecurityMiddleware, which says it over TLS alone: TLS ends at the edge, what
# reaches us is plain HTTP on a socket, and we believe no header that claims otherwise.
HSTS: Final = "max-age=63072000; includeSubDomains"
_BARE: Final[Mapping[str, str]] = {
    **HEADERS,
    "Content-Security-Policy": NOTHING,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Headed:
    """Adds to an HTTP answer what it does not say itself."""

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                said = {name.lower() for name, _ in message.get("headers", ())}
                bare = [(name, value) for name, value in _bare() if name not in said]
                message = {**message, "headers": [*message.get("headers", ()), *bare]}
            await send(message)

        await self._application(scope, receive, sent if scope["type"] == "http" else send)


def _bare() -> list[tuple[bytes, bytes]]:
    secure = {"Strict-Transport-Security": HSTS} if settings.SECURE else {}
    return [(name.lower().encode(), value.encode()) for name, value in {**_BARE, **secure}.items()]
