"""Endpoints of our own beside OKX's: joining, verification. The same envelope, another prefix."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Final

from django.db import connection
from rest_framework.request import Request
from rest_framework.response import Response

from core import clock
from customers.actions import sign_up
from kyc import queries as kyc
from kyc.actions import start_verification
from trader_api import limits, rows
from trader_api.endpoint import Endpoint, PrivateEndpoint, object_of, word
from trader_api.envelope import ok

TEXT_MAX: Final = 254
TOKEN_PATIENCE_S: Final = 3.0
POLL_S: Final = 0.05


class SignUp(Endpoint):
    limit = limits.SIGN_UP

    def post(self, request: Request) -> Response:
        """A customer at tier 0, who may only look."""
        fields = object_of(request)
        customer = sign_up(
            email=word(fields, "email", required=True, largest=TEXT_MAX),
            password=word(fields, "password", required=True),
            country=word(fields, "country", required=True),
            name=word(fields, "name"),
            actor=request._request.actor,  # type: ignore[attr-defined]
            now=self.now,
        )
        return ok([{"customer": str(customer.pk), "tier": str(customer.tier)}])


class Kyc(PrivateEndpoint):
    limit = limits.KYC

    def get(self, request: Request) -> Response:
        """The tier as it is now, and what it opens."""
        tier = kyc.effective_tier(self.trader.customer_id, now=self.now)
        row = {
            "tier": str(tier.rank),
            "name": tier.name,
            "opens": sorted(str(item) for item in tier.features),
        }
        return ok([row])

    def post(self, request: Request) -> Response:
        """Begin a verification: the provider's SDK token, as soon as a worker has fetched it."""
        fields = object_of(request)
        level = word(fields, "level", required=True)
        provider = word(fields, "provider") or "sumsub"
        start_verification(
            customer_id=self.trader.customer_id,
            level=level,
            provider=provider,
            actor=self.trader.actor,
            now=self.now,
        )
        return ok([self._access(level, provider)])

    def _access(self, level: str, provider: str) -> rows.Row:
        """Wait a little for the token: clients would only ask again."""
        deadline = time.monotonic() + TOKEN_PATIENCE_S
        while True:
            now: datetime = clock.now()
            found = kyc.sdk_access(self.trader.customer_id, level=level, provider=provider, now=now)
            if found.token or time.monotonic() >= deadline or connection.in_atomic_block:
                return {
                    "level": level,
                    "state": str(found.state),
                    "applicant": found.applicant,
                    "token": found.token,
                    "until": rows.ms(found.until) if found.until else "",
                    "message": found.message,
                }
            time.sleep(POLL_S)
