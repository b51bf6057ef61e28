"""Under ASGI a request ..."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import httpx
import pytest
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler

from backoffice.asgi import trader
from backoffice.threaded import Threaded

MORE = ["django.middleware.http.ConditionalGetMiddleware", "django.middleware.locale.LocaleMiddleware"]


def trips(application: Any) -> int:
    """How often a request that finds nothing goes from the loop into a thread."""

    async def ask() -> int:
        loop, count = asyncio.get_running_loop(), 0
        go = loop.run_in_executor

        def counted(*call: Any) -> Any:
            nonlocal count
            count += 1
            return go(*call)

        loop.run_in_executor = counted  # type: ignore[method-assign]
        transport = httpx.ASGITransport(app=application)
        async with httpx.AsyncClient(transport=transport, base_url=settings.API_ORIGIN) as client:
            answer = await client.get("/api/v5/nothing/here")
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/json")
        assert answer.headers["x-content-type-options"] == "nosniff"
        return count

    return asyncio.run(ask())


def test_goes_into_its_thread_as_often_however_many_middlewares_there_are(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    few, djangos = trips(Threaded()), trips(ASGIHandler())
    assert trips(trader) == few < djangos
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, *MORE]
    assert trips(Threaded()) == few
    assert trips(ASGIHandler()) > djangos


def test_gives_way_to_a_thread_that_brings_an_answer_within_a_millisecond() -> None:
    """Whatever other requests compute in this process: `backoffice.asgi` says so where it starts."""
    assert sys.getswitchinterval() <= 0.001
