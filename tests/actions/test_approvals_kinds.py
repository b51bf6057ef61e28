"""Every kind of act under approval …"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from core.access.roles import Role
from core.approvals import kinds, policies
from core.approvals.backtesting import backtest
from core.approvals.domain.policies import COMMON, NUMBERS
from core.approvals.models import ApprovalRequest
from core.freezes.actions import ask_release, pull_freeze
from core.staff.actions import propose_change
from core.staff.domain import changes
from kernel import canonical
from kernel.policy import Policy
from tests.officers import Officer, Staff, enrol
from tests.policies import enact, founding, rule

pytestmark = pytest.mark.django_db

NIGHT = rule(
    "no roles at night", ["kind", "is", "staff.grant_role"], ["hour", "below", "6"], deny="wait for the day"
)
SENIOR = rule(
    "senior officers",
    ["kind", "is", "staff.grant_role"],
    ["role", "is", "senior_officer"],
    teams={"compliance": 1, "officers": 3},
    approve_s=600,
    rejections=2,
)


@pytest.fixture
def people(now: datetime) -> Staff:
    """Ana is a senior officer, who may grant any role."""
    return enrol(now=now, more={"ana": Role.SENIOR_OFFICER})


def grant(
    people: Staff, now: datetime, role: str = "auditor", to: str = "eve", by: Officer | None = None
) -> ApprovalRequest:
    change = changes.GrantRole(getattr(people, to).identity.pk, role)
    return propose_change(change=change, reason="she asked", actor=(by or people.ana).actor, now=now)


def test_asks_for_itself_what_the_database_holds_it_to() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM approvals_terms()")
        held = {row[0]: (json.loads(row[1]), *row[2:]) for row in cursor.fetchall()}
    assert held == {
        name: (
            dict(kind.floor),
            max(kind.people_min, sum(kind.floor.values())),
            kind.approve_within,
            kind.execute_within,
            kind.agreeing.value,
            "code" if kind.fixed else "governed" if kind.governed else "rules",
        )
        for name, kind in kinds.registered().items()
    }
    assert not any(kind.fixed and kind.governed for kind in kinds.registered().values())
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM unnest(%s::text[]) AS name WHERE approvals_asks(name)", [list(held)])
        asking = {row[0] for row in cursor.fetchall()}
    assert asking == {name for name, kind in kinds.registered().items() if kind.asks}


def test_tells_facts_that_have_a_sort() -> None:
    told = frozenset[str]().union(*(kind.facts for kind in kinds.registered().values()))
    assert NUMBERS - {"hour"} <= told, "a number that no kind tells"
    assert not told & COMMON


def test_is_named_by_the_founding_policy_or_keeps_a_quorum_that_no_policy_lowers() -> None:
    named = {
        kind for one in founding() for fact, _, value in one["when"] if fact == "kind" for kind in _all(value)
    }
    rest = {name for name, kind in kinds.registered().items() if not kind.fixed} - named
    assert rest == {"signer.release", "signer.reopen", "signer.registry"}, "the signers' registry says these"


def _all(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def test_is_refused_by_a_rule_on_the_hour(people: Staff, now: datetime) -> None:
    enact(people, now, [NIGHT, *founding()])
    with pytest.raises(policies.ByRule, match=r": wait for the day\. Compliance can say more"):
        grant(people, now.replace(hour=5))
    row = grant(people, now.replace(hour=6))
    assert (row.state, row.rule, row.facts["hour"]) == ("open", "the staff", 6)
    enact(people, now, [rule("closed", ["hour", "below", "6"], deny="Nobody is here."), *founding()])
    with pytest.raises(policies.ByRule, match=r": closed: Nobody is here\. Compliance can say more"):
        grant(people, now.replace(hour=5), to="dot")
    freeze = pull_freeze(scope="asset:BTC", reason="strange", actor=people.sam.actor, now=now.replace(hour=5))
    with pytest.raises(policies.ByRule):
        ask_release(freeze_id=freeze.pk, reason="fine", actor=people.sam.actor, now=now.replace(hour=5))


def test_is_put_before_more_people_and_for_less_time_by_a_rule(people: Staff, now: datetime) -> None:
    enact(people, now, [SENIOR, *founding()])
    row = grant(people, now, role="senior_officer")
    assert (row.teams, row.floor) == ({"compliance": 1, "officers": 3}, {"officers": 2})
    assert (row.rejections_needed, row.approve_within) == (2, timedelta(minutes=10))
    assert (row.policy_version, row.rule) == (2, "senior officers")
    assert row.facts == {
        "kind": "staff.grant_role",
        "hour": now.hour,
        "maker": str(people.ana.identity.pk),
        "lane": "shut",
        "person": str(people.eve.identity.pk),
        "role": "senior_officer",
        "role_hours": 0,
        "own": "no",
    }


def test_is_put_before_no_fewer_whatever_a_rule_says(people: Staff, now: datetime) -> None:
    enact(people, now, [rule("anybody", teams={"treasury": 1})])
    assert grant(people, now).teams == {"officers": 2, "treasury": 1}


def test_is_counted_by_maker_and_by_kind(people: Staff, now: datetime) -> None:
    """Acts without an amount have a velocity as well: so many in a window."""
    window: dict[str, Any] = {
        **rule("many roles", ["kind", "is", "staff.grant_role"], teams={"compliance": 1}),
        "sum": "count",
        "per": "maker",
        "seconds": 3_600,
        "at_most": "1",
    }
    stop: dict[str, Any] = {
        **rule("enough", ["kind", "is", "staff.grant_role"], deny="enough for an hour"),
        "sum": "count",
        "per": "kind",
        "seconds": 3_600,
        "at_most": "2",
    }
    enact(people, now, founding(), [window, stop])
    assert (grant(people, now).rule, grant(people, now, to="dot").rule) == ("the staff", "many roles")
    with pytest.raises(policies.ByRule, match="enough for an hour"):
        grant(people, now, to="cy", by=people.sam, role="sre")
    joined = ApprovalRequest.objects.get(rule="many roles")
    assert joined.teams == {"compliance": 1, "officers": 2}, "a window adds to the rule"
    leave = changes.Leave(people.eve.identity.pk)
    row = propose_change(change=leave, reason="she left", actor=people.ana.actor, now=now)
    assert (row.teams, row.rule) == ({"officers": 2}, ""), "taking rights away is nobody's to forbid"


def test_is_tried_in_a_back_test(people: Staff, now: datetime) -> None:
    grant(people, now.replace(hour=12))
    grant(people, now.replace(hour=3), to="dot")
    freeze = pull_freeze(scope="asset:BTC", reason="strange", actor=people.sam.actor, now=now)
    ask_release(freeze_id=freeze.pk, reason="fine", actor=people.sam.actor, now=now)
    propose_change(change=changes.Leave(people.cy.identity.pk), reason="bye", actor=people.ana.actor, now=now)
    more = rule("frozen assets", ["scope_class", "is", "asset"], teams={"compliance": 1})
    more["when"].insert(0, ["kind", "is", "freezes.release"])
    document = canonical.encode({"v": 1, "version": 2, "rules": [NIGHT, more]})
    found = backtest(Policy.parse(document), count=100)
    assert found["totals"] == {"refused": 1, "more people": 1, "same": 2}
    assert {(one["kind"], one["why"]) for one in found["changed"]} == {
        ("staff.grant_role", "no roles at night: wait for the day"),
        ("freezes.release", "frozen assets"),
    }
