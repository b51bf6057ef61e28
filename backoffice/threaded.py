"""Django under ASGI with each request in one thread, from the first middleware to the view and back.

Our views and some of the middlewares are plain functions. Beside such, Django runs the other middlewares on
the event loop, each with trips into the request's thread and back. A request that finds nothing took ten, and
two fifths of its time for them.
"""

from __future__ import annotations

from typing import Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest
from django.http.response import HttpResponseBase


class Threaded(ASGIHandler):
    """Goes into the request's thread once for the whole chain of middlewares, whatever is in it."""

    def load_middleware(self, is_async: bool = False) -> None:
        super().load_middleware(is_async=False)

    async def get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        answered: Any = sync_to_async(self.get_response, thread_sensitive=True)
        response: HttpResponseBase = await answered(request)
        return response
