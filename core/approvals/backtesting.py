"""What another policy would have made of the last acts: each judged again by the facts stored with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

from core.approvals import kinds, policies
from core.approvals.domain.policies import Change, FactMissing, NoRuleMatches, Periods, compared, lasting
from core.approvals.models import ApprovalRequest, Waiver
from kernel.policy import Fact, Policy

SHOWN_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class Past:
    """An act that was judged: put before `teams` within `periods`, or before nobody, for the signers' lane.

    `was_for_lane` says that the lane could take it, so that the policy alone decided whether anybody is
    asked; `request` is empty where nobody was.
    """

    request: str
    kind: str
    subject: str
    at: datetime
    facts: Mapping[str, Fact]
    floor: Mapping[str, int]
    teams: Mapping[str, int]
    periods: Periods | None
    was_for_lane: bool

    @classmethod
    def of_request(cls, row: ApprovalRequest) -> Past:
        """What officers were asked."""
        assert row.opened_at is not None  # the database fills it in
        periods = Periods(row.approve_within, row.execute_within)
        return cls(
            *(str(row.pk), row.kind, row.subject, row.opened_at, row.facts, row.floor, row.teams, periods),
            was_for_lane=row.was_for_lane,
        )

    @classmethod
    def of_waiver(cls, row: Waiver) -> Past:
        """What nobody was asked."""
        assert row.waived_at is not None  # likewise
        return cls(
            *("", row.kind, row.subject, row.waived_at, row.facts, row.floor, {}, None), was_for_lane=True
        )


def never() -> bool:
    """For a back-test that takes as long as it takes."""
    return False


def backtest(policy: Policy, *, count: int, enough: Callable[[], bool] = never) -> dict[str, Any]:
    """Totals per kind of change, and the acts that would have gone another way, the newest first.

    Before each act `enough` is asked whether it has taken too long, since each window of the policy is summed
    for each act: then the older acts are not judged, which `left_out` says.

    What the lane could take is first judged for the lane and then for officers, by the code that judges new
    acts. Windows are summed anew as of each act's own moment. Requests from before there was a policy have no
    facts, and are not counted.
    """
    totals: Counter[str] = Counter()
    changed: list[dict[str, Any]] = []
    past = _last(count)
    for one in past:
        if enough():
            break
        teams, periods, why = _outcome(policy, one)
        change = compared(one.teams, teams)
        if change is Change.SAME and periods != one.periods:
            change = Change.TIME
        totals[change.value] += 1
        if change is not Change.SAME and len(changed) < SHOWN_MAX:
            changed.append(
                {
                    "request": one.request,
                    "kind": one.kind,
                    "subject": one.subject,
                    "change": change.value,
                    "before": dict(one.teams),
                    "after": teams,
                    "time_before": _words(one.periods),
                    "time_after": _words(periods),
                    "why": why,
                }
            )
    judged = sum(totals.values())
    return {
        "judged": judged,
        "left_out": len(past) - judged,
        "totals": dict(totals),
        "changed": changed,
    }


def _last(count: int) -> list[Past]:
    requests = ApprovalRequest.objects.filter(policy_version__gt=0).order_by("-opened_at", "-id")[:count]
    waivers = Waiver.objects.order_by("-waived_at", "-id")[:count]
    past = [*map(Past.of_request, requests), *map(Past.of_waiver, waivers)]
    return sorted(past, key=lambda one: one.at, reverse=True)[:count]


def _outcome(policy: Policy, one: Past) -> tuple[dict[str, int] | None, Periods | None, str]:
    """The teams that this policy would have asked (none: the lane) and its periods, or None with the reason
    for its no.
    """
    kind = kinds.named(one.kind)
    judge = partial(policies.judged, policy, kind=kind, about=one.subject, at=one.at, before=one.at)
    try:
        if one.was_for_lane and (word := policies.unasked(judge, one.facts)) is not None:
            return {}, None, word.rule
        said = policies.asked(judge, one.facts, floor=one.floor)
    except NoRuleMatches as error:
        return None, None, str(error)
    except FactMissing as error:
        return None, None, f"{error} was not known"
    return dict(said.teams), Periods(said.approve_within, said.execute_within), said.rule


def _words(periods: Periods | None) -> str:
    return f"{lasting(periods.approve)} and {lasting(periods.execute)}" if periods else ""
