"""Judging a request by the policy in force: facts in, who must approve out, or a refusal with its reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

from kernel.policy import (
    COUNT,
    LANE,
    Denied,
    Fact,
    FactMissing,
    NoRuleMatches,
    Policy,
    Rule,
    Window,
    stricter,
)

Teams = Mapping[str, int]

COMMON: Final = frozenset({"kind", "hour", "maker", LANE})
"""The facts of every act."""
NUMBERS: Final = frozenset(
    {"hour", "amount", "usd_cents", "customer_tier", "tier", "role_hours", "registry_version", "band_ppm"}
)
"""The facts that are numbers; all others are text."""


@dataclass(frozen=True, slots=True)
class Periods:
    """How long a request waits for its quorum, and for its execution once approved."""

    approve: timedelta
    execute: timedelta

    def within(self, rule: Rule | None) -> Periods:
        """The same or less, where the rule says so: what an officer approved is never good for longer."""
        if rule is None:
            return self
        return Periods(_shorter(self.approve, rule.approve_s), _shorter(self.execute, rule.execute_s))


@dataclass(frozen=True, slots=True)
class Terms:
    """What the code says of a kind of act, whatever a policy says.

    `floor` is the least that any request of it asks for; `facts` are what it tells the policy beside COMMON.
    A `governed` kind is refused where no rule covers it. One with a sentence in `fixed` keeps its quorum
    whatever the rules say, and the sentence says why.
    """

    floor: Teams
    longest: Periods
    facts: frozenset[str] = frozenset()
    governed: bool = False
    fixed: str = ""


@dataclass(frozen=True, slots=True)
class Judgement:
    """Who must approve under one version of the policy, how soon, and why."""

    version: int
    rule: str
    teams: Teams
    rejections: int
    approve_within: timedelta
    execute_within: timedelta
    facts: Mapping[str, Fact]
    unattended: bool = False


def judge(
    policy: Policy, facts: Mapping[str, Fact], sums: Mapping[str, int], *, asked: Teams, terms: Terms
) -> Judgement:
    """The rule that decides, never asking for less than the kind's own floor and than what was `asked` for,
    and for nothing later than the kind's longest periods.

    Denied and FactMissing for every kind that is not fixed; NoRuleMatches where the kind is governed: then a
    policy that forgot it stops it, and does not leave it to its floor.
    """
    rule = None if terms.fixed else _decided(policy, facts, sums, governed=terms.governed)
    periods = terms.longest.within(rule)
    return Judgement(
        version=policy.version,
        rule=rule.name if rule else "",
        teams=stricter(stricter(terms.floor, asked), rule.teams if rule else {}),
        rejections=rule.rejections if rule else 1,
        approve_within=periods.approve,
        execute_within=periods.execute,
        facts=dict(facts),
        unattended=rule is not None and rule.unattended,
    )


def _decided(
    policy: Policy, facts: Mapping[str, Fact], sums: Mapping[str, int], *, governed: bool
) -> Rule | None:
    try:
        return policy.rule_for(facts, sums)
    except Denied:
        raise
    except NoRuleMatches:
        if governed:
            raise
        return None


def _shorter(longest: timedelta, seconds: int | None) -> timedelta:
    return longest if seconds is None else min(longest, timedelta(seconds=seconds))


class Change(StrEnum):
    """What another policy would have made of a request, seen from those who approve."""

    SAME = "same"
    MORE = "more people"
    FEWER = "fewer people"
    OTHER = "other people"
    TIME = "other periods"
    REFUSED = "refused"
    ALLOWED = "no longer refused"


def compared(before: Teams | None, after: Teams | None) -> Change:
    """How two outcomes differ; None is a refusal."""
    if before is None or after is None:
        if before == after:
            return Change.SAME
        return Change.REFUSED if after is None else Change.ALLOWED
    if dict(before) == dict(after):
        return Change.SAME
    more = any(after.get(team, 0) > count for team, count in _all(before, after))
    fewer = any(after.get(team, 0) < count for team, count in _all(before, after))
    return Change.OTHER if more and fewer else Change.MORE if more else Change.FEWER


def differences(old: Policy, new: Policy) -> list[str]:
    """What changes between two versions, one sentence a rule or window, in the order of the new one."""
    before, after = {rule.name: rule for rule in old.rules}, {rule.name: rule for rule in new.rules}
    lines = [f"rule {name!r} is gone" for name in before if name not in after]
    for place, (name, rule) in enumerate(after.items(), start=1):
        if name not in before:
            lines.append(f"rule {name!r} is new, at place {place}: {described(rule)}")
        elif before[name] != rule:
            lines.append(f"rule {name!r} was: {described(before[name])}\nbecomes: {described(rule)}")
    kept = [name for name in after if name in before]
    if kept != [name for name in before if name in after]:
        lines.append(f"the order becomes: {', '.join(after)}")
    sums = {window.rule.name: window for window in old.windows}
    left = {window.rule.name for window in new.windows}
    lines += [f"window {name!r} is gone" for name in sums if name not in left]
    lines += [
        f"window {window.rule.name!r} {'changes' if window.rule.name in sums else 'is new'}: {summed(window)}"
        for window in new.windows
        if sums.get(window.rule.name) != window
    ]
    return lines


def described(rule: Rule) -> str:
    """A rule in words."""
    conditions = " and ".join(
        f"{one.fact} {one.comparison.replace('_', ' ')} {_bound(one.fact, one.value)}" for one in rule.when
    )
    if rule.deny:
        return f"{conditions or 'always'}: refused, {rule.deny}"
    if rule.unattended:
        return f"{conditions}: nobody, the signers' lane decides"
    people = " and ".join(f"{count} of {team}" for team, count in sorted(rule.teams.items()))
    soon = "".join(
        f"; to be {what} within {lasting(timedelta(seconds=seconds))}"
        for seconds, what in ((rule.approve_s, "approved"), (rule.execute_s, "executed"))
        if seconds is not None
    )
    return f"{conditions or 'always'}: {people}; {rule.rejections} can reject{soon}"


def summed(window: Window) -> str:
    """A window in words."""
    what = "requests" if window.measure == COUNT else window.measure
    return (
        f"more than {_bound(window.measure, window.at_most)} {what} per {window.per} within "
        f"{lasting(timedelta(seconds=window.seconds))}, where {described(window.rule)}"
    )


def lasting(period: timedelta) -> str:
    """A period in words, exactly: 2 d, 36 h, 90 min, 61 s."""
    seconds = int(period.total_seconds())
    for unit, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds and seconds % unit == 0:
            return f"{seconds // unit} {name}"
    return f"{seconds} s"


def _bound(fact: str, value: str | int | Sequence[str]) -> str:
    """The value as people read it: cents as dollars, units with their thousands apart."""
    if isinstance(value, int):
        return f"{value:,} (${value // 100:,}.{value % 100:02})" if fact == "usd_cents" else f"{value:,}"
    return value if isinstance(value, str) else " or ".join(value)


def _all(before: Teams, after: Teams) -> list[tuple[str, int]]:
    return [(team, before.get(team, 0)) for team in sorted({*before, *after})]


__all__ = [
    "COMMON",
    "NUMBERS",
    "Change",
    "Denied",
    "FactMissing",
    "Judgement",
    "NoRuleMatches",
    "Periods",
    "Terms",
    "compared",
    "described",
    "differences",
    "judge",
    "lasting",
    "stricter",
    "summed",
]
