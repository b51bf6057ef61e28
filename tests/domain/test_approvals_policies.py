"""A policy over the kinds of act that there are …"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st

from core.approvals.domain.policies import FactMissing, NoRuleMatches, Periods, Terms, judge
from kernel import canonical
from kernel.policy import Fact, Policy

TEAMS: Final = ("compliance", "officers", "treasury")
HOUR: Final = timedelta(hours=1)

teams = st.dictionaries(st.sampled_from(TEAMS), st.integers(1, 3), min_size=1)
hours = st.sampled_from(["at_most", "above", "below", "at_least"])
conditions = st.lists(
    st.one_of(
        st.tuples(st.just("kind"), st.just("in"), st.lists(st.sampled_from(["a", "b"]), min_size=1)),
        st.tuples(st.just("hour"), hours, st.integers(0, 23).map(str)),
        st.tuples(st.just("amount"), hours, st.integers(0, 9).map(str)),
    ).map(list),
    max_size=3,
)
periods = st.fixed_dictionaries(
    {}, optional={"approve_s": st.integers(60, 7_200), "execute_s": st.integers(60, 7_200)}
)
bodies = st.one_of(
    st.builds(
        lambda teams, rejections, within: {"teams": teams, "rejections": rejections, **within},
        teams,
        st.integers(1, 3),
        periods,
    ),
    st.just({"deny": "no"}),
)
rules = st.builds(lambda when, body: {"when": when, **body}, conditions, bodies)
windows = st.builds(
    lambda rule, bound: {**rule, "sum": "count", "per": "maker", "seconds": 60, "at_most": str(bound)},
    rules,
    st.integers(0, 3),
)
facts = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["a", "b"]),
        "hour": st.integers(0, 23),
        "maker": st.just("ana"),
        "amount": st.one_of(st.none(), st.integers(0, 9)),
    }
)


def policy(rules: list[Any], windows: list[Any]) -> Policy:
    members = {
        "v": 1,
        "version": 7,
        "rules": [{"name": f"rule {place}", **rule} for place, rule in enumerate(rules)],
        "windows": [{"name": f"window {place}", **window} for place, window in enumerate(windows)],
    }
    return Policy.parse(canonical.encode(members))


def covers(given: Mapping[str, int], needed: Mapping[str, int]) -> bool:
    return all(given.get(team, 0) >= count for team, count in needed.items())


many_rules = st.lists(rules, min_size=1, max_size=4)
many_windows = st.lists(windows, max_size=3)
terms = st.builds(
    Terms, floor=teams, longest=st.just(Periods(HOUR, HOUR)), facts=st.just(frozenset({"amount"}))
)


@given(many_rules, many_windows, facts, st.integers(0, 3), terms, teams, st.booleans())
def test_lowers_no_floor_and_lengthens_no_period(
    rules: list[Any],
    windows: list[Any],
    facts: dict[str, Fact],
    before: int,
    terms: Terms,
    asked: dict[str, int],
    governed: bool,
) -> None:
    found = policy(rules, windows)
    sums = {window.rule.name: before for window in found.windows}
    try:
        said = judge(found, facts, sums, asked=asked, terms=replace(terms, governed=governed))
    except (NoRuleMatches, FactMissing):
        return
    assert covers(said.teams, terms.floor)
    assert covers(said.teams, asked)
    assert said.approve_within <= HOUR
    assert said.execute_within <= HOUR


@given(many_rules, many_windows, facts, st.integers(0, 3), terms)
def test_is_only_made_stricter_by_its_windows(
    rules: list[Any], windows: list[Any], facts: dict[str, Fact], before: int, terms: Terms
) -> None:
    bare, whole = policy(rules, []), policy(rules, windows)
    sums = {window.rule.name: before for window in whole.windows}
    try:
        strict = judge(whole, facts, sums, asked={}, terms=replace(terms, governed=True))
        plain = judge(bare, facts, {}, asked={}, terms=replace(terms, governed=False))
    except (NoRuleMatches, FactMissing):
        return
    assert covers(strict.teams, plain.teams)
    assert strict.approve_within <= plain.approve_within
    assert strict.execute_within <= plain.execute_within
    if plain.rule:
        assert strict.rejections <= plain.rejections


@given(many_rules, many_windows, facts, teams, terms)
def test_has_no_say_about_a_fixed_kind(
    rules: list[Any], windows: list[Any], facts: dict[str, Fact], asked: dict[str, int], terms: Terms
) -> None:
    free = Policy.parse(
        canonical.encode({"v": 1, "version": 7, "rules": [{"name": "no", "when": [], "deny": "no"}]})
    )
    fixed = replace(terms, fixed="because")
    said = judge(policy(rules, windows), facts, {}, asked=asked, terms=fixed)
    assert said == judge(free, facts, {}, asked=asked, terms=fixed)
    assert (said.rule, said.rejections, said.approve_within) == ("", 1, HOUR)
