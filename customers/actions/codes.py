"""Taking a code of a customer's second factor."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.conf import settings

from core import audit, outbox
from core.action import action
from core.actor import Actor
from core.factors import judging
from customers.domain import authenticators
from customers.domain.authenticators import State
from customers.events import CustomerMailed, Event
from customers.models import Authenticator, RecoveryCode

RECOVERY_CODE_USED: Final = "recovery_code_used"
WAIT: Final = "factors.wait"
_WRONG: Final = "The code is wrong or was used already. Take the next one that your app shows."
_SENTENCES: Final = {
    WAIT: "Too many wrong codes. Wait a little (at most about an hour), or give a recovery code.",
    "factors.unknown": "This account has no second factor any more.",
}


@dataclass(frozen=True, slots=True)
class Checked:
    """Of which authenticator the code was, or why it was not taken (a stable code and a sentence)."""

    fault: str = ""
    authenticator: UUID | None = None

    @property
    def sentence(self) -> str:
        """The reason, for the customer."""
        return _SENTENCES.get(self.fault, _WRONG)


@action(Event.CODE_ACCEPTED)
def check_code(*, customer_id: UUID, code: str, act: str, actor: Actor, now: datetime) -> Checked:
    """Use up a code of the customer's app, or one of their recovery codes, for the act of this name.

    It raises nothing and so rolls nothing back: a wrong code must count. Each one doubles the wait for the
    next; two at once are judged one after the other. While one has to wait nothing is looked at or written.
    """
    row = Authenticator.objects.select_for_update().filter(user_id=customer_id, state=State.ACTIVE).first()
    plain = authenticators.plain_recovery_code(code)
    checked, left = Checked("factors.unknown"), None
    if row is not None and plain is not None:
        checked, left = _recovery_code(row, plain, now=now)
    elif row is not None:
        checked = _digits(row, "".join(code.split()), now=now)
    if checked.fault == WAIT:
        return checked
    audit.record(
        Event.CODE_REFUSED if checked.fault else Event.CODE_ACCEPTED,
        row or f"customers.customer/{customer_id}",
        actor=actor,
        now=now,
        after={"customer": customer_id, "act": act, "code": checked.fault, "recovery_codes_left": left},
        reason=checked.sentence if checked.fault else "",
    )
    if left is not None:
        outbox.publish(
            CustomerMailed(customer=str(customer_id), what=RECOVERY_CODE_USED, at=now.isoformat()), now=now
        )
    return checked


def _digits(row: Authenticator, digits: str, *, now: datetime) -> Checked:
    try:
        judging.first_right([row], digits, now=now)
    except judging.Wrong as wrong:
        return Checked(str(wrong))
    return Checked(authenticator=row.pk)


def _recovery_code(row: Authenticator, plain: str, *, now: datetime) -> tuple[Checked, int | None]:
    """The outcome, and how many are left where this was one."""
    hashed = authenticators.hash_recovery_code(plain, field_key=settings.FIELD_KEY, authenticator=row.pk)
    mine = RecoveryCode.objects.filter(authenticator=row, used_at=None)
    if not mine.filter(hashed=hashed).update(used_at=now):
        return Checked("factors.wrong_code"), None
    return Checked(authenticator=row.pk), mine.count()
