"""Closing an account for good, as part of erasing whose it was."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from core import action
from core.access.models import Identity
from core.refusals import NotFound
from customers.domain.authenticators import State
from customers.models import ApiKey, Authenticator, Customer

NO_PASSWORD: Final = "!"  # noqa: S105 - what no password hashes to
NOBODY: Final = "erased"
"""What the account is called from then on; its e-mail is one that no mail reaches (RFC 2606)."""


def close_account(*, customer_id: UUID, now: datetime) -> Customer:
    """Nobody comes in by it any more, and it says no name: a primitive, inside the open action. Again: the
    same. NotFound.

    The customer's row stays locked to the end of the action, so nothing is asked for beside it.
    """
    action.current()
    row = Customer.objects.select_for_update(of=("self",)).filter(pk=customer_id).first()
    if row is None:
        raise NotFound("There is no such customer.", target=f"customers.customer/{customer_id}")
    Customer.objects.filter(pk=row.pk).update(password=NO_PASSWORD, password_asked_at=None)
    ApiKey.objects.filter(customer=row, revoked_at=None).update(revoked_at=now)
    Authenticator.objects.filter(user_id=row.pk).exclude(state=State.ENDED).update(
        state=State.ENDED, ended_at=now
    )
    Identity.objects.filter(pk=row.pk).update(
        is_active=False, display_name=NOBODY, email=f"{row.pk}@erased.invalid"
    )
    return row
