"""What people are told of the venue when it cannot wait until somebody looks at a screen."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings

from core import outbox
from core.access import rights
from core.access.models import Identity, Kind
from core.factors.events import OfficerTold, OutsideTold
from engine_bridge.domain.fees import Rates, texts
from engine_bridge.domain.markets import Band
from engine_bridge.models import AccountFees, EngineCursor, Instrument
from engine_bridge.permissions import Permission


def settlement_stands(cursor: EngineCursor, reason: str, *, now: datetime) -> None:
    """Tell whoever may see the markets by mail, and the webhook: trading goes on, and nothing of it is
    booked until somebody has looked.
    """
    subject = "Settlement stands still"
    text = (
        f"{subject}. Trading goes on, but nothing of it is booked: balances, orders and fills are as of\n"
        f"event {cursor.last_event_seq}. Nothing was skipped; it goes on by itself without the cause.\n\n"
        f"Why: {reason}\n\n"
        f"See {settings.CONSOLE_ORIGIN}/engine/ and the runbook engine-down.\n"
    )
    _tell(f"settlement/{cursor.shard}/{now:%Y%m%dT%H%M%S}", subject, text, now=now)


def fees_deviate(row: AccountFees, told: Rates | None, *, now: datetime) -> None:
    """Tell the same people that the engine takes fees of an account that nobody approved."""
    subject = "Fees in the engine that nobody approved"
    wanted, found = (" and ".join(texts(own)) for own in (row.own, told))
    text = (
        f"{subject}: of account {row.pk} it takes {found} (maker and taker, in millionths),\n"
        f"where {wanted} was approved. It is being told what was approved. Somebody who reaches the\n"
        f"engine's admin socket, or a journal of another day, made the difference: find out who.\n\n"
        f"See {settings.CONSOLE_ORIGIN}/fees/ and the runbook engine-down.\n"
    )
    _tell(f"fees/{row.pk}/{now:%Y%m%dT%H%M%S}", subject, text, now=now)


def band_deviates(row: Instrument, found: Band, *, now: datetime) -> None:
    """Tell the same people that the engine holds orders against a band that nobody asked for."""
    subject = f"A price band of {row.symbol} that nobody asked for"
    text = (
        f"{subject} is in the engine: {found.ppm} millionths, where {row.band_ppm} were wanted. It is being\n"
        f"told what is wanted. Somebody who reaches the engine's admin socket made the difference: find out\n"
        f"who.\n\n"
        f"See {settings.CONSOLE_ORIGIN}/markets/{row.symbol}/ and the runbook engine-down.\n"
    )
    _tell(f"band/{row.pk}/{now:%Y%m%dT%H%M%S}", subject, text, now=now)


def _tell(notice: str, subject: str, text: str, *, now: datetime) -> None:
    told = {"notice": notice, "subject": subject, "text": text}
    for person in Identity.objects.filter(kind=Kind.OFFICER, is_active=True):
        if rights.allowed(person, Permission.SEE_MARKETS, now):
            outbox.publish(OfficerTold(identity=str(person.pk), **told), now=now)
    outbox.publish(OutsideTold(at=now.isoformat(timespec="seconds"), **told), now=now)
