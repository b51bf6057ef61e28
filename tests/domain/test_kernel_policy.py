"""A policy …"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel import canonical, policy
from kernel.policy import BadPolicy, FactMissing, NoRuleMatches, Policy


def document(*rules: dict[str, Any], **changes: Any) -> bytes:
    return canonical.encode({"v": 1, "version": 3, "rules": list(rules), **changes})


def rule(name: str, *when: list[Any], **changes: Any) -> dict[str, Any]:
    return {"name": name, "when": list(when), "teams": {"treasury": 2}, "rejections": 1, **changes}


LADDER = Policy.parse(
    document(
        rule("small", ["kind", "is", "custody.withdrawal"], ["usd", "below", "10000"], teams={"treasury": 1}),
        rule("large", ["kind", "is", "custody.withdrawal"], ["usd", "at_most", "1000000"]),
        rule(
            "refill",
            ["kind", "in", ["custody.refill", "custody.sweep"]],
            teams={"treasury": 2, "compliance": 1},
        ),
    )
)


@pytest.mark.parametrize(
    ("usd", "name"), [(0, "small"), (9_999, "small"), (10_000, "large"), (1_000_000, "large")]
)
def test_is_decided_by_the_first_rule_that_matches(usd: int, name: str) -> None:
    assert LADDER.rule_for({"kind": "custody.withdrawal", "usd": usd}).name == name


def test_refuses_what_no_rule_covers() -> None:
    with pytest.raises(NoRuleMatches):
        LADDER.rule_for({"kind": "custody.withdrawal", "usd": 1_000_001})
    with pytest.raises(NoRuleMatches):
        LADDER.rule_for({"kind": "custody.adjustment"})


@pytest.mark.parametrize("usd", [None, "5", True, 5.0])
def test_refuses_to_judge_without_a_price_instead_of_skipping_the_rule(usd: Any) -> None:
    with pytest.raises(FactMissing):
        LADDER.rule_for({"kind": "custody.withdrawal", "usd": usd})
    with pytest.raises(FactMissing):
        LADDER.rule_for({"usd": 5})


def test_joins_teams_of_a_rule() -> None:
    assert LADDER.rule_for({"kind": "custody.sweep"}).teams == {"treasury": 2, "compliance": 1}


@pytest.mark.parametrize(
    "data",
    [
        document(),
        document(rule("a"), version=0),
        document(rule("a"), version="1"),
        document(rule("a"), v=2),
        document(rule("a"), extra=1),
        document(rule("")),
        document(rule("a", teams={})),
        document(rule("a", teams={"treasury": 0})),
        document(rule("a", teams={"treasury": True})),
        document(rule("a", teams={"": 1})),
        document(rule("a", rejections=0)),
        document(rule("a", other=1)),
        document(rule("a", ["usd", "at_most", 5])),
        document(rule("a", ["usd", "at_most", "-5"])),
        document(rule("a", ["usd", "at_most", "05"])),
        document(rule("a", ["usd", "about", "5"])),
        document(rule("a", ["kind", "in", []])),
        document(rule("a", ["kind", "in", ["x", 1]])),
        document(rule("a", ["kind", "is", 1])),
        document(rule("a", ["kind", "is"])),
        document(rule("a", "kind")),  # type: ignore[arg-type]
    ],
)
def test_of_another_shape_is_refused(data: bytes) -> None:
    with pytest.raises(BadPolicy):
        Policy.parse(data)


comparisons = {"at_most": int.__le__, "below": int.__lt__, "at_least": int.__ge__, "above": int.__gt__}


@given(st.integers(0, 10**30), st.integers(0, 10**30), st.sampled_from(sorted(comparisons)))
def test_compares_numbers_of_any_size_exactly(fact: int, bound: int, comparison: str) -> None:
    found = Policy.parse(document(rule("a", ["units", comparison, str(bound)]), rule("rest")))
    name = "a" if comparisons[comparison](fact, bound) else "rest"
    assert found.rule_for({"units": fact}).name == name


@given(st.lists(st.sampled_from([1, 2, 3, 4]), min_size=1, max_size=5), st.integers(0, 5))
def test_never_looks_behind_the_first_match(bounds: list[int], amount: int) -> None:
    rules = [rule(str(place), ["amount", "at_most", str(bound)]) for place, bound in enumerate(bounds)]
    expected = next((str(place) for place, bound in enumerate(bounds) if amount <= bound), None)
    try:
        assert Policy.parse(document(*rules)).rule_for({"amount": amount}).name == expected
    except NoRuleMatches:
        assert expected is None


def test_needs_a_person_in_every_team_it_names() -> None:
    assert policy.teams({"treasury": 2}) == {"treasury": 2}
    with pytest.raises(BadPolicy):
        policy.teams(["treasury"])
