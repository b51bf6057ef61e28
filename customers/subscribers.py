"""Answers to the app's own messages: the work that needs a mail server, done by a worker after the commit."""

from __future__ import annotations

from datetime import datetime

from core import outbox
from customers import tasks
from customers.events import CustomerMailed


@outbox.subscriber(CustomerMailed, name="customers.mail")
def mail(message: CustomerMailed, *, now: datetime) -> None:
    """A mail to the customer."""
    tasks.mail(message, now=now)
