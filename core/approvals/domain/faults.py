"""What is wrong with a draft of the policy, held against the kinds of act that there are.

A rule that could never be meant so is refused while somebody looks at it, and not on the night on which it
stops an act, or fails to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Final

from core.approvals.domain.policies import COMMON, NUMBERS, Terms, lasting
from kernel.policy import COUNT, Condition, Policy, Rule

RULE_CHARS_MAX: Final = 120
"""Requests keep the name of the rule that decided about them."""
PEOPLE_MAX: Final = 99
"""Of one team, and of those who reject: so many seats a request has."""


def fault(policy: Policy, kinds: Mapping[str, Terms]) -> str:
    """A sentence about the first rule or window that cannot stand, or nothing."""
    named = [("rule", rule, frozenset[str]()) for rule in policy.rules]
    named += [
        ("window", window.rule, frozenset({window.per, window.measure} - {COUNT}))
        for window in policy.windows
    ]
    for what, rule, summed in named:
        for found in _faults(rule, summed, kinds):
            return f"{what} {rule.name}: {found}"
    return ""


def _faults(rule: Rule, summed: frozenset[str], kinds: Mapping[str, Terms]) -> Iterator[str]:
    if len(rule.name) > RULE_CHARS_MAX or not rule.name.isprintable():
        yield f"a name has at most {RULE_CHARS_MAX} characters, all of which show"
    if max((rule.rejections, *rule.teams.values())) > PEOPLE_MAX:
        yield f"nobody waits for more than {PEOPLE_MAX} people"
    if any("\0" in text for one in rule.when for text in _texts(one)) or "\0" in rule.deny:
        yield "the character U+0000 cannot be stored"
    for name in sorted(_named(rule)):
        if name not in kinds:
            yield (
                f"nobody is ever asked about {name}. What one person does alone, such as a stop, no rule can "
                "forbid; the kinds are listed under Policy"
            )
        elif kinds[name].fixed:
            yield f"{name} keeps its own quorum, whatever a policy says: {kinds[name].fixed}"
    reached = {name: terms for name, terms in kinds.items() if not terms.fixed}
    for one in rule.when:
        if isinstance(one.value, int) is not (one.fact in NUMBERS):
            how = "a number: at_most, below" if one.fact in NUMBERS else "text: is, in"
            yield f"{one.fact} is {how}, and not {one.comparison}"
        if one.fact == "kind":
            reached = {name: terms for name, terms in reached.items() if _admits(one, name)}
        else:
            yield from _unknown(one.fact, reached)
    for fact in sorted(summed):
        yield from _unknown(fact, reached)
    for name in sorted(_named(rule) & kinds.keys()):
        yield from _too_long(rule, name, kinds[name])


def _texts(condition: Condition) -> tuple[str, ...]:
    value = condition.value
    return (condition.fact, *([] if isinstance(value, int) else [value] if isinstance(value, str) else value))


def _unknown(fact: str, reached: Mapping[str, Terms]) -> Iterator[str]:
    """Acts that would be refused for a fact which nobody can ever say of them."""
    for name, terms in reached.items():
        if fact not in COMMON | terms.facts:
            yield (
                f"it would ask {name} for {fact}, which that kind never says, and so refuse it always. "
                "Name the kinds that are meant in a condition before it"
            )


def _too_long(rule: Rule, kind: str, terms: Terms) -> Iterator[str]:
    for said, most, what in (
        (rule.approve_s, terms.longest.approve, "approved"),
        (rule.execute_s, terms.longest.execute, "executed"),
    ):
        if said is not None and timedelta(seconds=said) > most:
            yield f"{kind} is {what} within {lasting(most)} at the longest"


def _named(rule: Rule) -> frozenset[str]:
    named: set[str] = set()
    for one in rule.when:
        if one.fact == "kind" and not isinstance(one.value, int):
            named |= {one.value} if isinstance(one.value, str) else set(one.value)
    return frozenset(named)


def _admits(condition: Condition, kind: str) -> bool:
    """Whether an act of this kind may satisfy the condition."""
    return condition.fact != "kind" or isinstance(condition.value, int) or condition.holds({"kind": kind})
