"""The cast's traders with their keys: Tom and Tia, and requests signed as their programs sign them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.conf import settings
from django.test import Client

from core import clock
from core.action import action
from core.actor import Actor, system
from customers.actions import create_api_key, set_tier, sign_up
from customers.events import Event
from customers.models import Customer
from kyc.models import KycProfile

PASSPHRASE: Final = "correct horse"
API_HOST: Final = settings.API_ORIGIN.partition("//")[2].partition(":")[0]


@dataclass(frozen=True)
class Trader:
    """A customer with a key for everything."""

    customer: Customer
    key: str
    secret: str
    passphrase: str = PASSPHRASE

    @property
    def actor(self) -> Actor:
        return Actor(identity=self.customer.pk, kind="customer", label="test")

    def sign(self, timestamp: str, method: str, target: str, body: bytes = b"") -> str:
        message = f"{timestamp}{method}{target}".encode() + body
        return base64.b64encode(hmac.new(self.secret.encode(), message, hashlib.sha256).digest()).decode()

    def headers(
        self, method: str, target: str, body: bytes = b"", *, at: datetime | None = None
    ) -> dict[str, str]:
        moment = at or clock.now()
        timestamp = moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
        return {
            "OK-ACCESS-KEY": self.key,
            "OK-ACCESS-SIGN": self.sign(timestamp, method, target, body),
            "OK-ACCESS-TIMESTAMP": timestamp,
            "OK-ACCESS-PASSPHRASE": self.passphrase,
        }


def enrol(
    name: str, *, now: datetime, tier: int = 2, scopes: tuple[str, ...] = ("trade", "withdraw")
) -> Trader:
    """A trader at that tier, by the same actions as anybody."""
    actor = system("test")
    email, password = f"{name.lower()}@example.com", f"{name} has a password"
    customer = sign_up(email=email, password=password, country="CH", name=name, actor=actor, now=now)
    made = create_api_key(customer_id=customer.pk, scopes=scopes, passphrase=PASSPHRASE, actor=actor, now=now)
    _verify(customer, tier, actor=actor, now=now)
    customer.refresh_from_db()
    return Trader(customer, made.row.key, made.secret)


@action(Event.TIER_SET)
def _raise(*, customer: Customer, tier: int, actor: Actor, now: datetime) -> None:
    set_tier(customer_id=customer.pk, tier=tier, reason="test", actor=actor, now=now)


def _verify(customer: Customer, tier: int, *, actor: Actor, now: datetime) -> None:
    KycProfile.objects.update_or_create(
        customer=customer, defaults={"officers_rank": tier, "created_at": now}
    )
    if tier:
        _raise(customer=customer, tier=tier, actor=actor, now=now)


class Api:
    """Calls of the trader API through Django's client, signed for a trader or not at all."""

    def __init__(self, trader: Trader | None = None) -> None:
        self.trader = trader
        # An address of its own, since limits on addresses outlive a test.
        address = ".".join(["10", *(str(secrets.randbelow(256)) for _ in range(3))])
        self.client = Client(headers={"Host": API_HOST, "Cf-Connecting-Ip": address})

    def get(self, target: str, **headers: str) -> Any:
        signed = self.trader.headers("GET", target) if self.trader else {}
        return self.client.get(target, headers=signed | headers)

    def post(self, target: str, body: Any, **headers: str) -> Any:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        signed = self.trader.headers("POST", target, raw) if self.trader else {}
        return self.client.post(target, raw, content_type="application/json", headers=signed | headers)
