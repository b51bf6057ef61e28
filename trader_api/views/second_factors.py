"""A customer's second factor, for whoever shows the password, and a code of the one that there is."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from customers.actions import (
    begin_authenticator,
    confirm_authenticator,
    remove_authenticator,
    report_lost_authenticator,
)
from customers.domain import authenticators
from trader_api import limits, rows
from trader_api.confirming import CODE_MAX
from trader_api.endpoint import Endpoint, object_of, word
from trader_api.envelope import ok
from trader_api.holders import by_password_alone, holder

ISSUER = "Countersign"


class SecondFactor(Endpoint):
    limit = limits.SIGN_UP

    def post(self, request: Request) -> Response:
        """A secret for an authenticator app, in this answer and nowhere else. It counts once confirmed."""
        of = holder(request, object_of(request), act="second-factor")
        draft = begin_authenticator(
            customer_id=of.customer.pk, confirmed=of.confirmed, actor=of.actor, now=self.now
        )
        return ok(
            [
                {
                    "secret": authenticators.base32(draft.secret),
                    "uri": authenticators.uri(draft.secret, account=of.customer.email, issuer=ISSUER),
                    "validFor": str(int(authenticators.DRAFT_FOR.total_seconds())),
                }
            ]
        )


class ConfirmedSecondFactor(Endpoint):
    limit = limits.SIGN_UP

    def post(self, request: Request) -> Response:
        """It counts from here on. The recovery codes are in this answer and nowhere else."""
        fields = object_of(request)
        of = by_password_alone(request, fields)
        made = confirm_authenticator(
            customer_id=of.customer.pk,
            code=word(fields, "code", required=True, largest=CODE_MAX),
            actor=of.actor,
            now=self.now,
        )
        until = made.withdrawals_held_until
        return ok(
            [
                {
                    "recoveryCodes": list(made.recovery_codes),
                    "withdrawalsHeldUntil": rows.ms(until) if until is not None else "",
                }
            ]
        )


class RemovedSecondFactor(Endpoint):
    limit = limits.SIGN_UP

    def post(self, request: Request) -> Response:
        """Have none any more."""
        of = holder(request, object_of(request), act="second-factor/remove")
        until = remove_authenticator(
            customer_id=of.customer.pk, confirmed=of.confirmed, actor=of.actor, now=self.now
        )
        return ok([{"withdrawalsHeldUntil": rows.ms(until)}])


class LostSecondFactor(Endpoint):
    limit = limits.SIGN_UP

    def post(self, request: Request) -> Response:
        """Say with a mailed link that app and recovery codes are lost: the account waits for people."""
        until = report_lost_authenticator(
            link=word(object_of(request), "link", required=True),
            actor=request._request.actor,  # type: ignore[attr-defined]
            now=self.now,
        )
        return ok([{"withdrawalsHeldUntil": rows.ms(until)}])
