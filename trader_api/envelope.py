"""Every answer's shape, {"code", "msg", "data"}, whatever happened."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, JsonResponse
from rest_framework import exceptions
from rest_framework.response import Response

from core.refusals import Refused
from trader_api import store
from trader_api.errors import ApiError
from trader_api.refusals import code_of

log = logging.getLogger(__name__)

Row = Mapping[str, Any]

ALL_FAILED: Final = "1"
SOME_FAILED: Final = "2"


def ok(rows: Sequence[Any] = ()) -> Response:
    """A request that was served."""
    return Response({"code": "0", "msg": "", "data": list(rows)})


def acks(rows: Sequence[Row]) -> Response:
    """Answers to a batch: each row says how it went, the code at the top whether all, some or none failed."""
    failed = sum(row["sCode"] != "0" for row in rows)
    code = "0" if not failed else ALL_FAILED if failed == len(rows) else SOME_FAILED
    message = {"0": "", ALL_FAILED: "All operations failed", SOME_FAILED: "Some operations failed"}[code]
    return Response({"code": code, "msg": message, "data": list(rows)})


def error(failure: ApiError) -> Response:
    """A whole request that was refused."""
    headers = {"Retry-After": str(failure.retry_after_s)} if failure.retry_after_s else None
    return Response(
        {"code": failure.code, "msg": str(failure), "data": []}, status=failure.status, headers=headers
    )


def handle(raised: Exception, context: Mapping[str, Any]) -> Response:
    """DRF's exception handler: no error leaves as HTML, and none tells more than its sentence."""
    return error(translate(raised, context))


def translate(raised: Exception, context: Mapping[str, Any]) -> ApiError:
    """The client's view of whatever a view raised."""
    match raised:
        case ApiError():
            return raised
        case Refused():
            return ApiError(code_of(raised), str(raised))
        case store.StoreDown() | OperationalError() | InterfaceError():
            log.error("trader API lost a part on %s: %s", _place(context), type(raised).__name__)
            return ApiError("50001", "Service temporarily unavailable. Try again later.", retry_after_s=1)
        case exceptions.MethodNotAllowed():
            return ApiError("50115", "Invalid request method.")
        case exceptions.UnsupportedMediaType() | exceptions.NotAcceptable():
            return ApiError("50006", "Invalid Content-Type, please use application/json.")
        case exceptions.ParseError() | RequestDataTooBig():
            return ApiError("50002", "JSON syntax error.")
        case exceptions.Throttled():
            return ApiError("50011", "Too many requests.", retry_after_s=1)
        case exceptions.NotAuthenticated() | exceptions.AuthenticationFailed():
            return ApiError("50114", "Invalid authorization.")
        case exceptions.PermissionDenied() | PermissionDenied():
            return ApiError("50114", "Invalid authorization.")
        case Http404() | exceptions.NotFound():
            return not_found()
        case _:
            log.error("trader API failed on %s", _place(context), exc_info=raised)
            return ApiError("50026", "System error. Try again later.")


def not_found() -> ApiError:
    """A path that is no endpoint. 404 with an ordinary error code: not a reason for bots to retry."""
    return ApiError("50015", "The requested endpoint does not exist.", status=404)


def plain(failure: ApiError) -> JsonResponse:
    """The same shape where no view of ours ran: Django's own 400, 404 and 500."""
    return JsonResponse({"code": failure.code, "msg": str(failure), "data": []}, status=failure.status)


def handler400(request: HttpRequest, exception: Exception | None = None) -> JsonResponse:
    return plain(ApiError("51000", "Bad request.", status=400))


def handler403(request: HttpRequest, exception: Exception | None = None) -> JsonResponse:
    return plain(ApiError("50114", "Invalid authorization."))


def handler404(request: HttpRequest, exception: Exception | None = None) -> JsonResponse:
    return plain(not_found())


def handler500(request: HttpRequest) -> JsonResponse:
    return plain(ApiError("50026", "System error. Try again later."))


def _place(context: Mapping[str, Any]) -> str:
    view = context.get("view")
    return type(view).__name__ if view is not None else "an unknown view"
