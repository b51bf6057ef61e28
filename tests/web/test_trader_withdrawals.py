"""A trader whose withdrawal waits …"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest

from core import audit, clock
from core.action import action
from core.actor import Actor
from custody import actions
from custody.models import Withdrawal
from customers.actions import set_tier
from customers.domain import links
from customers.events import Event
from customers.models import Customer
from tests.traders import Api, Trader, enrol
from tests.treasury import BTC, ROBOT, Treasury, customer_actor

pytestmark = pytest.mark.django_db

SMALL = BTC // 100


@pytest.fixture
def trader(settings: Any) -> Trader:
    return enrol("Tamara", now=clock.now(), tier=2, scopes=("read",))


@pytest.fixture
def treasury(trader: Trader) -> Treasury:
    """With two coins of hers."""
    found = Treasury.open(clock.now())
    found.tom = trader.customer
    for _ in range(2):
        found.deposit(BTC)
    return found


def told(trader: Trader, row: Withdrawal) -> tuple[str, str]:
    path = f"/api/v5/asset/withdrawal-history?wdId={row.pk}"
    (found,) = json.loads(Api(trader).get(path).content)["data"]
    return found["state"], found["waitsBecause"]


@action(Event.TIER_SET)
def _set_tier(*, customer_id: object, tier: int, actor: Actor, now: datetime) -> None:
    set_tier(customer_id=customer_id, tier=tier, reason="forged papers", actor=actor, now=now)  # type: ignore[arg-type]


@action(Event.PASSWORD_SET)
def _hold(*, customer_id: object, actor: Actor, now: datetime) -> None:
    """Without the new password itself, which would end her key."""
    Customer.objects.filter(pk=customer_id).update(withdrawals_held_until=now + links.HELD_FOR)
    audit.record(Event.PASSWORD_SET, f"customers.customer/{customer_id}", actor=actor, now=now)


def test_is_told_that_it_is_the_tier_as_long_as_it_is(trader: Trader, treasury: Treasury) -> None:
    approved, sent = treasury.approved(sats=SMALL), treasury.broadcast(treasury.approved(sats=SMALL))
    assert told(trader, approved) == ("7", "")
    _set_tier(customer_id=trader.customer.pk, tier=1, actor=ROBOT, now=treasury.now)
    state, why = told(trader, approved)
    assert (state, why.split(",")[0]) == ("7", "Your tier was lowered since you asked")
    assert told(trader, sent.owner) == ("1", ""), "what a node has goes on"
    _set_tier(customer_id=trader.customer.pk, tier=2, actor=ROBOT, now=treasury.now)
    assert told(trader, approved) == ("7", "")


def test_is_told_until_when_a_new_password_holds_it(trader: Trader, treasury: Treasury) -> None:
    row = treasury.request(SMALL)
    other = treasury.request(SMALL)
    actions.cancel_withdrawal(withdrawal_id=other.pk, actor=customer_actor(trader.customer), now=treasury.now)
    _hold(customer_id=trader.customer.pk, actor=ROBOT, now=treasury.now)
    state, why = told(trader, row)
    assert state == "0"
    assert "nothing is withdrawn before" in why
    assert told(trader, other) == ("-2", "")
