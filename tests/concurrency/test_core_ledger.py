"""Two withdrawals of the same coins …"""

import threading
from datetime import datetime
from enum import StrEnum
from uuid import UUID, uuid4

from django.db import connection

from core import audit, ledger
from core.action import action
from core.actor import Actor
from core.ledger import AccountKind, Leg, invariants
from core.ledger.entries import InsufficientFunds
from core.ledger.models import Hold
from kernel.money import Amount


class Event(StrEnum):
    MOVED = "test.moved"


@action(Event.MOVED)
def deposit(*, owner: UUID, actor: Actor, now: datetime) -> None:
    customer = ledger.account(AccountKind.CUSTOMER_FUNDING, "BTC", owner)
    wallet = ledger.account(AccountKind.HOT_WALLET, "BTC")
    legs = [Leg(customer, Amount(100, "BTC")), Leg(wallet, Amount(-100, "BTC"))]
    ledger.post("custody.deposit", str(owner), legs, now=now)
    audit.record(Event.MOVED, f"test/{owner}", actor=actor, now=now)


@action(Event.MOVED)
def reserve(*, owner: UUID, reference: str, actor: Actor, now: datetime) -> None:
    ledger.hold(
        ledger.account(AccountKind.CUSTOMER_FUNDING, "BTC", owner), Amount(60, "BTC"), reference, now=now
    )
    audit.record(Event.MOVED, f"test/{reference}", actor=actor, now=now)


def test_leave_one_hold(real_database: str, robot: Actor, now: datetime) -> None:
    for _ in range(5):
        owner = uuid4()
        deposit(owner=owner, actor=robot, now=now)
        barrier, outcomes = threading.Barrier(4), []

        def attempt(
            number: int,
            owner: UUID = owner,
            barrier: threading.Barrier = barrier,
            outcomes: list[str] = outcomes,
        ) -> None:
            try:
                barrier.wait()
                reserve(owner=owner, reference=f"{owner}/{number}", actor=robot, now=now)
                outcomes.append("held")
            except InsufficientFunds:
                outcomes.append("refused")
            finally:
                connection.close()

        threads = [threading.Thread(target=attempt, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(outcomes) == ["held", "refused", "refused", "refused"]
        assert Hold.objects.filter(account__owner=owner).count() == 1
    assert not any(invariants.broken().values())
