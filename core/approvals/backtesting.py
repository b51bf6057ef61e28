"""What another policy would have made of the last requests: each judged again by the facts stored with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from core.approvals import kinds, policies
from core.approvals.domain.policies import (
    Change,
    FactMissing,
    NoRuleMatches,
    Periods,
    compared,
    judge,
    lasting,
)
from core.approvals.models import ApprovalRequest
from kernel.policy import LANE, SHUT, Fact, Policy

SHOWN_MAX: Final = 100


def backtest(policy: Policy, *, count: int) -> dict[str, Any]:
    """Totals per kind of change, and the requests that would have gone another way, the newest first.

    Windows are summed anew as of each request's own moment. Requests from before there was a policy have no
    facts, and are not counted.
    """
    rows = ApprovalRequest.objects.filter(policy_version__gt=0).order_by("-opened_at", "-id")[:count]
    totals: Counter[str] = Counter()
    changed: list[dict[str, Any]] = []
    for row in rows:
        teams, periods, why = _outcome(policy, row)
        was = Periods(row.approve_within, row.execute_within)
        change = compared(row.teams, teams)
        if change is Change.SAME and periods != was:
            change = Change.TIME
        totals[change.value] += 1
        if change is not Change.SAME and len(changed) < SHOWN_MAX:
            changed.append(
                {
                    "request": str(row.pk),
                    "kind": row.kind,
                    "change": change.value,
                    "before": row.teams,
                    "after": teams,
                    "time_before": _words(was),
                    "time_after": _words(periods) if periods else "",
                    "why": why,
                }
            )
    return {"judged": sum(totals.values()), "totals": dict(totals), "changed": changed}


def _outcome(policy: Policy, row: ApprovalRequest) -> tuple[dict[str, int] | None, Periods | None, str]:
    """The teams that this policy would have asked for and its periods, or None with the reason for its no."""
    facts: Mapping[str, Fact] = {LANE: SHUT, **row.facts}
    kind = kinds.named(row.kind)
    assert row.opened_at is not None  # the database fills it in
    try:
        found = policies.sums(policy.windows_for(facts), facts, at=row.opened_at, before=row.opened_at)
        judged = judge(
            policy, facts, found, floor=row.floor, longest=policies.longest(kind), governed=kind.governed
        )
    except NoRuleMatches as error:
        return None, None, str(error)
    except FactMissing as error:
        return None, None, f"{error} was not known"
    return dict(judged.teams), Periods(judged.approve_within, judged.execute_within), judged.rule


def _words(periods: Periods) -> str:
    return f"{lasting(periods.approve)} and {lasting(periods.execute)}"
