"""A policy …"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel import canonical, policy
from kernel.policy import BadPolicy, Denied, FactMissing, NoRuleMatches, Policy


def document(*rules: dict[str, Any], **changes: Any) -> bytes:
    return canonical.encode({"v": 1, "version": 3, "rules": list(rules), **changes})


def rule(name: str, *when: list[Any], **changes: Any) -> dict[str, Any]:
    return {"name": name, "when": list(when), "teams": {"treasury": 2}, "rejections": 1, **changes}


def window(name: str, *when: list[Any], **changes: Any) -> dict[str, Any]:
    bounds = {"sum": "usd_cents", "per": "customer", "seconds": 60, "at_most": "100", **changes}
    return {"name": name, "when": list(when), "teams": {"officers": 3}, "rejections": 1, **bounds}


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
        document(rule("a"), v=True),
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
        document(rule("a"), rule("a")),
        document(rule("a", deny="no")),
        document(rule("a", approve_s=59)),
        document(rule("a", execute_s=604_801)),
        document(rule("a", approve_s="3600")),
        document(rule("a", execute_s=True)),
        document({"name": "a", "when": [], "deny": "no", "approve_s": 3600}),
        document({"name": "a", "when": [], "deny": " "}),
        document(rule("a"), windows={}),
        document(rule("a"), windows=[rule("w")]),
        document(rule("a"), windows=[window("a")]),
        document(rule("a"), windows=[window("w", sum="balance")]),
        document(rule("a"), windows=[window("w", per="country")]),
        document(rule("a"), windows=[window("w", seconds=0)]),
        document(rule("a"), windows=[window("w", seconds=2_678_401)]),
        document(rule("a"), windows=[window("w", at_most=5)]),
        document(rule("a"), windows=[window("w", sum="amount")]),
    ],
)
def test_of_another_shape_is_refused(data: bytes) -> None:
    with pytest.raises(BadPolicy):
        Policy.parse(data)


def test_says_how_long_an_act_waits_or_leaves_it_to_its_kind() -> None:
    found = Policy.parse(
        document(
            rule("quick", approve_s=60, execute_s=604_800), rule("free"), windows=[window("w", approve_s=90)]
        )
    )
    quick, free = found.rules
    assert (quick.approve_s, quick.execute_s) == (60, 604_800), "both bounds are allowed"
    assert (free.approve_s, free.execute_s, found.windows[0].rule.approve_s) == (None, None, 90)


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


def test_can_say_no_in_a_sentence() -> None:
    no = {"name": "nights", "when": [["hour", "below", "6"]], "deny": "Nobody pays at night."}
    found = Policy.parse(document(no, rule("rest")))
    assert found.rule_for({"hour": 6}).name == "rest"
    with pytest.raises(Denied, match="Nobody pays at night") as refusal:
        found.rule_for({"hour": 5})
    assert refusal.value.rule == "nights"


def test_adds_to_the_rule_what_its_windows_say() -> None:
    day = window("day", ["kind", "is", "pay"], rejections=2, approve_s=90)
    found = Policy.parse(document(rule("all", rejections=3, approve_s=60), windows=[day]))
    facts = {"kind": "pay", "customer": "tom", "usd_cents": 40}
    assert found.rule_for(facts, {"day": 60}).name == "all"
    both = found.rule_for(facts, {"day": 61})
    assert (both.name, both.teams) == ("day", {"officers": 3, "treasury": 2})
    assert (both.rejections, both.approve_s, both.execute_s) == (2, 60, None), "the stricter of each"
    assert found.rule_for({"kind": "other"}).name == "all"


@pytest.mark.parametrize("sums", [None, {}, {"day": None}, {"day": -5}, {"day": True}])
def test_decides_nothing_without_the_sum_of_its_window(sums: Any) -> None:
    found = Policy.parse(document(rule("all"), windows=[window("day")]))
    with pytest.raises(FactMissing, match="day"):
        found.rule_for({"customer": "tom", "usd_cents": 0}, sums)


facts_lists = st.lists(
    st.fixed_dictionaries({"asset": st.sampled_from(["BTC", "ETH"]), "amount": st.integers(0, 10**30)}),
    max_size=8,
)


@given(facts_lists, st.sampled_from(["amount", "count"]))
def test_sums_a_window_as_one_would_by_hand(acts: list[dict[str, Any]], measure: str) -> None:
    [found] = Policy.parse(
        document(rule("a"), windows=[window("w", ["asset", "is", "BTC"], sum=measure)])
    ).windows
    by_hand = 0
    for act in acts:
        if act["asset"] == "BTC":
            by_hand += act["amount"] if measure == "amount" else 1
    assert found.total(acts) == by_hand


def test_refuses_a_sum_with_a_part_that_cannot_be_counted() -> None:
    [found] = Policy.parse(document(rule("a"), windows=[window("w")])).windows
    with pytest.raises(FactMissing):
        found.total([{"usd_cents": 5}, {"amount": 5}])


ladders = st.lists(
    st.tuples(st.sampled_from(["at_most", "above"]), st.integers(0, 9), st.integers(1, 4)),
    min_size=1,
    max_size=6,
)


def ladder(steps: list[tuple[str, int, int]]) -> Policy:
    return Policy.parse(
        document(
            *(
                rule(str(place), ["usd", how, str(bound)], teams={"treasury": people})
                for place, (how, bound, people) in enumerate(steps)
            )
        )
    )


@given(ladders, ladders, st.integers(0, 10))
def test_never_changes_an_earlier_match_when_rules_are_added_below(
    above: list[tuple[str, int, int]], below: list[tuple[str, int, int]], usd: int
) -> None:
    try:
        before = ladder(above).rule_for({"usd": usd})
    except NoRuleMatches:
        return
    assert ladder(above + below).rule_for({"usd": usd}) == before


@given(ladders, st.integers(0, 10), st.sets(st.sampled_from(["usd", "kind"]), min_size=1))
def test_never_asks_for_fewer_when_a_fact_is_missing(
    steps: list[tuple[str, int, int]], usd: int, gone: set[str]
) -> None:
    full = {"usd": usd, "kind": "pay"}
    known = {name: value for name, value in full.items() if name not in gone}
    try:
        fewer = ladder(steps).rule_for(known)
    except (FactMissing, NoRuleMatches):
        return
    assert fewer.teams == ladder(steps).rule_for(full).teams


def test_of_the_reference_is_read_and_judges_as_it_says() -> None:
    reference = (Path(__file__).parents[2] / "docs" / "policy.md").read_text()
    shown = Policy.parse(canonical.encode(json.loads(reference.split("```json")[1].split("```")[0])))
    act = {"kind": "custody.withdrawal", "customer": "tom", "usd_cents": 10_000_001, "hour": 6}
    large = shown.rule_for(act, {"a customer's day": 0})
    assert (large.name, large.teams) == ("a customer's day", {"officers": 1, "treasury": 2})
    assert (large.approve_s, large.execute_s) == (14_400, 7_200), "as the rule says to which it is added"
    with pytest.raises(Denied, match="wait for the morning"):
        shown.rule_for({**act, "hour": 5}, {"a customer's day": 0})
    small = {**act, "usd_cents": 100}
    assert shown.rule_for(small, {"a customer's day": 0}).name == "withdrawals"
    with pytest.raises(NoRuleMatches):
        shown.rule_for({**small, "kind": "custody.loan"})


LANE = {"name": "small", "when": [["kind", "is", "custody.withdrawal"], ["lane", "is", "open"]]}


def test_asks_nobody_only_about_what_the_lane_could_take() -> None:
    policy = Policy.parse(document({**LANE, "unattended": True}, rule("rest")))
    facts = {"kind": "custody.withdrawal", "lane": "open"}
    assert policy.rule_for(facts).unattended
    assert policy.rule_for({**facts, "lane": "shut"}).name == "rest"
    assert policy.rule_for({**facts, "kind": "custody.refill"}).name == "rest"
    with pytest.raises(FactMissing):
        policy.rule_for({"kind": "custody.withdrawal"})
    for wrong in (
        {**LANE, "unattended": False},
        {**LANE, "unattended": True, "teams": {"treasury": 2}},
        {**LANE, "unattended": True, "when": [["lane", "is", "open"]]},
        {**LANE, "unattended": True, "when": [["kind", "is", "custody.withdrawal"]]},
        {**LANE, "unattended": True, "when": [["kind", "is", "custody.withdrawal"], ["lane", "is", "shut"]]},
    ):
        with pytest.raises(BadPolicy):
            Policy.parse(document(wrong))
    window = {**LANE, "unattended": True, "sum": "count", "per": "customer", "seconds": 60, "at_most": "1"}
    with pytest.raises(BadPolicy, match="never unattended"):
        Policy.parse(document(rule("rest"), windows=[window]))
