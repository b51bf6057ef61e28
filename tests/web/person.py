"""A trader at a desk, for tests: a password, and an app once there is one."""

from __future__ import annotations

import base64
import json
from datetime import datetime, timedelta
from secrets import token_hex
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from customers.actions import passwords
from customers.domain import links
from customers.models import Customer
from fixtures.authenticator import App
from tests.traders import Api, enrol
from tests.treasury import ROBOT

OWN: Final = "/api/countersign/v1"
STEP: Final = timedelta(seconds=30)


class Person:
    """Tom at his desk: his password, and his app once he has one."""

    def __init__(self, moment: list[datetime]) -> None:
        name = f"Tom{token_hex(4)}"  # guesses are counted by name, and outlive a test
        self.moment, self.shown = (
            moment,
            {"email": f"{name}@example.com", "password": f"{name} has a password"},
        )
        self.customer = enrol(name, now=moment[0], scopes=("read",)).customer

    def post(self, path: str, **fields: Any) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(Api().post(f"{OWN}/{path}", {**self.shown, **fields}).content)
        return said

    def code(self, path: str, **fields: Any) -> str:
        return str(self.post(path, **fields)["code"])

    def new_app(self, **fields: Any) -> App:
        """An app that has read the secret, as an app reads it."""
        (row,) = self.post("second-factor", **fields)["data"]
        (secret,) = parse_qs(urlsplit(row["uri"]).query)["secret"]
        assert secret == row["secret"]
        return App(base64.b32decode(secret + "=" * (-len(secret) % 8)))

    def digits(self, app: App, steps: int = 0) -> str:
        return app.code((self.moment[0] + steps * STEP).timestamp())

    def confirm(self, app: App) -> list[str]:
        (row,) = self.post("second-factor/confirm", code=self.digits(app))["data"]
        codes: list[str] = row["recoveryCodes"]
        return codes

    def link(self, settings: Any) -> str:
        """What the mail holds."""
        passwords.ask_new_password(email=self.shown["email"], actor=ROBOT, now=self.moment[0])
        row = Customer.objects.get(pk=self.customer.pk)
        assert row.password_asked_at is not None
        known = {"password": row.password, "field_key": settings.FIELD_KEY}
        return links.text(row.pk, asked_at=row.password_asked_at, **known)

    @property
    def held_until(self) -> datetime | None:
        return Customer.objects.get(pk=self.customer.pk).withdrawals_held_until
