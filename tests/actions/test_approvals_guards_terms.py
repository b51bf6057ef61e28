"""Raw SQL that asks for less than a request was judged by, sent by the application's own role …"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from core.approvals.models import ApprovalRequest
from kernel.policy import FactMissing, Policy
from tests.officers import Staff
from tests.policies import enact, founding, rule
from tests.sql import as_the_console, refused

pytestmark = pytest.mark.django_db

QUICK = rule(
    "releases",
    ["kind", "is", "freezes.release"],
    ["hour", "at_least", "6"],
    teams={"compliance": 1, "officers": 2},
    approve_s=600,
    execute_s=300,
    rejections=2,
)
NIGHT = rule("night", ["kind", "is", "freezes.release"], deny="wait for the day")
MANY = {
    **rule("many", ["kind", "is", "freezes.release"], teams={"treasury": 1, "compliance": 1}),
    "sum": "count",
    "per": "maker",
    "seconds": 60,
    "at_most": "9",
}


@pytest.fixture
def terms(staff: Staff, now: datetime) -> Iterator[dict[str, Any]]:
    """What a request to release a freeze must say at noon, under a policy that is stricter than its kind."""
    enact(staff, now, [QUICK, NIGHT, *founding()], [MANY])
    maker = staff.ana.identity.pk
    with as_the_console():
        yield {
            "kind": "freezes.release",
            "deployment": "test",
            "payload": b"{}",
            "maker_id": maker,
            "subject": "freezes.freeze/1",
            "teams": {"compliance": 1, "officers": 2},
            "floor": {"officers": 2},
            "rejections_needed": 2,
            "agreeing": "approve",
            "policy_version": 2,
            "rule": "releases",
            "facts": {"kind": "freezes.release", "hour": 12, "maker": str(maker), "lane": "shut"},
            "was_for_lane": False,
            "state": "open",
            "approve_within": timedelta(seconds=600),
            "execute_within": timedelta(seconds=300),
        }


def inserted(terms: dict[str, Any]) -> tuple[str, list[object]]:
    values = {**terms, "id": uuid4(), "nonce": uuid4().bytes * 2}
    given = [json.dumps(value) if isinstance(value, dict) else value for value in values.values()]
    places = ", ".join(["%s"] * len(values))
    return f"INSERT INTO approvals_request ({', '.join(values)}) VALUES ({places})", given


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"teams": {"officers": 2}}, "below those of rule releases"),
        ({"teams": {"compliance": 1, "officers": 1}}, "fewer people than its kind"),
        ({"floor": {"officers": 1}}, "below those of its kind"),
        ({"floor": {}}, "below those of its kind"),
        ({"approve_within": timedelta(seconds=601)}, "below those of rule releases"),
        ({"execute_within": timedelta(seconds=301)}, "below those of rule releases"),
        ({"agreeing": "release"}, "below those of its kind"),
        ({"rejections_needed": 3}, "more people would have to reject"),
        ({"policy_version": 1}, "another version"),
        ({"policy_version": 3}, "another version"),
        ({"policy_version": 0}, "another version"),
        ({"rule": ""}, "another rule decides"),
        ({"rule": "letting go"}, "another rule decides"),
        ({"rule": "many"}, "below those of rule many"),
        ({"facts.hour": 3}, "another rule decides"),
        ({"facts.hour": 3, "rule": "night"}, "no rule puts it before anybody"),
        ({"facts.hour": None}, "a fact that nobody told"),
        ({"facts.kind": "staff.leave", "rule": ""}, "another act"),
        ({"facts.kind": "signer.reopen", "rule": ""}, "another act"),
        ({"facts.maker": "somebody"}, "another act"),
    ],
)
def test_commits_no_request_below_its_terms(
    terms: dict[str, Any], changes: dict[str, Any], sentence: str
) -> None:
    facts = {**terms["facts"], **{k[6:]: v for k, v in changes.items() if k.startswith("facts.")}}
    rest = {name: value for name, value in changes.items() if not name.startswith("facts.")}
    refused(*_flat(inserted({**terms, "facts": facts, **rest})), match=sentence)
    with connection.cursor() as cursor:
        cursor.execute(*inserted(terms))
    assert ApprovalRequest.objects.filter(rule="releases").count() == 1


def test_names_a_window_only_with_its_people(terms: dict[str, Any]) -> None:
    joined = {
        "teams": {"compliance": 1, "officers": 2, "treasury": 1},
        "rule": "many",
        "rejections_needed": 1,
    }
    refused(*_flat(inserted({**terms, **joined, "rejections_needed": 2})), match="more people")
    refused(*_flat(inserted({**terms, **joined, "rule": "few"})), match="another rule")
    with connection.cursor() as cursor:
        cursor.execute(*inserted({**terms, **joined}))


def test_asks_nobody_about_nothing_that_the_policy_asks_about(terms: dict[str, Any]) -> None:
    waiver = {
        "id": uuid4(),
        "kind": "freezes.release",
        "deployment": "test",
        "payload": b"{}",
        "subject": "s",
        "policy_version": 2,
        "rule": "releases",
        "floor": "{}",
        "facts": json.dumps(terms["facts"]),
    }

    def sql(**changes: object) -> tuple[Any, ...]:
        values = waiver | changes
        places = ", ".join(["%s"] * len(values))
        return f"INSERT INTO approvals_waiver ({', '.join(values)}) VALUES ({places})", *values.values()

    free = {"kind": "custody.withdrawal", "lane": "open", "risk": "clear"}
    of_lane = {"kind": free["kind"], "rule": "what the lane takes", "facts": json.dumps(free)}
    for changes in (
        {},
        of_lane | {"kind": "custody.refill"},
        of_lane | {"rule": "payments"},
        of_lane | {"policy_version": 1},
        of_lane | {"facts": json.dumps({**free, "risk": "held"})},
    ):
        refused(*sql(**changes), match="asks somebody about it")
    with connection.cursor() as cursor:
        statement, *values = sql(**of_lane)
        cursor.execute(statement, values)


def _flat(statement: tuple[str, list[object]]) -> tuple[Any, ...]:
    return statement[0], *statement[1]


facts = st.dictionaries(
    st.sampled_from(["kind", "hour", "amount"]),
    st.one_of(st.integers(0, 3), st.sampled_from(["a", "b", "1"]), st.none(), st.booleans()),
)
condition = st.one_of(
    st.tuples(
        st.sampled_from(["kind", "hour", "amount"]),
        st.sampled_from(["at_most", "below", "at_least", "above"]),
        st.integers(0, 3).map(str),
    ),
    st.tuples(st.sampled_from(["kind", "hour"]), st.just("is"), st.sampled_from(["a", "b", "1"])),
    st.tuples(st.just("kind"), st.just("in"), st.lists(st.sampled_from(["a", "b", "1"]), min_size=1)),
).map(list)


@settings(max_examples=150)
@given(st.lists(condition, max_size=3), facts)
def test_is_judged_by_the_same_comparisons_as_the_code(when: list[Any], facts: dict[str, Any]) -> None:
    document = {"v": 1, "version": 1, "rules": [rule("a", *when)]}
    (found,) = Policy.parse(json.dumps(document, sort_keys=True, separators=(",", ":")).encode()).rules
    try:
        expected: bool | None = found.matches(facts)
    except FactMissing:
        expected = None
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT approvals_holds(%s, %s)", [json.dumps(when), json.dumps(facts)])
        assert cursor.fetchone() == (expected,)
