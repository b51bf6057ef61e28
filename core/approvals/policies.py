"""The policy in force, and judging by it inside the action that opens a request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import chain, repeat
from typing import Any, ClassVar, Final, Protocol

from django.db import connection
from django.db.models import (
    Count,
    DecimalField,
    Exists,
    Func,
    OuterRef,
    Q,
    QuerySet,
    Sum,
    TextField,
)
from django.db.models.fields.json import KeyTextTransform, KeyTransform
from django.db.models.functions import Cast

from core import action
from core.approvals.domain import policies
from core.approvals.domain.policies import (
    Denied,
    FactMissing,
    Judgement,
    NoRuleMatches,
    Periods,
    Teams,
    Terms,
)
from core.approvals.domain.requests import State
from core.approvals.kinds import Kind
from core.approvals.models import ApprovalPolicy, ApprovalRequest, Waiver
from core.refusals import Refused
from kernel.policy import COUNT, LANE, OPEN, SHUT, Fact, Policy, Window

_LOCKS: Final = 0x706F6C69  # the namespace of advisory locks on what windows count
_VERSION_LOCK: Final = _LOCKS << 32  # which version is in force
_VOID: Final = (State.REJECTED.value, State.WITHDRAWN.value, State.EXPIRED.value)


class PolicyRefuses(Refused):
    """Base of the reasons why a policy puts an act before nobody."""

    code: ClassVar[str] = "policy.refuses"
    status: ClassVar[int] = 422


class ByRule(PolicyRefuses):
    """A rule says no."""

    code: ClassVar[str] = "policy.denied"


class ByNoRule(PolicyRefuses):
    """No rule covers the act, and its kind is not left to chance."""

    code: ClassVar[str] = "policy.no_rule"


class FactUnknown(PolicyRefuses):
    """A rule asks for something that nobody knows now, such as a fresh price."""

    code: ClassVar[str] = "policy.fact_unknown"


def in_force() -> ApprovalPolicy:
    """The newest version that was published; the first is there from the founding on."""
    return ApprovalPolicy.objects.order_by("-version")[0]


def judge(facts: Mapping[str, Fact], *, floor: Teams, kind: Kind, target: str, now: datetime) -> Judgement:
    """Who must approve and how soon, by the version in force; PolicyRefuses where nobody can.

    Windows are summed under a lock on what they count, held until the action ends: of two acts at the same
    moment the second sees the first. Until then no other version is published either.
    """
    action.current()
    _hold_still()
    policy = in_force().parsed
    try:
        if not kind.fixed:
            _lock(policy.windows_for(facts), facts)
        return judged(policy, facts, floor=floor, kind=kind, about=target, at=now)
    except Denied as error:
        stop = "" if error.sentence.rstrip().endswith((".", "!", "?")) else "."
        raise ByRule(
            f"Nothing was asked: {error}{stop} Compliance can say more, or propose another policy.",
            target=target,
        ) from error
    except NoRuleMatches as error:
        raise ByNoRule(
            f"Nothing was asked: {error}. Compliance can propose a rule for it.", target=target
        ) from error
    except FactMissing as error:
        raise FactUnknown(
            f"Nothing was asked: the policy wants to know {error}, and nobody can say now (a price may be "
            "missing or too old). Try again, or ask the SRE on duty.",
            target=target,
        ) from error


def judged(
    policy: Policy,
    facts: Mapping[str, Fact],
    *,
    floor: Teams,
    kind: Kind,
    about: str,
    at: datetime,
    before: datetime | None = None,
) -> Judgement:
    """What any policy says of an act about a row, as of a moment; Denied, NoRuleMatches or FactMissing.

    `before` ends the past, where an old act is judged again.
    """
    windows = () if kind.fixed else policy.windows_for(facts)
    past = sums(windows, facts, at=at, before=before, about=about)
    return policies.judge(policy, facts, past, asked=floor, terms=terms(kind))


class Judging(Protocol):
    """`judge` or `judged`, with all but the facts and the floor given."""

    def __call__(self, facts: Mapping[str, Fact], *, floor: Teams) -> Judgement: ...


def unasked(judge: Judging, facts: Mapping[str, Fact]) -> Judgement | None:
    """The policy's word that nobody is asked about what the lane could take; None where somebody is."""
    said = judge({**facts, LANE: OPEN}, floor={})
    return said if said.unattended else None


def asked(judge: Judging, facts: Mapping[str, Fact], *, floor: Teams) -> Judgement:
    """Whom the policy asks, once the lane is no way for it."""
    return judge({**facts, LANE: SHUT}, floor=floor)


def terms(kind: Kind) -> Terms:
    """What the code says of the kind, whatever a policy says."""
    return Terms(
        floor=kind.floor,
        longest=Periods(kind.approve_within, kind.execute_within),
        facts=kind.facts,
        governed=kind.governed,
        fixed=kind.fixed,
    )


def sums(
    windows: Iterable[Window],
    facts: Mapping[str, Fact],
    *,
    at: datetime,
    before: datetime | None = None,
    about: str = "",
) -> dict[str, int]:
    """What each window had summed before this act: the requests about the same subject that were not refused,
    and what went through without officers and did not come back to them. The row `about` is not its own past.

    Facts are stored with each as they were judged, so nothing else is asked. FactMissing where one of them
    cannot be counted. `before` ends the past, where an old request is judged again: what was refused since
    still counted then.
    """
    found: dict[str, int] = {}
    void = Q(state__in=_VOID) if before is None else Q(state__in=_VOID, moved_at__lt=before)
    came_back = ApprovalRequest.objects.filter(subject=OuterRef("subject"), kind=OuterRef("kind"))
    if before is not None:
        came_back = came_back.filter(opened_at__lt=before)
    for window in windows:
        rows = ApprovalRequest.objects.filter(
            opened_at__gt=at - timedelta(seconds=window.seconds),
            **{f"facts__{window.per}": window.subject(facts)},
        ).exclude(void)
        if before is not None:
            rows = rows.filter(opened_at__lt=before)
        waived = Waiver.objects.filter(
            ~Exists(came_back),
            waived_at__gt=at - timedelta(seconds=window.seconds),
            **{f"facts__{window.per}": window.subject(facts)},
        ).exclude(subject=about)
        if before is not None:
            waived = waived.filter(waived_at__lt=before)
        found[window.rule.name] = window.total(chain(_acts(rows, window), _acts(waived, window)))
    return found


def _acts(rows: QuerySet[Any], window: Window) -> Iterator[Mapping[str, Fact]]:
    """What the window asks of these rows' facts, added up where they lie: a busy day has more of them than
    should be carried here while everybody waits for the sum. Rows that say the same are one act with their
    sum, where nothing else asks for what is summed; one among them that cannot be summed leaves it out.
    """
    asked = sorted({"kind"} | {one.fact for one in window.rule.when})
    grouped = rows.order_by().annotate(
        measure=KeyTextTransform(window.measure, "facts"),
        shape=Func(KeyTransform(window.measure, "facts"), function="jsonb_typeof", output_field=TextField()),
    )
    whole = Q(shape="number", measure__regex=r"^[0-9]+$")
    summed = Sum(Cast("measure", DecimalField(max_digits=100, decimal_places=0)), filter=whole)
    for group in grouped.values(*(f"facts__{name}" for name in asked)).annotate(
        many=Count("pk"), countable=Count("pk", filter=whole), summed=summed
    ):
        facts: dict[str, Fact] = {name: group[f"facts__{name}"] for name in asked}
        if window.measure == COUNT or window.measure in asked:
            yield from repeat(facts, group["many"])
        elif group["countable"] < group["many"]:
            yield facts
        else:
            yield {**facts, window.measure: int(group["summed"])}


def publish_alone() -> None:
    """Wait for whoever is being judged by the version in force, and let nobody else be until this ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_VERSION_LOCK])


def _hold_still() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [_VERSION_LOCK])


def _lock(windows: Iterable[Window], facts: Mapping[str, Fact]) -> None:
    """In one order, so that two acts cannot wait for each other."""
    with connection.cursor() as cursor:
        for name in sorted({f"{window.per}={window.subject(facts)}" for window in windows}):
            cursor.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [_LOCKS, name])
