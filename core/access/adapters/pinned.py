"""A read of one pinned address of the edge: no redirects, no proxy from the environment, bounded."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

import httpx

from core.certificates import authorities

TIMEOUT_S: Final = 3.0
BODY_BYTES_MAX: Final = 64 * 1024


class BadStatus(ValueError):
    """The answer is not 200; `status` says what it is. A redirect is an answer like any other."""

    def __init__(self, status: int) -> None:
        super().__init__(f"status {status}")
        self.status = status


class BadBody(ValueError):
    """The answer is too long, or came too slowly."""


class TooLong(BadBody):
    """The answer is longer than any that we read."""


def get(url: str, *, headers: Mapping[str, str] | None = None, timeout_s: float = TIMEOUT_S) -> bytes:
    """The body of a 200 answer; BadStatus, BadBody, httpx.HTTPError."""
    deadline = time.monotonic() + timeout_s
    body = b""
    # Nothing compressed: a small body must not become a large one here.
    asked = {"Accept": "application/json", "Accept-Encoding": "identity", **(headers or {})}
    with (
        httpx.Client(
            timeout=timeout_s, follow_redirects=False, trust_env=False, verify=authorities()
        ) as client,
        client.stream("GET", url, headers=asked) as response,
    ):
        if response.status_code != 200:
            raise BadStatus(response.status_code)
        for chunk in response.iter_raw():
            body += chunk
            if len(body) > BODY_BYTES_MAX:
                raise TooLong(f"longer than {BODY_BYTES_MAX} bytes")
            if time.monotonic() > deadline:
                raise BadBody("too slow")
    return body
