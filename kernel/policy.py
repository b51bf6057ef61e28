"""Policy: which teams must approve an act, by the first rule that matches. Versioned, and closed by default.

A document is canonical JSON:
`{"v":1,"version":3,"rules":[{"name":"small","when":[["kind","is","custody.withdrawal"],
["amount","at_most","5000000"]],"teams":{"treasury":2},"rejections":1}]}`

Numbers in conditions are decimal strings, because money does not fit JSON's integers. A fact that a rule asks
for and that is not given refuses the act instead of skipping the rule: a missing price must not make a
withdrawal cheaper to approve. A rule may say `deny` (a sentence) instead of teams. One with teams may also
say `approve_s` and `execute_s`: how long the act waits for approval, and for its execution once approved. Or
it says `unattended` (true): then no officer is asked, and the signers' lane decides alone. Such a rule names
one kind and the fact that the lane could take the act, so that no mistake in it lets through anything else.

Windows count what was asked for: `{"name":"a day","when":[["kind","is","custody.withdrawal"]],
"sum":"usd_cents","per":"customer","seconds":86400,"at_most":"5000000","teams":{"officers":2},"rejections":1}`.
When the sum over what was asked for in the last seconds, this act included, is above the bound, the window
adds its people to those of the rule, or says no. docs/policy.md is the reference of the language.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from kernel import canonical, members

Fact: TypeAlias = "str | int | bool | None"

_WHOLE = re.compile(r"0|[1-9][0-9]{0,77}")
_COMPARISONS: Final = frozenset({"at_most", "below", "at_least", "above"})
_RULE_SHAPES: Final = (
    ["name", "rejections", "teams", "when"],
    ["deny", "name", "when"],
    ["name", "unattended", "when"],
)
_PERIODS: Final = frozenset({"approve_s", "execute_s"})
_WINDOW_MEMBERS: Final = frozenset({"sum", "per", "seconds", "at_most"})

LANE: Final = "lane"
"""The fact whether the signers' unattended lane could take the act: `open` or `shut`."""
OPEN: Final = "open"
SHUT: Final = "shut"
COUNT: Final = "count"
MEASURES: Final = ("usd_cents", "amount", COUNT)
SUBJECTS: Final = ("customer", "destination", "asset", "maker", "kind")
WINDOW_S_MAX: Final = 31 * 24 * 3600
PERIOD_S_MIN: Final = 60
PERIOD_S_MAX: Final = 7 * 24 * 3600


class BadPolicy(ValueError):
    """The document does not have the shape of a policy."""


class NoRuleMatches(LookupError):
    """No rule covers these facts, so nobody can approve the act."""


class Denied(NoRuleMatches):
    """The rule that matches says no; `rule` is its name and `sentence` what it says to people."""

    def __init__(self, rule: str, sentence: str) -> None:
        super().__init__(f"{rule}: {sentence}")
        self.rule, self.sentence = rule, sentence


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
    """Who must approve when every condition holds, and how soon; a rule with `deny` lets nobody, and an
    unattended one asks nobody.

    Without a period (seconds) the act keeps that of its own kind.
    """

    name: str
    when: tuple[Condition, ...]
    teams: Mapping[str, int]
    rejections: int = 1
    deny: str = ""
    approve_s: int | None = None
    execute_s: int | None = None
    unattended: bool = False

    def matches(self, facts: Mapping[str, Fact]) -> bool:
        """Whether every condition holds; FactMissing where that cannot be told."""
        return all(condition.holds(facts) for condition in self.when)

    def agreed(self) -> Rule:
        """The rule itself, or Denied."""
        if self.deny:
            raise Denied(self.name, self.deny)
        return self

    def joined(self, other: Rule) -> Rule:
        """Both at once, under this one's name: everybody whom either asks for, in the shorter periods; and
        as few can reject it as either says.
        """
        return replace(
            self,
            teams=stricter(self.teams, other.teams),
            rejections=self.rejections if other.unattended else min(self.rejections, other.rejections),
            approve_s=_sooner(self.approve_s, other.approve_s),
            execute_s=_sooner(self.execute_s, other.execute_s),
        )


@dataclass(frozen=True, slots=True)
class Window:
    """A rolling sum per customer, destination, asset, maker or kind. Above the bound, `rule` is added."""

    rule: Rule
    measure: str
    per: str
    seconds: int
    at_most: int

    def subject(self, facts: Mapping[str, Fact]) -> str:
        """Whose sum it is; FactMissing where the act does not say."""
        found = facts.get(self.per)
        if type(found) is not str or not found:
            raise FactMissing(self.per)
        return found

    def total(self, acts: Iterable[Mapping[str, Fact]]) -> int:
        """The sum over the acts that the window covers. One that cannot be counted refuses the whole sum."""
        return sum(self._counted(facts) for facts in acts if self.rule.matches(facts))

    def _counted(self, facts: Mapping[str, Fact]) -> int:
        if self.measure == COUNT:
            return 1
        found = facts.get(self.measure)
        if type(found) is not int or found < 0:
            raise FactMissing(self.measure)
        return found


@dataclass(frozen=True, slots=True)
class Policy:
    """Windows and an ordered list of rules under one version number."""

    version: int
    rules: tuple[Rule, ...]
    windows: tuple[Window, ...] = ()

    def windows_for(self, facts: Mapping[str, Fact]) -> tuple[Window, ...]:
        """The windows that count this act, in their order; their sums are what `rule_for` must be given."""
        return tuple(window for window in self.windows if window.rule.matches(facts))

    def rule_for(self, facts: Mapping[str, Fact], sums: Mapping[str, int] | None = None) -> Rule:
        """The first rule that matches, joined to every window that is overrun, under the first one's name;
        windows alone where no rule matches. Denied, NoRuleMatches or FactMissing otherwise. So a window never
        asks for less than the rule does.

        `sums` holds, by the window's name, what was asked for before this act. Without the sum of a window
        that counts the act nothing is decided, so nobody can hide the past by not telling it.
        """
        overrun = self._overrun(facts, sums or {})
        for rule in self.rules:
            if rule.matches(facts):
                return rule.agreed() if overrun is None else overrun.joined(rule.agreed())
        if overrun is not None:
            return overrun
        raise NoRuleMatches(f"no rule of policy version {self.version} covers this act")

    def _overrun(self, facts: Mapping[str, Fact], sums: Mapping[str, int]) -> Rule | None:
        """What the windows say that are overrun, if any is."""
        found: Rule | None = None
        for window in self.windows_for(facts):
            before = sums.get(window.rule.name)
            if type(before) is not int or before < 0:
                raise FactMissing(window.rule.name)
            if before + window.total([facts]) > window.at_most:
                said = window.rule.agreed()
                found = said if found is None else found.joined(said)
        return found

    @classmethod
    def parse(cls, data: bytes) -> Policy:
        """Read a canonical document strictly; BadPolicy names the first fault."""
        document = canonical.decode_object(data)
        windows = document.pop("windows", [])
        if sorted(document) != ["rules", "v", "version"] or not members.is_version(document["v"], 1):
            raise BadPolicy("a policy has exactly the members v (1), version, rules and perhaps windows")
        version, rules = document["version"], document["rules"]
        if type(version) is not int or version < 1 or not isinstance(rules, list) or not rules:
            raise BadPolicy("version is a positive integer and rules is a list that is not empty")
        if not isinstance(windows, list):
            raise BadPolicy("windows is a list")
        found = cls(version, tuple(_rule(rule) for rule in rules), tuple(_window(part) for part in windows))
        names = [rule.name for rule in (*found.rules, *(window.rule for window in found.windows))]
        if len(set(names)) != len(names):
            raise BadPolicy("every rule and window has a name of its own")
        return found


def stricter(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    """Every team of both, with the larger number of people."""
    return {team: max(one.get(team, 0), other.get(team, 0)) for team in sorted({*one, *other})}


def _sooner(one: int | None, other: int | None) -> int | None:
    return min((period for period in (one, other) if period is not None), default=None)


def _rule(value: canonical.Value) -> Rule:
    if not isinstance(value, Mapping) or sorted(value.keys() - _PERIODS) not in _RULE_SHAPES:
        raise BadPolicy("a rule has a name, when, and one of: teams and rejections; deny; unattended")
    name, when = value["name"], value["when"]
    if not isinstance(name, str) or not name or not isinstance(when, list):
        raise BadPolicy("a rule has a name and a list of conditions")
    conditions = tuple(_condition(name, item) for item in when)
    if "deny" in value:
        deny = value["deny"]
        if not isinstance(deny, str) or not deny.strip():
            raise BadPolicy(f"rule {name}: deny is a sentence")
        if _PERIODS & value.keys():
            raise BadPolicy(f"rule {name}: what is denied has no periods")
        return Rule(name, conditions, {}, deny=deny)
    if "unattended" in value:
        kinds = [one for one in conditions if one.fact == "kind" and one.comparison == "is"]
        if _PERIODS & value.keys():
            raise BadPolicy(f"rule {name}: what nobody approves has no periods")
        if value["unattended"] is not True or Condition(LANE, "is", OPEN) not in conditions or not kinds:
            raise BadPolicy(
                f"rule {name}: unattended is true, for one kind and only where the fact lane is open"
            )
        return Rule(name, conditions, {}, unattended=True)
    rejections = value["rejections"]
    if type(rejections) is not int or rejections < 1:
        raise BadPolicy(f"rule {name}: rejections is a positive integer")
    approve_s, execute_s = (_period(name, value, member) for member in ("approve_s", "execute_s"))
    return Rule(name, conditions, teams(value["teams"]), rejections, approve_s=approve_s, execute_s=execute_s)


def _period(rule: str, value: Mapping[str, canonical.Value], member: str) -> int | None:
    if member not in value:
        return None
    found = value[member]
    if type(found) is not int or not PERIOD_S_MIN <= found <= PERIOD_S_MAX:
        raise BadPolicy(f"rule {rule}: {member} is between {PERIOD_S_MIN} and {PERIOD_S_MAX} seconds")
    return found


def _window(value: canonical.Value) -> Window:
    if not isinstance(value, Mapping) or not value.keys() >= _WINDOW_MEMBERS:
        raise BadPolicy("a window has the members sum, per, seconds and at_most beside those of a rule")
    rule = _rule({name: part for name, part in value.items() if name not in _WINDOW_MEMBERS})
    measure, per, seconds, bound = (value[name] for name in ("sum", "per", "seconds", "at_most"))
    if measure not in MEASURES or per not in SUBJECTS:
        raise BadPolicy(f"window {rule.name}: sums {'/'.join(MEASURES)} per {'/'.join(SUBJECTS)}")
    if type(seconds) is not int or not 1 <= seconds <= WINDOW_S_MAX:
        raise BadPolicy(f"window {rule.name}: seconds is between 1 and {WINDOW_S_MAX}")
    if not isinstance(bound, str) or not _WHOLE.fullmatch(bound):
        raise BadPolicy(f"window {rule.name}: at_most is a whole number as text")
    if rule.unattended:
        raise BadPolicy(f"window {rule.name}: what is above its bound is never unattended")
    one_asset = any(part.fact == "asset" and part.comparison == "is" for part in rule.when)
    if measure == "amount" and per != "asset" and not one_asset:
        raise BadPolicy(f"window {rule.name}: amounts of different assets cannot be summed; name one asset")
    return Window(rule, str(measure), str(per), seconds, int(bound))


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
