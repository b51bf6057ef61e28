"""Policy: which teams must approve an act, by the first rule that matches. Versioned, and closed by default.

A document is canonical JSON:
`{"v":1,"version":3,"rules":[{"name":"small","when":[["kind","is","custody.withdrawal"],
["amount","at_most","5000000"]],"teams":{"treasury":2},"rejections":1}]}`

Numbers in conditions are decimal strings, because money does not fit JSON's integers. A fact that a rule asks
for and that is not given refuses the act instead of skipping the rule: a missing price must not make a
withdrawal cheaper to approve.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from kernel import canonical

Fact: TypeAlias = "str | int | bool | None"

_WHOLE = re.compile(r"0|[1-9][0-9]{0,77}")
_COMPARISONS: Final = frozenset({"at_most", "below", "at_least", "above"})


class BadPolicy(ValueError):
    """The document does not have the shape of a policy."""


class NoRuleMatches(LookupError):
    """No rule covers these facts, so nobody can approve the act."""


class FactMissing(LookupError):
    """A rule asks for a fact that is absent or of another type, so the act cannot be judged."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison of a fact: is, in, at_most, below, at_least or above."""

    fact: str
    comparison: str
    value: str | int | tuple[str, ...]

    def holds(self, facts: Mapping[str, Fact]) -> bool:
        """Whether the facts satisfy the condition; FactMissing where it cannot be told."""
        fact = facts.get(self.fact)
        if self.comparison in _COMPARISONS:
            if type(fact) is not int or type(self.value) is not int:
                raise FactMissing(self.fact)
            if self.comparison == "at_most":
                return fact <= self.value
            if self.comparison == "below":
                return fact < self.value
            return fact >= self.value if self.comparison == "at_least" else fact > self.value
        if type(fact) is not str:
            raise FactMissing(self.fact)
        return fact in self.value if isinstance(self.value, tuple) else fact == self.value


@dataclass(frozen=True, slots=True)
class Rule:
    """Who must approve when every condition holds."""

    name: str
    when: tuple[Condition, ...]
    teams: Mapping[str, int]
    rejections: int = 1


@dataclass(frozen=True, slots=True)
class Policy:
    """An ordered list of rules under one version number."""

    version: int
    rules: tuple[Rule, ...]

    def rule_for(self, facts: Mapping[str, Fact]) -> Rule:
        """The first rule whose conditions all hold; NoRuleMatches or FactMissing otherwise."""
        for rule in self.rules:
            if all(condition.holds(facts) for condition in rule.when):
                return rule
        raise NoRuleMatches(f"no rule of policy version {self.version} covers this act")

    @classmethod
    def parse(cls, data: bytes) -> Policy:
        """Read a canonical document strictly; BadPolicy names the first fault."""
        document = canonical.decode_object(data)
        if sorted(document) != ["rules", "v", "version"] or document["v"] != 1:
            raise BadPolicy("a policy has exactly the members v (1), version and rules")
        version, rules = document["version"], document["rules"]
        if type(version) is not int or version < 1 or not isinstance(rules, list) or not rules:
            raise BadPolicy("version is a positive integer and rules is a list that is not empty")
        return cls(version, tuple(_rule(rule) for rule in rules))


def _rule(value: canonical.Value) -> Rule:
    if not isinstance(value, Mapping) or sorted(value) != ["name", "rejections", "teams", "when"]:
        raise BadPolicy("a rule has exactly the members name, when, teams and rejections")
    name, when, rejections = value["name"], value["when"], value["rejections"]
    if not isinstance(name, str) or not name or not isinstance(when, list):
        raise BadPolicy("a rule has a name and a list of conditions")
    if type(rejections) is not int or rejections < 1:
        raise BadPolicy(f"rule {name}: rejections is a positive integer")
    return Rule(name, tuple(_condition(name, item) for item in when), teams(value["teams"]), rejections)


def teams(value: canonical.Value) -> dict[str, int]:
    """Read `{"treasury": 2}`: at least one team, at least one person of each."""
    if not isinstance(value, Mapping) or not value:
        raise BadPolicy("teams is an object that is not empty")
    found: dict[str, int] = {}
    for team, count in value.items():
        if not team or type(count) is not int or count < 1:
            raise BadPolicy("each team has a name and needs a positive number of people")
        found[team] = count
    return found


def _condition(rule: str, value: canonical.Value) -> Condition:
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 3:
        raise BadPolicy(f"rule {rule}: a condition is [fact, comparison, value]")
    fact, comparison, bound = value
    if not isinstance(fact, str) or not isinstance(comparison, str):
        raise BadPolicy(f"rule {rule}: fact and comparison are text")
    if comparison in _COMPARISONS and isinstance(bound, str) and _WHOLE.fullmatch(bound):
        return Condition(fact, comparison, int(bound))
    if comparison == "is" and isinstance(bound, str):
        return Condition(fact, comparison, bound)
    if comparison == "in" and isinstance(bound, list) and bound:
        choices = tuple(choice for choice in bound if isinstance(choice, str))
        if len(choices) == len(bound):
            return Condition(fact, comparison, choices)
    raise BadPolicy(f"rule {rule}: {fact} {comparison} has no such value")
