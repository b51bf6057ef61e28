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
from customers.domain.signatures import Call, CallRefused, Credentials
from trader_api import store
from trader_api.errors import ApiError
from trader_api.turning_away import on_record

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Trader:
    """The holder of the key that signed, and what that key may do."""

    customer_id: UUID
    key: str
    scopes: frozenset[str]
    actor: Actor
    row: UUID
    tier: int
    is_authenticated: bool = True

    def must_hold(self, scope: str) -> None:
        """50114 where the key was not made for this."""
        if scope not in self.scopes:
            sentence = f"Invalid authorization: the API key has no {scope} permission."
            raise _turned_away(self.row, "50114", sentence, actor=self.actor)


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
            code, sentence, key = str(refusal.code), str(refusal), refusal.key
            if key is None:  # anybody can send rubbish, and the log must not grow at their pleasure
                raise ApiError(code, sentence, status=401) from None
            actor = _holder(key, seen) if refusal.is_signed else seen
            raise _turned_away(key.row, code, sentence, actor=actor, status=401) from None
        actor = _holder(found, seen)
        if call.method not in SAFE and not store.first_use(call.key.encode(), call.sign.encode()):
            sentence = "This signed request was received before."
            raise _turned_away(found.row, "50042", sentence, actor=actor)
        note_use(found, now=clock.now())
        trader = Trader(found.customer, found.key, found.scopes, actor, found.row, found.tier)
        return trader, found.key

    def authenticate_header(self, request: Request) -> str:
        return "OK-ACCESS-SIGN"


def _holder(key: Credentials, seen: Actor) -> Actor:
    return Actor(
        identity=key.customer,
        kind="customer",
        label=f"API key {key.key[:8]}",
        ip=seen.ip,
        request_id=seen.request_id,
    )


def _turned_away(row: UUID, code: str, sentence: str, *, actor: Actor, status: int | None = None) -> ApiError:
    """What the client is told about a call with this key, once it is on record."""
    on_record(f"customers.apikey/{row}", code, sentence, actor=actor)
    return ApiError(code, sentence, status=status)


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
