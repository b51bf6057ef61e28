"""A window of the policy …"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core.approvals import policies
from core.approvals.actions import submit_signature
from core.approvals.models import ApprovalRequest
from kernel import canonical
from kernel.policy import FactMissing, Policy
from tests.governed import FREE, ask, payments
from tests.officers import Staff
from tests.policies import enact

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _kind() -> Iterator[None]:
    with payments():
        yield


def test_sums_what_was_asked_within_its_window(staff: Staff, now: datetime) -> None:
    window = {
        "name": "day",
        "when": [["kind", "is", "test.payment"], ["asset", "is", "BTC"]],
        "sum": "amount",
        "per": "customer",
        "seconds": 3600,
        "at_most": "10",
        "deny": "too much within the hour",
    }
    enact(staff, now, [FREE], [window])
    tom = {"customer": "tom", "asset": "BTC", "amount": 6}
    tia = {**tom, "customer": "tia"}
    first = ask(maker=staff.ana, actor=staff.ana.actor, now=now, facts=tom)
    ask(maker=staff.ana, actor=staff.ana.actor, now=now, subject="test/2", facts=tia)

    # The database's clock dates requests, so this window is looked at from a moment after them.
    def again(number: int, at: datetime) -> ApprovalRequest:
        return ask(maker=staff.ana, actor=staff.ana.actor, now=at, subject=f"test/{number}", facts=tom)

    with pytest.raises(policies.ByRule, match="within the hour"):
        again(3, _opened(first))
    rejection = staff.ben.answer(first, "reject", "no")
    submit_signature(request_id=first.pk, signed=rejection, actor=staff.ben.actor, now=now)
    assert again(4, _opened(first)).state == "open", "what was rejected counts no longer"
    assert again(5, _opened(first) + timedelta(hours=2)).state == "open"


WINDOW = {"sum": "amount", "per": "customer", "seconds": 3600, "at_most": "10", "deny": "enough"}
LARGE = [["kind", "is", "test.payment"], ["usd_cents", "at_least", "7"]]
WINDOWS = [
    {**WINDOW, "name": "all", "sum": "usd_cents", "when": []},
    {**WINDOW, "name": "of one coin", "when": [["asset", "is", "BTC"]]},
    {**WINDOW, "name": "how many", "sum": "count", "when": [["asset", "in", ["BTC", "ETH"]]]},
    {**WINDOW, "name": "of large ones", "sum": "usd_cents", "when": LARGE},
]


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"amount": "5"},
        {"amount": True},
        {"amount": None},
        {"usd_cents": -1},
        {"usd_cents": "5"},
        {"asset": None},
    ],
)
@pytest.mark.parametrize("window", WINDOWS, ids=[str(one["name"]) for one in WINDOWS])
def test_sums_in_the_database_what_looking_at_each_act_would(
    staff: Staff, now: datetime, window: dict[str, Any], odd: dict[str, Any]
) -> None:
    told = [
        {"asset": asset, "amount": 10**30 + number // 3, "usd_cents": number % 9}
        for number, asset in enumerate(["BTC", "ETH", "LTC"] * 4)
    ]
    enact(staff, now, [FREE])
    for number, facts in enumerate([*told, {"asset": "BTC", "amount": 1, "usd_cents": 8, **odd}]):
        ask(
            maker=staff.ana,
            actor=staff.ana.actor,
            now=now,
            subject=f"test/{number}",
            facts={"customer": "tom", **facts},
        )
    document = {"v": 1, "version": 2, "rules": [FREE], "windows": [window]}
    [found] = Policy.parse(canonical.encode(document)).windows
    acts = list(ApprovalRequest.objects.filter(kind="test.payment").values_list("facts", flat=True))
    try:
        expected: Any = found.total(acts)
    except FactMissing as error:
        expected = str(error)
    with CaptureQueriesContext(connection) as asked:
        try:
            got: Any = policies.sums([found], {"customer": "tom"}, at=now)[found.rule.name]
        except FactMissing as error:
            got = str(error)
    assert got == expected
    assert all("GROUP BY" in query["sql"] for query in asked.captured_queries), "no act comes here by itself"


def _opened(request: ApprovalRequest) -> datetime:
    assert request.opened_at is not None
    return request.opened_at + timedelta(seconds=1)
