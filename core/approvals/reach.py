"""What a policy can say about each kind of act, for people who read or draft one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.approvals import kinds
from core.approvals.domain.policies import lasting
from kernel.policy import Policy


@dataclass(frozen=True, slots=True)
class Reach:
    """A kind of act: what it asks for itself, what it tells a policy, and the rules that may decide about it.

    Without teams in `floor`, `people` come from the teams that the signers' registry names. `fixed` says why
    no rule decides; where both are empty, the act is refused (`governed`) or keeps its quorum.
    """

    name: str
    title: str
    floor: Mapping[str, int]
    people: int
    periods: str
    facts: tuple[str, ...]
    fixed: str
    governed: bool
    rules: tuple[str, ...]


def of_kinds(policy: Policy) -> list[Reach]:
    """Every registered kind under this policy, by name."""
    return [_of(kind, policy) for _, kind in sorted(kinds.registered().items())]


def _of(kind: kinds.Kind, policy: Policy) -> Reach:
    everything = (*policy.rules, *(window.rule for window in policy.windows))
    named = tuple(
        rule.name
        for rule in everything
        if not kind.fixed
        and all(
            one.holds({"kind": kind.name})
            for one in rule.when
            if one.fact == "kind" and not isinstance(one.value, int)
        )
    )
    return Reach(
        name=kind.name,
        title=kind.title,
        floor=kind.floor,
        people=kind.people_min,
        periods=f"{lasting(kind.approve_within)} and {lasting(kind.execute_within)}",
        facts=tuple(sorted(kind.facts)),
        fixed=kind.fixed,
        governed=kind.governed,
        rules=named,
    )
