"""A new password for whoever can read the mail of the account."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from customers import queries as customers
from customers.actions import ask_new_password, set_new_password
from customers.domain import links
from trader_api import confirming, limits, rows
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
        """Set it, by the text in the mail, and a code where the account has a second factor."""
        fields = object_of(request)
        link = word(fields, "link", required=True)
        password = word(fields, "password", required=True)
        actor = request._request.actor  # type: ignore[attr-defined]
        named = customers.by_link(link, now=self.now)
        customer = set_new_password(
            link=link,
            password=password,
            confirmed=None
            if named is None
            else confirming.confirmed(named, fields, act="password/new", actor=actor, now=self.now),
            actor=actor,
            now=self.now,
        )
        assert customer.withdrawals_held_until is not None  # it was set just now
        return ok([{"withdrawalsHeldUntil": rows.ms(customer.withdrawals_held_until)}])
