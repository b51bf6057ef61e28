"""A customer's API keys, for whoever shows the password and a code of the second factor: made, listed, taken
back.

The password is above every key, so a key that somebody else has can neither hide nor keep itself.
"""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework.request import Request
from rest_framework.response import Response

from core.refusals import NotFound
from customers import queries as customers
from customers.actions import create_api_key, revoke_api_key
from customers.models import ApiKey
from trader_api import limits, rows
from trader_api.endpoint import Endpoint, object_of, word
from trader_api.envelope import ok
from trader_api.errors import ApiError, bad
from trader_api.holders import holder


class ApiKeys(Endpoint):
    limit = limits.SIGN_UP

    def post(self, request: Request) -> Response:
        """A key for the API. Its secret is in this answer and nowhere else, ever."""
        fields = object_of(request)
        of = holder(request, fields, act="api-keys")
        made = create_api_key(
            customer_id=of.customer.pk,
            scopes=_words(fields, "scopes"),
            passphrase=word(fields, "passphrase", required=True),
            ip_allowlist=_words(fields, "ipAllowlist") if fields.get("ipAllowlist") else (),
            label=word(fields, "label"),
            shown=of.customer.password,
            confirmed=of.confirmed,
            actor=of.actor,
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
        of = holder(request, object_of(request), act="api-keys/list")
        return ok([_shown(row) for row in customers.api_keys_of(of.customer.pk)])


class RevokedApiKey(Endpoint):
    limit = limits.SIGN_UP
    is_stopped: ClassVar[bool] = False

    def post(self, request: Request) -> Response:
        """Take a key back: the next call that is signed with it is refused."""
        fields = object_of(request)
        of = holder(request, fields, act="api-keys/revoke")
        try:
            row = revoke_api_key(
                key=word(fields, "apiKey", required=True),
                customer_id=of.customer.pk,
                actor=of.actor,
                now=self.now,
            )
        except NotFound:
            raise ApiError("51000", "Nothing was revoked: you have no such API key.") from None
        return ok([_shown(row)])


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


def _words(fields: Any, name: str) -> list[str]:
    value = fields.get(name)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value) or len(value) > 50:
        raise bad(name)
    return value
