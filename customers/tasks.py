"""Mail to customers about their own account: written and handed over by a worker, after the commit."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID, uuid5

from django.conf import settings

from core.factors.adapters import channels
from customers.actions import authenticators, codes, passwords
from customers.domain import links
from customers.events import CustomerMailed
from customers.models import Customer

_NAMES: Final = UUID("0198f2a0-7c1e-7b6a-9c55-5b7f1d0e6a31")


def mail(told: CustomerMailed, *, now: datetime) -> None:
    """One mail, if a server is set. After a crash it may come twice, by one id.

    The link is made here, from what the row says now: so it lies in no message, no log and no table.
    """
    row = Customer.objects.select_related("identity").get(pk=UUID(told.customer))
    if not settings.ALERT_SMTP_URL or not row.identity.is_active:
        return
    if told.what == passwords.LINK:
        asked_at = row.password_asked_at
        if asked_at is None or asked_at.isoformat() != told.at or now >= asked_at + links.LIFE:
            return
        link = links.text(row.pk, asked_at=asked_at, password=row.password, field_key=settings.FIELD_KEY)
        subject, text = (
            "A new password",
            _ASKED.format(
                link=link,
                where=f"{settings.API_ORIGIN}/api/countersign/v1/password/new",
                until=asked_at + links.LIFE,
            ),
        )
    else:
        subject, text = _TOLD[told.what]
        until = row.withdrawals_held_until
        text = text.format(
            at=datetime.fromisoformat(told.at),
            held=f"Nothing is withdrawn before {until:%Y-%m-%d %H:%M} UTC. " if until and now < until else "",
        )
    channels.mail(
        url=settings.ALERT_SMTP_URL,
        sender=settings.ALERT_FROM,
        to=row.email,
        subject=subject,
        text=text,
        id_=uuid5(_NAMES, f"{told.customer} {told.what} {told.at}"),
    )


_ASKED: Final = """\
Somebody asked for a new password for your account. If it was you, give this as the
`link`, with the new `password`, to {where}
before {until:%Y-%m-%d %H:%M} UTC. It works once:

{link}

If the account has a second factor, give a `code` of it as well. With a new password
all your API keys end, and nothing is withdrawn for 24 hours.
If it was not you, do nothing: your password stays as it is.
"""
_TOLD: Final = {
    passwords.DONE: (
        "Your password was changed",
        """\
Your account got a new password at {at:%Y-%m-%d %H:%M} UTC, by a link that was mailed to you.
All API keys ended. {held}

If it was not you, somebody reads your mail: write to support now.
""",
    ),
    authenticators.CONFIRMED: (
        "An authenticator app was added to your account",
        """\
Since {at:%Y-%m-%d %H:%M} UTC an authenticator app is the second factor of your account, and no
other is. {held}

If it was not you, somebody knows your password: write to support now.
""",
    ),
    authenticators.REMOVED: (
        "Your account has no second factor any more",
        """\
At {at:%Y-%m-%d %H:%M} UTC the authenticator app of your account was removed, by one of its codes.
{held}

If it was not you, ask for a new password and write to support now.
""",
    ),
    authenticators.LOST: (
        "Your account is frozen: your second factor was said to be lost",
        """\
Your account was frozen at {at:%Y-%m-%d %H:%M} UTC: by a link that was mailed to you somebody said
that your authenticator app and your recovery codes are lost. All API keys ended.
{held}

If it was you, write to support: people will ask who you are, and then release the account.
If it was not you, somebody reads your mail: write to support now.
""",
    ),
    codes.RECOVERY_CODE_USED: (
        "A recovery code of your account was used",
        """\
One of the recovery codes of your account was used at {at:%Y-%m-%d %H:%M} UTC. It works no more.

If it was not you, replace your authenticator app, which makes all the codes new.
""",
    ),
}
