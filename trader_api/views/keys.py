"""A customer's API keys, for whoever shows the password: made, listed, taken back.

The password is above every key, so a key that somebody else has can neither hide nor keep itself.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

from rest_framework.request import Request
from rest_framework.response import Response

from core import clock
from core.actor import Actor
from core.refusals import NotFound
from customers import queries as customers
from customers.actions import create_api_key, revoke_api_key
from customers.models import ApiKey, Customer
from trader_api import guessing, limits, rows
from trader_api.endpoint import Endpoint, object_of, word
from trader_api.envelope import ok
from trader_api.errors import ApiError, bad
from trader_api.turning_away import on_record

TEXT_MAX: Final = 254


class ApiKeys(Endpoint):
    limit = limits.SIGN_UP

    def post(self, request: Request) -> Response:
        """A key for the API. Its secret is in this answer and nowhere else, ever."""
        fields = object_of(request)
        customer = _holder(request, fields)
        made = create_api_key(
            customer_id=customer.pk,
            scopes=_words(fields, "scopes"),
            passphrase=word(fields, "passphrase", required=True),
            ip_allowlist=_words(fields, "ipAllowlist") if fields.get("ipAllowlist") else (),
            label=word(fields, "label"),
            shown=customer.password,
            actor=_as_customer(request, customer),
            now=self.now,
        )
        return ok(
            [
                {
                    "apiKey": made.row.key,
                    "secretKey": made.secret,
                    "scopes": list(made.row.scopes),
                    "ipAllowlist": list(made.row.ip_allowlist),
                }
            ]
        )


class ListedApiKeys(Endpoint):
    limit = limits.SIGN_UP
    is_stopped: ClassVar[bool] = False

    def post(self, request: Request) -> Response:
        """Every key that was ever made, newest first, without what is secret about it."""
        customer = _holder(request, object_of(request))
        return ok([_shown(row) for row in customers.api_keys_of(customer.pk)])


class RevokedApiKey(Endpoint):
    limit = limits.SIGN_UP
    is_stopped: ClassVar[bool] = False

    def post(self, request: Request) -> Response:
        """Take a key back: the next call that is signed with it is refused."""
        fields = object_of(request)
        customer = _holder(request, fields)
        try:
            row = revoke_api_key(
                key=word(fields, "apiKey", required=True),
                customer_id=customer.pk,
                actor=_as_customer(request, customer),
                now=self.now,
            )
        except NotFound:
            raise ApiError("51000", "Nothing was revoked: you have no such API key.") from None
        return ok([_shown(row)])


def _holder(request: Request, fields: Any) -> Customer:
    """Whose e-mail and password these are; WrongPassword, on record where there is such a customer.
    50011 where too many were tried.
    """
    email = word(fields, "email", required=True, largest=TEXT_MAX)
    password = word(fields, "password", required=True)
    guessing.count(email, request, now=clock.now())
    try:
        found = customers.by_password(email=email, password=password)
    except customers.WrongPassword as refusal:
        if refusal.target:
            actor = request._request.actor  # type: ignore[attr-defined]
            on_record(refusal.target, refusal.code, str(refusal), actor=actor)
        raise
    guessing.was_right(email, request)
    return found


def _shown(row: ApiKey) -> rows.Row:
    return {
        "apiKey": row.key,
        "label": row.label,
        "scopes": list(row.scopes),
        "ipAllowlist": list(row.ip_allowlist),
        "createdAt": rows.ms(row.created_at),
        "lastUsedAt": rows.ms(row.last_used_at) if row.last_used_at else "",
        "revokedAt": rows.ms(row.revoked_at) if row.revoked_at else "",
    }


def _as_customer(request: Request, customer: Customer) -> Actor:
    seen: Actor = request._request.actor  # type: ignore[attr-defined]
    return Actor(
        identity=customer.pk, kind="customer", label="password", ip=seen.ip, request_id=seen.request_id
    )


def _words(fields: Any, name: str) -> list[str]:
    value = fields.get(name)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value) or len(value) > 50:
        raise bad(name)
    return value
