"""The edge's get-identity as a test plays it before a desk: counted, with faults."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from core.access.adapters.identities import Desk
from core.access.adapters.shelf import Shelf
from core.access.domain.tokens import User
from tests import doors
from tests.cast import NOW
from tests.doors import Clock

WHO = User("7335d417-61da-459d-899c-0a01c76a2f94", "ana@countersign.example", NOW, NOW)


class Endpoint:
    """get-identity, counted, with faults."""

    def __init__(self) -> None:
        self.calls = 0
        self.fault: Callable[[], bytes] | None = None
        self.device = "laptop-1"

    def __call__(self, token: str) -> bytes:
        self.calls += 1
        if self.fault:
            return self.fault()
        said = {"email": WHO.email, "user_uuid": WHO.subject, "device_id": self.device}
        return json.dumps(said).encode()


def raises(error: Exception) -> Callable[[], bytes]:
    def fault() -> bytes:
        raise error

    return fault


def device(desk: Desk, token: str = "t", **how: Any) -> str | None:
    answer = desk.of(token, WHO, **how)
    return answer.posture.device if answer else None


def pair(endpoint: Endpoint, clock: Clock) -> tuple[Desk, Desk]:
    """The desks of two processes."""
    shared = doors.shelf()
    return (
        Desk(endpoint, shelf=shared, clock=clock, timeout_s=90),
        Desk(endpoint, shelf=Shelf(shared._url, apart=shared._apart), clock=clock, timeout_s=90),
    )
