"""Payments that only tests make, whose quorum the policy sets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from core import approvals
from core.action import action
from core.actor import Actor
from core.approvals import kinds
from core.approvals.models import ApprovalRequest
from tests.officers import Officer

KIND: Final = "test.payment"
FACTS: Final = frozenset({"asset", "amount", "usd_cents", "customer", "destination_class"})
FREE: Final[dict[str, Any]] = {
    "name": "payments",
    "when": [["kind", "is", KIND]],
    "teams": {"treasury": 2},
    "rejections": 1,
}
"""The rule for those that no other rule is about."""


class Event(StrEnum):
    ASKED = "test.asked"


@contextmanager
def payments() -> Iterator[None]:
    """The kind is known."""
    approvals.register(
        approvals.Kind(name=KIND, permission="custody:withdrawal:approve", governed=True, facts=FACTS)
    )
    yield
    del kinds._registered[KIND]


@action(Event.ASKED)
def ask(
    *,
    maker: Officer,
    actor: Actor,
    now: datetime,
    subject: str = "test/1",
    facts: dict[str, Any] | None = None,
) -> ApprovalRequest:
    """Ask for one; a fact that is not given is null."""
    return approvals.open(
        KIND,
        lambda life: {"v": 1, "life_s": int(life.total_seconds())},
        maker=maker.identity,
        teams={"treasury": 1},
        subject=subject,
        actor=actor,
        now=now,
        facts={**dict.fromkeys(FACTS), **(facts or {})},
    )
