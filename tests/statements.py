"""What Tom's customer key says in tests, and giving it to the desk."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from custody import actions
from custody.models import CustomerStatement
from customers.models import Customer as Row
from kernel import encodings
from kernel.intent import time_text
from tests.customers import Customer
from tests.traders import second_factor
from tests.treasury import Treasury, customer_actor
from tests.vault import Message


def key_of(row: Row, *, seed: int = 7) -> Customer:
    """A customer's signing key: the usual one, or another's of that seed."""
    return Customer(str(row.pk), seed=seed)


def take(
    treasury: Treasury, message: Message, *, now: datetime | None = None, by: Row | None = None
) -> CustomerStatement:
    """The statement as the API takes it from Tom, or from `by`."""
    row = by or treasury.tom
    return actions.take_statement(
        customer_id=row.pk,
        payload=encodings.from_base64url(message["payload"]),
        proof=message["proof"],
        label="Tom's home",
        confirmed=second_factor(row.pk, now=treasury.now).row,
        actor=customer_actor(row),
        now=now or treasury.now,
    )


def said(treasury: Treasury, what: str, *arguments: Any, at: datetime | None = None, **how: Any) -> Message:
    """What Tom signs: `what` is key, beneficiary or removal; other members by name."""
    moment = at or treasury.now
    seed = how.pop("seed", 7)
    changes = {"deployment": "test", "time": time_text(moment), **how}
    return getattr(key_of(treasury.tom, seed=seed), what)(*arguments, **changes)  # type: ignore[no-any-return]
