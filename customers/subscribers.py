"""Answers to the app's own messages: what needs a mail server, or a right that the traders' door lacks."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from core import outbox
from core.actor import system
from customers import actions, tasks
from customers.events import AuthenticatorLost, CustomerMailed


@outbox.subscriber(CustomerMailed, name="customers.mail")
def mail(message: CustomerMailed, *, now: datetime) -> None:
    """A mail to the customer."""
    tasks.mail(message, now=now)


@outbox.subscriber(AuthenticatorLost, name="customers.freeze")
def freeze(message: AuthenticatorLost, *, now: datetime) -> None:
    """The account is frozen, and the lost authenticator ends."""
    actions.end_lost_authenticator(
        authenticator_id=UUID(message.authenticator), actor=system("doorkeeper"), now=now
    )
