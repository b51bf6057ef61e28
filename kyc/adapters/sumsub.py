"""Our client of Sumsub's REST: the five calls that we need, each request signed over its exact bytes."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Generator
from typing import Any, Final
from urllib.parse import quote

import httpx

from kyc.adapters.wire import Exists, Line, Rejected, SomebodyElse, exchange, new_client
from kyc.domain.answers import mapping, text

_MOVE: Final = "/resources/applicants/{}/moveToLevel?name={}"


class Signature(httpx.Auth):
    """Signs timestamp, method, encoded path with query, and body, as prepared for the wire."""

    requires_request_body = True

    def __init__(self, *, app_token: str, secret: str, clock: Callable[[], float]) -> None:
        self._app_token = app_token
        self._secret = secret.encode()
        self._clock = clock

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        stamp = str(int(self._clock()))
        message = stamp.encode() + request.method.encode() + request.url.raw_path + request.content
        request.headers["X-App-Token"] = self._app_token
        request.headers["X-App-Access-Ts"] = stamp
        request.headers["X-App-Access-Sig"] = hmac.new(self._secret, message, hashlib.sha256).hexdigest()
        yield request


class Sumsub(Line):
    """The provider, for one `with` block. `clock` gives Unix seconds, because requests are valid for 60 s."""

    def __init__(
        self, *, url: str, app_token: str, secret: str, clock: Callable[[], float] = time.time
    ) -> None:
        super().__init__(new_client(url, auth=Signature(app_token=app_token, secret=secret, clock=clock)))

    def ensure_applicant(self, *, external_user_id: str, applicant_id: str, level: str, name: str) -> str:
        """The applicant's id at the provider, created or found, and standing at the level."""
        document = self._by_external_id(external_user_id)
        if document is None:
            try:
                document = self._create(external_user_id, level)
            except Exists:
                document = self._by_external_id(external_user_id)
        if document is None or not text(document.get("id")):
            raise Rejected("the provider has the applicant and does not show it")
        found = text(document["id"])
        if text(mapping(document.get("review")).get("levelName")) != level:
            exchange(self._client, "POST", _MOVE.format(quote(found, safe=""), quote(level, safe="")))
        return found

    def sdk_token(self, *, external_user_id: str, applicant_id: str, level: str, ttl_s: int) -> str:
        """A short-lived token with which the customer's browser may hand in documents."""
        wanted = {"userId": external_user_id, "levelName": level, "ttlInSecs": ttl_s}
        answer = exchange(self._client, "POST", "/resources/accessTokens/sdk", document=wanted)
        return _required(answer, "token")

    def read(self, *, external_user_id: str, applicant_id: str) -> dict[str, Any]:
        """The authoritative document of the applicant; SomebodyElse where that is not who we call so.

        Whoever writes another applicant's id into our rows does not give that person's answer to a customer.
        """
        key = quote(applicant_id, safe="") or f"-;externalUserId={quote(external_user_id, safe='')}"
        document = exchange(self._client, "GET", f"/resources/applicants/{key}/one")
        if text(document.get("externalUserId")) != external_user_id:
            raise SomebodyElse(f"applicant {applicant_id} is not {external_user_id}")
        return document

    def _create(self, external_user_id: str, level: str) -> dict[str, Any]:
        path = f"/resources/applicants?levelName={quote(level, safe='')}"
        return exchange(self._client, "POST", path, document={"externalUserId": external_user_id})

    def _by_external_id(self, external_user_id: str) -> dict[str, Any] | None:
        path = f"/resources/applicants/-/byExternalUserId/{quote(external_user_id, safe='')}"
        answer = exchange(self._client, "GET", path)
        return answer["applicant"] if isinstance(answer.get("applicant"), dict) else None


def _required(answer: dict[str, Any], name: str) -> str:
    value = text(answer.get(name))
    if not value:
        raise Rejected(f"the provider's answer has no {name}")
    return value
