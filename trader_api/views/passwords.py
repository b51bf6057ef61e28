"""A new password for whoever can read the mail of the account."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from customers.actions import ask_new_password, set_new_password
from customers.domain import links
from trader_api import limits, rows
from trader_api.endpoint import Endpoint, object_of, word
from trader_api.envelope import ok

TEXT_MAX = 254


class ForgottenPassword(Endpoint):
    limit = limits.SIGN_UP

    def post(self, request: Request) -> Response:
        """Mail a link to the account's address. The answer is the same where there is no such account."""
        ask_new_password(
            email=word(object_of(request), "email", required=True, largest=TEXT_MAX),
            actor=request._request.actor,  # type: ignore[attr-defined]
            now=self.now,
        )
        return ok([{"validFor": str(int(links.LIFE.total_seconds()))}])


class NewPassword(Endpoint):
    limit = limits.SIGN_UP

    def post(self, request: Request) -> Response:
        """Set it, by the text at the end of the mailed link."""
        fields = object_of(request)
        customer = set_new_password(
            link=word(fields, "link", required=True),
            password=word(fields, "password", required=True),
            actor=request._request.actor,  # type: ignore[attr-defined]
            now=self.now,
        )
        assert customer.withdrawals_held_until is not None  # it was set just now
        return ok([{"withdrawalsHeldUntil": rows.ms(customer.withdrawals_held_until)}])
