"""What the customers app writes into the audit log and announces."""

from __future__ import annotations

from enum import StrEnum

from core import outbox


class Event(StrEnum):
    """Acts on customers and their keys."""

    SIGNED_UP = "customers.customer.signed_up"
    PASSWORD_ASKED = "customers.customer.password_asked"  # noqa: S105 - the name of an act
    PASSWORD_SET = "customers.customer.password_set"  # noqa: S105 - the name of an act
    AUTHENTICATOR_BEGUN = "customers.authenticator.begun"
    AUTHENTICATOR_CONFIRMED = "customers.authenticator.confirmed"
    AUTHENTICATOR_REMOVED = "customers.authenticator.removed"
    AUTHENTICATOR_REPORTED = "customers.authenticator.reported_lost"
    AUTHENTICATOR_LOST = "customers.authenticator.lost"
    CODE_ACCEPTED = "customers.code.accepted"
    CODE_REFUSED = "customers.code.refused"
    HOLD_BEGUN_ANEW = "customers.customer.hold_begun_anew"
    TIER_SET = "customers.customer.tier_set"
    API_KEY_CREATED = "customers.api_key.created"
    API_KEY_REVOKED = "customers.api_key.revoked"
    CALL_REFUSED = "customers.call.refused"
    CUSTOMER_READ = "customers.customer.read"


@outbox.message("customers.signed_up")
class CustomerSignedUp:
    """A customer exists; apps that keep something per customer prepare it."""

    customer: str


@outbox.message("customers.tier_set")
class TierSet:
    """A customer's effective tier changed; limits that follow from it are looked at again."""

    customer: str
    before: int
    after: int


@outbox.message("customers.authenticator_lost")
class AuthenticatorLost:
    """By a mailed link somebody said that this authenticator is lost; the account is to be frozen with it."""

    customer: str
    authenticator: str


@outbox.message("customers.mailed")
class CustomerMailed:
    """A customer is to hear by mail of their own account; `at` is when it happened."""

    customer: str
    what: str
    at: str
