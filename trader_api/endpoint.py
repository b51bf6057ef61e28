"""What all endpoints share: bytes in, envelope out, limits counted, nothing left to DRF's defaults."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import datetime
from typing import Any, ClassVar, Final, cast

from rest_framework.parsers import BaseParser
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from core import clock, freezes
from core.freezes.domain import scopes
from trader_api import envelope
from trader_api.authentication import SAFE, KeyAuthentication, Trader
from trader_api.errors import ApiError, bad, missing
from trader_api.limits import Limit, count_by_address, count_by_user

BODY_MAX: Final = 64 * 1024
DEPTH_MAX: Final = 8


class RawJson(BaseParser):
    """Accepts application/json and leaves the bytes alone; `body_of` reads them after they were verified."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> dict[str, Any]:
        return {}


class Endpoint(APIView):
    """A public endpoint. Limits are counted by the caller's address.

    A freeze of the trader API stops whatever does something, also what has begun. `is_stopped` is false for
    what only lowers risk, and for what asks about this freeze together with others.
    """

    authentication_classes: Any = []
    permission_classes: Any = []
    throttle_classes: Any = []
    renderer_classes: Any = [JSONRenderer]
    parser_classes: Any = [RawJson]
    http_method_names: Any = ["get", "post"]
    limit: ClassVar[Limit]
    is_stopped: ClassVar[bool] = True

    def get_exception_handler(self) -> Callable[..., Any]:
        return envelope.handle

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        with ExitStack() as self.acts:
            return super().dispatch(request, *args, **kwargs)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        self.now: datetime = clock.now()
        self.count(request)
        if self.is_stopped and request.method not in SAFE:
            self.acts.enter_context(freezes.throughout(scopes.TRADER_API))

    def count(self, request: Request) -> None:
        count_by_address(self.limit, request, endpoint=type(self).__name__, now=self.now)

    def handle_exception(self, exc: Exception) -> Any:
        # DRF turns 401 into 403 where no authenticator names a challenge; ours name their own status.
        return envelope.handle(exc, self.get_exception_handler_context())


class PrivateEndpoint(Endpoint):
    """An endpoint for the holder of a signed key with the right scope. Limits are counted per user."""

    authentication_classes: Any = [KeyAuthentication]
    scope: ClassVar[str] = "read"
    count_here: ClassVar[bool] = True

    trader: Trader

    def check_permissions(self, request: Request) -> None:
        self.trader = cast("Trader", request.user)
        self.trader.must_hold(self.scope)

    def count(self, request: Request) -> None:
        if self.count_here:
            count_by_user(self.limit, self.trader, what=type(self).__name__, now=self.now)


def body_of(request: Request) -> Any:
    """The request's JSON. Numbers keep the text they were written with; no float comes into being."""
    raw: bytes = request._request.body
    if not raw.strip():
        raise ApiError("50000", "Body for POST request cannot be empty.")
    if (request.content_type or "").partition(";")[0].strip().lower() != RawJson.media_type:
        raise ApiError("50006", "Invalid Content-Type, please use application/json.")
    if len(raw) > BODY_MAX:
        raise ApiError("50002", "JSON syntax error: the body is too large.")
    try:
        value = json.loads(raw, parse_float=str, parse_int=str, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise ApiError("50002", "JSON syntax error.") from None
    return value


def object_of(request: Request) -> Mapping[str, Any]:
    """The request's JSON object."""
    value = body_of(request)
    if not isinstance(value, dict):
        raise ApiError("50002", "JSON syntax error: an object is expected.")
    return value


def array_of(request: Request, *, largest: int) -> list[Mapping[str, Any]]:
    """The request's JSON array of objects, between one and `largest` of them."""
    value = body_of(request)
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise ApiError("50002", "JSON syntax error: an array of objects is expected.")
    if not value:
        raise ApiError("50000", "Body for POST request cannot be empty.")
    if len(value) > largest:
        raise ApiError("51111", f"Maximum {largest} orders can be placed or canceled at a time.")
    return value


def word(fields: Mapping[str, Any], name: str, *, required: bool = False, largest: int = 200) -> str:
    """A text parameter; "" and null are absent."""
    value = fields.get(name)
    if value in (None, ""):
        if required:
            raise missing(name)
        return ""
    if not isinstance(value, str) or len(value) > largest or "\x00" in value:
        raise bad(name)
    return value


def number(fields: Mapping[str, Any], name: str, *, default: int, largest: int) -> int:
    """A small whole number in a query string; more than `largest` counts as `largest`."""
    value = word(fields, name, largest=20)
    if not value:
        return default
    if not (value.isascii() and value.isdigit()):
        raise bad(name)
    return min(int(value), largest)


def _refuse(text: str) -> Any:
    raise ValueError(text)
