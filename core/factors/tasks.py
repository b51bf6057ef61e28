"""Telling people outside: read, hand over, write down that it was handed over. A worker does it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.conf import settings

from core.access.models import Identity
from core.actor import system
from core.factors.actions.alerting import record_alert, record_notice
from core.factors.adapters import channels
from core.factors.domain.alerts import MAIL, WEBHOOK, Alert, Notice, signature
from core.factors.events import OfficerTold, OutsideTold
from core.factors.models import Glass, HandedOver


def mail(identity: str, glass: str, what: str, *, now: datetime) -> None:
    """One officer's mail, unless it was handed over already or no server is set."""
    alert = Alert(MAIL, settings.DEPLOYMENT, UUID(glass), what, identity)
    person = Identity.objects.get(pk=identity)
    if not settings.ALERT_SMTP_URL or not person.email or _done(alert):
        return
    text = alert.text(people=" and ".join(_people(_glass(alert))), console=settings.CONSOLE_ORIGIN)
    receipt = _hand_to(person, subject=alert.subject, text=text, id_=alert.id)
    record_alert(alert=alert, receipt=receipt, actor=system("alerts"), now=now)


def webhook(glass: str, what: str, *, now: datetime) -> None:
    """The one message to the webhook, unless it was handed over already or none is set."""
    alert = Alert(WEBHOOK, settings.DEPLOYMENT, UUID(glass), what)
    if not settings.ALERT_WEBHOOK_URL or _done(alert):
        return
    row = _glass(alert)
    moment = {"asked": row.asked_at, "opened": row.opened_at, "ended": row.ended_at}[what]
    assert moment is not None  # the step that is announced has happened
    receipt = _call(alert.body(people=_people(row), at=moment.isoformat(timespec="seconds")), now=now)
    record_alert(alert=alert, receipt=receipt, actor=system("alerts"), now=now)


def mail_notice(told: OfficerTold, *, now: datetime) -> None:
    """One officer's mail about a notice, if a server is set. After a crash it may come twice, by one id."""
    notice = Notice(MAIL, settings.DEPLOYMENT, told.notice, told.subject, told.text, told.identity)
    person = Identity.objects.get(pk=told.identity)
    if settings.ALERT_SMTP_URL and person.email:
        subject = f"[{settings.DEPLOYMENT}] {notice.subject}"
        receipt = _hand_to(person, subject=subject, text=notice.text, id_=notice.id)
        record_notice(notice=notice, receipt=receipt, actor=system("alerts"), now=now)


def webhook_notice(told: OutsideTold, *, now: datetime) -> None:
    """The one call of the webhook about a notice, if one is set; likewise."""
    notice = Notice(WEBHOOK, settings.DEPLOYMENT, told.notice, told.subject, told.text)
    if settings.ALERT_WEBHOOK_URL:
        receipt = _call(notice.body(at=told.at), now=now)
        record_notice(notice=notice, receipt=receipt, actor=system("alerts"), now=now)


def _hand_to(person: Identity, *, subject: str, text: str, id_: UUID) -> str:
    return channels.mail(
        url=settings.ALERT_SMTP_URL,
        sender=settings.ALERT_FROM,
        to=person.email,
        subject=subject,
        text=text,
        id_=id_,
    )


def _call(body: bytes, *, now: datetime) -> str:
    if not settings.ALERT_WEBHOOK_SECRET:
        raise channels.NotTaken("ALERT_WEBHOOK_SECRET is not set: nobody could tell this from a forged one")
    signed = signature(body, secret=settings.ALERT_WEBHOOK_SECRET, at_s=int(now.timestamp()))
    return channels.webhook(url=settings.ALERT_WEBHOOK_URL, body=body, signed=signed)


def _done(alert: Alert) -> bool:
    return HandedOver.objects.filter(pk=alert.id).exists()


def _glass(alert: Alert) -> Glass:
    return Glass.objects.select_related("asked_by", "seconded_by").get(pk=alert.glass)


def _people(row: Glass) -> list[str]:
    return [person.display_name for person in (row.asked_by, row.seconded_by) if person is not None]
