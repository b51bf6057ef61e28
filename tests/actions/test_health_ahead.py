"""A moment that has not come …"""

from __future__ import annotations

import io
import re
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command

from core import clock
from core.freezes.actions import pull_freeze
from core.health import ahead
from custody.models import Block
from customers import actions, queries
from customers.domain.authenticators import HELD_AFTER_LOSS
from customers.models import Customer
from tests.traces import Trace
from tests.treasury import ROBOT, Treasury, trader

pytestmark = pytest.mark.django_db

RUNBOOK = Path(__file__).resolve().parents[2] / "docs/runbooks/clock-far-ahead.md"


def test_is_listed_wherever_it_stands_and_a_deadline_only_beyond_every_one_of_ours() -> None:
    now = clock.now()  # some columns are filled in by the database
    treasury = Treasury.open(now)
    Customer.objects.update(withdrawals_held_until=now + HELD_AFTER_LOSS)
    assert list(ahead.found(now=now)) == [], "deadlines lie ahead, and are right"
    pull_freeze(scope="asset:BTC", reason="odd", actor=treasury.staff.sam.actor, now=now + timedelta(days=90))
    treasury.now += timedelta(days=90)
    treasury.mine()
    found = {one.column: one for one in ahead.found(now=now)}
    assert {"freezes_freeze.pulled_at", "custody_block.read_at"} <= found.keys()
    one = found["custody_block.read_at"]
    assert (one.rows, one.furthest) == (1, Block.objects.get().read_at)
    with pytest.raises(CommandError, match=r"clock-far-ahead\.md"):
        call_command("list_future", stdout=io.StringIO())


def test_is_no_end_of_a_customers_hold(now: datetime) -> None:
    tom, una = trader("Tom", tier=2), trader("Una", tier=2)
    Customer.objects.filter(pk=tom.pk).update(withdrawals_held_until=now + timedelta(days=300))
    Customer.objects.filter(pk=una.pk).update(withdrawals_held_until=now + timedelta(days=6))
    assert list(queries.held_too_long(now=now)) == [tom]
    with Trace() as trace:
        held = [actions.begin_hold_anew(customer_id=one.pk, actor=ROBOT, now=now) for one in (tom, una)]
    assert trace.events == ["customers.customer.hold_begun_anew"]
    assert [one.withdrawals_held_until for one in held] == [now + HELD_AFTER_LOSS, now + timedelta(days=6)]


def test_has_a_line_in_the_runbook_that_names_a_column_there_is() -> None:
    there = {
        f"{model._meta.db_table}.{field.column}"
        for model in apps.get_models()
        for field in model._meta.concrete_fields
    }
    named = set(re.findall(r"^\| `([a-z_]+\.[a-z_]+)`", RUNBOOK.read_text(), re.MULTILINE))
    assert len(named) > 10
    assert not named - there
