"""Requests for approval whose time is nearly over when they are made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import wraps
from typing import ParamSpec, TypeVar

from core.approvals import kinds

Asked = ParamSpec("Asked")
Request = TypeVar("Request")


def hurried(ask: Callable[Asked, Request], *, kind: str = "test.payment") -> Callable[Asked, Request]:
    """The same, while the kind gives its requests a microsecond to be approved."""

    @wraps(ask)
    def asked(*args: Asked.args, **values: Asked.kwargs) -> Request:
        declared = kinds.named(kind)
        kinds._registered[kind] = replace(declared, approve_within=timedelta(microseconds=1))
        try:
            return ask(*args, **values)
        finally:
            kinds._registered[kind] = declared

    return asked
