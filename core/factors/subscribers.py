"""Answers to the app's own messages: alerts that leave the house."""

from __future__ import annotations

from datetime import datetime

from core import outbox
from core.factors import tasks
from core.factors.events import GlassAlerted, OfficerAlerted, OfficerTold, OutsideTold


@outbox.subscriber(OfficerAlerted, name="factors.mail")
def mail(message: OfficerAlerted, *, now: datetime) -> None:
    """A mail to the officer."""
    tasks.mail(message.identity, message.glass, message.what, now=now)


@outbox.subscriber(GlassAlerted, name="factors.webhook")
def webhook(message: GlassAlerted, *, now: datetime) -> None:
    """One call to the webhook."""
    tasks.webhook(message.glass, message.what, now=now)


@outbox.subscriber(OfficerTold, name="factors.mail_notice")
def mail_notice(message: OfficerTold, *, now: datetime) -> None:
    """A mail to the officer."""
    tasks.mail_notice(message, now=now)


@outbox.subscriber(OutsideTold, name="factors.webhook_notice")
def webhook_notice(message: OutsideTold, *, now: datetime) -> None:
    """One call to the webhook."""
    tasks.webhook_notice(message, now=now)
