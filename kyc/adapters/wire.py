"""One HTTP exchange with a provider: limits of time and size, tolerant JSON, errors that say what to do."""

from __future__ import annotations

import json
import logging
from typing import Any, Final, Self

import httpx

from core.certificates import authorities

log = logging.getLogger(__name__)

TIMEOUT_S: Final = 10.0
ANSWER_BYTES_MAX: Final = 2 * 1024 * 1024


class ProviderError(Exception):
    """The provider could not be asked, or said no. `code` is short and stable."""

    code = "provider"


class Unavailable(ProviderError):
    """Ask again later: no answer in time, 429 or 5xx."""

    code = "unavailable"


class Rejected(ProviderError):
    """Asking the same again is useless: our credentials, our request, or an answer that is not JSON."""

    code = "rejected"


class Unknown(ProviderError):
    """The provider has no such object."""

    code = "unknown"


class SomebodyElse(Rejected):
    """The provider's answer is about another applicant than the one that was asked about."""

    code = "somebody_else"


class Exists(ProviderError):
    """The provider has it already, or is busy with it (409)."""

    code = "exists"


def new_client(
    base_url: str, *, auth: httpx.Auth | None = None, headers: dict[str, str] | None = None
) -> httpx.Client:
    """A client that takes nothing from the environment and follows no redirect."""
    return httpx.Client(
        base_url=base_url,
        auth=auth,
        headers=headers,
        timeout=TIMEOUT_S,
        trust_env=False,
        verify=authorities(),
        follow_redirects=False,
    )


class Line:
    """A provider's connection, closed at the end of a `with` block."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._client.close()


def exchange(client: httpx.Client, method: str, path: str, *, document: object = None) -> dict[str, Any]:
    """Send one request and return the JSON object of the answer; a ProviderError for anything else.

    The body is made into bytes here, once, so that what is signed is what is sent.
    """
    content = b"" if document is None else json.dumps(document).encode()
    headers = {} if document is None else {"Content-Type": "application/json"}
    try:
        with client.stream(method, path, content=content, headers=headers) as response:
            body = _bounded(response)
    except httpx.HTTPError as error:
        raise Unavailable(f"{method} {path}: {type(error).__name__}") from error
    return _judged(response, body, what=f"{method} {path}")


def _bounded(response: httpx.Response) -> bytes:
    body = b""
    for part in response.iter_bytes():
        body += part
        if len(body) > ANSWER_BYTES_MAX:
            raise Rejected("the provider's answer is too long")
    return body


def _judged(response: httpx.Response, body: bytes, *, what: str) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    if response.is_success and isinstance(document, dict):
        return document
    correlation = document.get("correlationId", "") if isinstance(document, dict) else ""
    log.warning("%s was answered %d (correlation %s)", what, response.status_code, correlation)
    if response.status_code == 404:
        raise Unknown(what)
    if response.status_code == 409:
        raise Exists(what)
    if response.status_code == 429 or response.status_code >= 500:
        raise Unavailable(f"{what}: {response.status_code}")
    raise Rejected(f"{what}: {response.status_code}")
