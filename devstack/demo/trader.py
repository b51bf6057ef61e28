"""A trader's program: signs its calls as OKX v5 clients do, and knows nothing of the inside."""

from __future__ import annotations

import base64
import hmac
import json
import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from devstack.demo.story import StepFailed
from fixtures.authenticator import App
from kernel import canonical, encodings
from kernel.customer import DOMAIN_TAG
from kernel.intent import time_text
from kernel.money import Amount

_ASK_AGAIN = frozenset({"50011", "50013"})  # too many requests; busy, or no price yet


def _now() -> str:
    return time_text(datetime.now(UTC).replace(microsecond=0))


class Answer(dict[str, Any]):
    """The envelope {"code", "msg", "data"} with the HTTP status beside it."""

    status: int = 0

    @property
    def ok(self) -> bool:
        return bool(self.get("code") == "0")

    @property
    def first(self) -> dict[str, Any]:
        """The first row; empty where there is none. StepFailed where the call itself was refused."""
        if self["code"] not in ("0", "1", "2"):
            raise StepFailed(f"the API refused: HTTP {self.status}, {self['code']} {self['msg']}")
        rows = self.get("data") or [{}]
        return dict(rows[0])


class Trader:
    """One customer at the api door. `origin` is what the door is called; `address` is where it is reached."""

    def __init__(self, name: str, *, address: str, origin: str) -> None:
        self.name = name
        self._http = httpx.Client(base_url=address, headers={"Host": origin.split("//", 1)[1]}, timeout=20)
        self._key = self._secret = self._passphrase = ""
        self.customer = ""
        self._papers: list[str] = []
        self.signing_key = Ed25519PrivateKey.generate()

    def sign_up(self, email: str, password: str) -> Answer:
        """Open an account at tier 0."""
        body = {"email": email, "password": password, "country": "DE", "name": self.name}
        answer = self.post("/api/countersign/v1/signup", body)
        self.customer = str(answer.first.get("customer", ""))
        return answer

    def add_second_factor(self, email: str, password: str) -> Answer:
        """An authenticator app, and codes on paper that stand in for it."""
        shown = {"email": email, "password": password}
        secret = base64.b32decode(str(self.post("/api/countersign/v1/second-factor", shown).first["secret"]))
        code = App(secret).code(time.time())
        answer = self.post("/api/countersign/v1/second-factor/confirm", shown | {"code": code})
        self._papers = list(answer.first["recoveryCodes"])
        return answer

    def make_key(self, email: str, password: str, passphrase: str) -> Answer:
        """Create an API key and use it from now on."""
        body = {
            "email": email,
            "password": password,
            "passphrase": passphrase,
            "scopes": ["read", "trade", "withdraw"],
            "code": self._papers.pop(),
        }
        answer = self.post("/api/countersign/v1/api-keys", body)
        row = answer.first
        self._key, self._secret, self._passphrase = (
            row.get("apiKey", ""),
            row.get("secretKey", ""),
            passphrase,
        )
        return answer

    @property
    def key(self) -> str:
        return self._key

    def tier(self) -> int:
        """The verification level that the exchange grants now."""
        return int(self.get("/api/countersign/v1/kyc").first["tier"])

    def has_tier(self, tier: int) -> bool:
        return self.tier() == tier

    def holds_in_trading(self, asset: str, amount: str) -> bool:
        return self.trading(asset) == amount

    def withdrawal_txid(self, identifier: str) -> str:
        """The transaction that pays the withdrawal; empty until it is sent."""
        return str(self.withdrawal(identifier).get("txId", ""))

    def deposit_address(self, asset: str = "BTC") -> str:
        """Where this trader deposits."""
        return str(self.get("/api/v5/asset/deposit-address", ccy=asset).first["addr"])

    def deposit(self, txid: str) -> dict[str, Any] | None:
        """The deposit that this transaction made, once it is seen."""
        rows = self.get("/api/v5/asset/deposit-history", ccy="BTC").get("data") or []
        return next((row for row in rows if row["txId"] == txid), None)

    def balance_row(self, asset: str) -> dict[str, Any]:
        """The funding account's row of that asset."""
        return self.get("/api/v5/asset/balances", ccy=asset).first

    def funding(self, asset: str) -> str:
        """The free funding balance."""
        return str(self.balance_row(asset).get("availBal", "0"))

    def trading(self, asset: str) -> str:
        """What the trading account holds of an asset, in all."""
        details = self.get("/api/v5/account/balance", ccy=asset).first.get("details") or []
        return next((str(row["eq"]) for row in details if row["ccy"] == asset), "0")

    def transfer(self, asset: str, amount: str, *, source: str, target: str) -> Answer:
        """Between funding (6) and trading (18)."""
        body = {"ccy": asset, "amt": amount, "from": source, "to": target, "type": "0"}
        return self.post("/api/v5/asset/transfer", body)

    def order(self, side: str, price: str, size: str) -> Answer:
        """A limit order on BTC-USDT."""
        body = {
            "instId": "BTC-USDT",
            "tdMode": "cash",
            "side": side,
            "ordType": "limit",
            "px": price,
            "sz": size,
        }
        return self.post("/api/v5/trade/order", body)

    def fill(self, order: Answer) -> dict[str, Any] | None:
        """The order's fill, once there is one."""
        rows = self.get("/api/v5/trade/fills", instType="SPOT", ordId=order.first["ordId"]).get("data") or []
        return rows[0] if rows else None

    def say(self, document: dict[str, Any], label: str = "") -> Answer:
        """Sign a statement with the trader's own key and hand it in with a code. docs/statements.md"""
        payload = canonical.encode({"v": 1, "customer": self.customer, "time": _now(), **document})
        signature = encodings.base64url(self.signing_key.sign(DOMAIN_TAG + payload))
        body = {"payload": encodings.base64url(payload), "proof": {"signature": signature}, "label": label}
        body["code"] = self._papers.pop()
        return self.post("/api/countersign/v1/statements", body)

    def is_learnt(self, destination: str, by: int) -> bool:
        """Whether so many signers have known the destination for long enough."""
        rows = self.get("/api/countersign/v1/statements")["data"]
        row = next(row for row in rows if row["subject"] == destination)
        return row["learntBy"] == str(by) and 0 < int(row["unattendedFrom"] or 0) <= time.time() * 1000

    def withdraw(self, address: str, amount: Amount, *, reference: str) -> Answer:
        """Ask for a withdrawal to an address outside."""
        body = {"ccy": "BTC", "amt": str(amount), "dest": "4", "toAddr": address, "clientId": reference}
        return self.post("/api/v5/asset/withdrawal", body | {"chain": "BTC-Bitcoin"})

    def withdrawal(self, identifier: str) -> dict[str, Any]:
        """The withdrawal's row."""
        return self.get("/api/v5/asset/withdrawal-history", ccy="BTC", wdId=identifier).first

    def get(self, path: str, **query: str) -> Answer:
        """A signed GET."""
        return self._send("GET", path + (f"?{urlencode(query)}" if query else ""), b"")

    def post(self, path: str, body: object) -> Answer:
        """A signed POST (unsigned while there is no key)."""
        return self._send("POST", path, json.dumps(body).encode())

    def _send(self, method: str, target: str, body: bytes) -> Answer:
        """One call; told to slow down, wait and ask again, as a client should."""
        while True:
            answer = self._send_once(method, target, body)
            if answer["code"] not in _ASK_AGAIN:
                return answer
            time.sleep(1)

    def _send_once(self, method: str, target: str, body: bytes) -> Answer:
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
