"""A trader's program: signs its calls as OKX v5 clients do, and knows nothing of the inside."""

from __future__ import annotations

import base64
import hmac
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import httpx


class Answer(dict[str, Any]):
    """The envelope {"code", "msg", "data"} with the HTTP status beside it."""

    status: int = 0

    @property
    def ok(self) -> bool:
        return bool(self.get("code") == "0")

    @property
    def first(self) -> dict[str, Any]:
        rows = self.get("data") or [{}]
        return dict(rows[0])


class Trader:
    """One customer at the api door. `origin` is what the door is called; `address` is where it is reached."""

    def __init__(self, name: str, *, address: str, origin: str) -> None:
        self.name = name
        self._http = httpx.Client(base_url=address, headers={"Host": origin.split("//", 1)[1]}, timeout=20)
        self._key = self._secret = self._passphrase = ""
        self.customer = ""

    def sign_up(self, email: str, password: str) -> Answer:
        """Open an account at tier 0."""
        body = {"email": email, "password": password, "country": "DE", "name": self.name}
        answer = self.post("/api/countersign/v1/signup", body)
        self.customer = str(answer.first.get("customerId", ""))
        return answer

    def make_key(self, email: str, password: str, passphrase: str) -> Answer:
        """Create an API key and use it from now on."""
        body = {
            "email": email,
            "password": password,
            "passphrase": passphrase,
            "scopes": ["read", "trade", "withdraw"],
        }
        answer = self.post("/api/countersign/v1/api-keys", body)
        row = answer.first
        self._key, self._secret, self._passphrase = row.get("apiKey", ""), row.get("secret", ""), passphrase
        return answer

    @property
    def key(self) -> str:
        return self._key

    def get(self, path: str, **query: str) -> Answer:
        """A signed GET."""
        return self._send("GET", path + (f"?{urlencode(query)}" if query else ""), b"")

    def post(self, path: str, body: object) -> Answer:
        """A signed POST (unsigned while there is no key)."""
        return self._send("POST", path, json.dumps(body).encode())

    def _send(self, method: str, target: str, body: bytes) -> Answer:
        headers = {"Content-Type": "application/json"} if body else {}
        if self._key:
            stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
            mac = hmac.digest(self._secret.encode(), f"{stamp}{method}{target}".encode() + body, "sha256")
            headers |= {
                "OK-ACCESS-KEY": self._key,
                "OK-ACCESS-SIGN": base64.b64encode(mac).decode(),
                "OK-ACCESS-TIMESTAMP": stamp,
                "OK-ACCESS-PASSPHRASE": self._passphrase,
            }
        response = self._http.request(method, target, content=body, headers=headers)
        answer = Answer(response.json())
        answer.status = response.status_code
        return answer
