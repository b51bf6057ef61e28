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
from uuid import UUID

from django.conf import settings
from django.test import Client

from core import clock
from core.action import action
from core.actor import Actor, system
from customers import queries
from customers.actions import (
    ask_new_password,
    begin_authenticator,
    confirm_authenticator,
    create_api_key,
    set_new_password,
    set_tier,
    sign_up,
)
from customers.domain import links
from customers.events import Event
from customers.models import Customer
from fixtures.authenticator import App
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
    recovery_codes: tuple[str, ...] = ()

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


@dataclass(frozen=True)
class SecondFactor:
    """A customer's authenticator app, with what only its owner has while it is new."""

    row: UUID
    secret: bytes = b""
    recovery_codes: tuple[str, ...] = ()

    def code(self, at: datetime) -> str:
        """What the app shows."""
        return App(self.secret).code(at.timestamp())


def second_factor(customer_id: UUID, *, now: datetime) -> SecondFactor:
    """The customer's, added now by the same actions as anybody's if there is none."""
    present = queries.authenticator_of(customer_id)
    if present is not None:
        return SecondFactor(present)
    who: dict[str, Any] = {
        "customer_id": customer_id,
        "actor": Actor(identity=customer_id, kind="customer", label="password"),
        "now": now,
    }
    draft = begin_authenticator(confirmed=None, **who)
    made = confirm_authenticator(code=SecondFactor(draft.row.pk, draft.secret).code(now), **who)
    return SecondFactor(draft.row.pk, draft.secret, made.recovery_codes)


def new_password(customer_id: UUID, *, now: datetime) -> None:
    """The customer sets another password by mail, with a code where they have a second factor."""
    actor = system("test")
    row = queries.customer(customer_id)
    ask_new_password(email=row.email, actor=actor, now=now)
    row.refresh_from_db()
    assert row.password_asked_at is not None
    link = links.text(
        row.pk, asked_at=row.password_asked_at, password=row.password, field_key=settings.FIELD_KEY
    )
    set_new_password(
        link=link,
        password="an even longer password",
        confirmed=queries.authenticator_of(row.pk),
        actor=actor,
        now=now,
    )


def enrol(
    name: str, *, now: datetime, tier: int = 2, scopes: tuple[str, ...] = ("trade", "withdraw")
) -> Trader:
    """A trader at that tier, by the same actions as anybody."""
    actor = system("test")
    email, password = f"{name.lower()}@example.com", f"{name} has a password"
    customer = sign_up(email=email, password=password, country="CH", name=name, actor=actor, now=now)
    app = second_factor(customer.pk, now=now) if {*scopes} - {"read"} else None
    made = create_api_key(
        customer_id=customer.pk,
        scopes=scopes,
        passphrase=PASSPHRASE,
        confirmed=app.row if app else None,
        actor=actor,
        now=now,
    )
    _verify(customer, tier, actor=actor, now=now)
    customer.refresh_from_db()
    return Trader(customer, made.row.key, made.secret, recovery_codes=app.recovery_codes if app else ())


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
