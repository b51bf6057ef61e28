"""Who signed the request: checked over the bytes that came, before anything in them is parsed.

An attacker without the secret cannot make a request, change one, or send a captured one that changes
anything a second time: the replay store outlives the window in which its timestamp is accepted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID

from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from core import clock
from core.actor import Actor
from customers import queries as customers
from customers.actions import note_use
from customers.domain.signatures import Call, CallRefused
from trader_api import store
from trader_api.errors import ApiError

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Trader:
    """The holder of the key that signed, and what that key may do."""

    customer_id: UUID
    key: str
    scopes: frozenset[str]
    actor: Actor
    is_authenticated: bool = True

    def must_hold(self, scope: str) -> None:
        """50114 where the key was not made for this."""
        if scope not in self.scopes:
            raise ApiError("50114", f"Invalid authorization: the API key has no {scope} permission.")


class KeyAuthentication(BaseAuthentication):
    """OK-ACCESS-KEY, -SIGN, -TIMESTAMP and -PASSPHRASE over timestamp, method, raw target and raw body."""

    def authenticate(self, request: Request) -> tuple[Trader, str]:
        http = request._request
        seen: Actor = http.actor  # type: ignore[attr-defined]
        call = Call(
            key=http.headers.get("OK-ACCESS-KEY", ""),
            passphrase=http.headers.get("OK-ACCESS-PASSPHRASE", ""),
            sign=http.headers.get("OK-ACCESS-SIGN", ""),
            timestamp=http.headers.get("OK-ACCESS-TIMESTAMP", ""),
            method=http.method or "",
            target=signed_target(http),
            body=http.body,
            ip=seen.ip,
        )
        try:
            found = customers.authenticate(call, now=clock.now())
        except CallRefused as refusal:
            raise ApiError(str(refusal.code), str(refusal), status=401) from None
        if call.method not in SAFE and not store.first_use(call.key.encode(), call.sign.encode()):
            raise ApiError("50042", "This signed request was received before.")
        note_use(found, now=clock.now())
        actor = Actor(
            identity=found.customer,
            kind="customer",
            label=f"API key {found.key[:8]}",
            ip=seen.ip,
            request_id=seen.request_id,
        )
        return Trader(found.customer, found.key, found.scopes, actor), found.key

    def authenticate_header(self, request: Request) -> str:
        return "OK-ACCESS-SIGN"


def signed_target(request: Any) -> bytes:
    """The request target exactly as the client sent and signed it: neither decoded nor normalised."""
    scope = getattr(request, "scope", None)
    if scope is None:
        meta = request.META
        path, query = (
            quote(meta.get("PATH_INFO", ""), safe="/").encode(),
            meta.get("QUERY_STRING", "").encode(),
        )
    else:
        path, query = scope.get("raw_path") or quote(scope["path"], safe="/").encode(), scope["query_string"]
        path = path.partition(b"?")[0]
    return path + b"?" + query if query else path
