"""A new password for a customer who forgot theirs, or fears that somebody else knows it."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from django.conf import settings
from django.contrib.auth.hashers import make_password

from core import audit, outbox
from core.action import action
from core.actor import Actor
from core.refusals import NotAllowed
from customers import queries
from customers.actions.signing_up import check_password
from customers.domain import links
from customers.events import CustomerMailed, Event
from customers.models import ApiKey, Customer

LINK: Final = "link"
DONE: Final = "done"


class BadLink(NotAllowed):
    """The link is none of ours, was used, is too old, or a newer one was sent."""

    code = "customer.link"


@action(Event.PASSWORD_ASKED)
def ask_new_password(*, email: str, actor: Actor, now: datetime) -> None:
    """Have a link mailed, if there is such a customer and none was sent just before. Nobody is told which."""
    row = (
        Customer.objects.select_for_update(of=("self",))
        .filter(identity__email=email.strip().lower(), identity__is_active=True)
        .first()
    )
    if row is None or links.was_just_asked(row.password_asked_at, now=now):
        return
    Customer.objects.filter(pk=row.pk).update(password_asked_at=now)
    audit.record(Event.PASSWORD_ASKED, row, actor=actor, now=now, after={"until": now + links.LIFE})
    outbox.publish(CustomerMailed(customer=str(row.pk), what=LINK, at=now.isoformat()), now=now)


@action(Event.PASSWORD_SET)
def set_new_password(
    *, link: str, password: str, confirmed: UUID | None = None, actor: Actor, now: datetime
) -> Customer:
    """Another password, by a mailed link, which is used up with it. Where the customer has a second factor, a
    code of it came with the link (`confirmed`).

    Every API key ends, since whoever knew the old password may have made one; and nothing is withdrawn for a
    day, since whoever reads the customer's mail may have done this.
    """
    check_password(password, undone="Nothing was changed")
    row = (
        Customer.objects.select_for_update(of=("self",))
        .filter(pk=links.customer_of(link), identity__is_active=True)
        .first()
    )
    if row is None:
        raise BadLink(_SPENT)
    if not links.is_in_force(
        *(link, row.pk),
        asked_at=row.password_asked_at,
        password=row.password,
        field_key=settings.FIELD_KEY,
        now=now,
    ):
        raise BadLink(_SPENT, target=audit.name_of(row))
    queries.check_confirmed(row.pk, confirmed, undone="Nothing was changed")
    row.password, row.password_asked_at = make_password(password), None
    row.withdrawals_held_until = links.held_until(row.withdrawals_held_until, links.HELD_FOR, now=now)
    row.save(update_fields=["password", "password_asked_at", "withdrawals_held_until"])
    standing = ApiKey.objects.select_for_update().filter(customer=row, revoked_at=None).order_by("created_at")
    ended = [one.key for one in standing]
    ApiKey.objects.filter(customer=row, revoked_at=None).update(revoked_at=now)
    audit.record(
        Event.PASSWORD_SET,
        row,
        actor=actor,
        now=now,
        after={"api_keys_revoked": ended, "withdrawals_held_until": row.withdrawals_held_until},
    )
    outbox.publish(CustomerMailed(customer=str(row.pk), what=DONE, at=now.isoformat()), now=now)
    return row


_SPENT: Final = (
    "Nothing was changed: the link was used, is too old, or a newer one was sent. Ask for another."
)
