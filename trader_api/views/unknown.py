"""What is no endpoint."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request

from trader_api.endpoint import Endpoint
from trader_api.envelope import not_found


class Unknown(Endpoint):
    http_method_names: Any = ["get", "post", "put", "patch", "delete", "head", "options", "trace"]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Every path that no endpoint has, whatever the method."""
        raise not_found()
