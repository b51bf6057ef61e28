"""Alerts that leave the house: answers to the app's own messages, and to the staff's."""

from __future__ import annotations

from datetime import datetime

from core import outbox
from core.factors import tasks
from core.factors.events import GlassAlerted, OfficerAlerted, OfficerTold, OutsideTold
from core.staff.events import OfficerToldOfWayBack, OutsideToldOfWayBack


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


@outbox.subscriber(OfficerToldOfWayBack, name="factors.mail_way_back")
def mail_way_back(message: OfficerToldOfWayBack, *, now: datetime) -> None:
    """A mail to the officer."""
    told = OfficerTold(
        identity=message.identity,
        notice=f"way_back/{message.request}",
        subject=message.subject,
        text=message.text,
    )
    tasks.mail_notice(told, now=now)


@outbox.subscriber(OutsideToldOfWayBack, name="factors.webhook_way_back")
def webhook_way_back(message: OutsideToldOfWayBack, *, now: datetime) -> None:
    """One call to the webhook."""
    told = OutsideTold(
        notice=f"way_back/{message.request}", subject=message.subject, text=message.text, at=message.at
    )
    tasks.webhook_notice(told, now=now)
