"""The policy …"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from core.access.roles import Role
from core.approvals import kinds, policies
from core.approvals.actions import policies as changing
from core.approvals.actions import submit_signature
from core.approvals.domain.policies import differences
from core.approvals.models import ApprovalPolicy, ApprovalRequest, PolicyDraft
from core.audit.models import AuditEvent
from core.refusals import Conflict, NotAllowed, NotFound
from kernel import canonical
from tests.governed import FREE, ask, payments
from tests.officers import Staff, enrol

pytestmark = pytest.mark.django_db


@pytest.fixture
def people(now: datetime) -> Staff:
    """Dot may propose and check changes of the policy, beside Ana."""
    return enrol(now=now, more={"dot": Role.COMPLIANCE_OFFICER})


@pytest.fixture(autouse=True)
def _kind() -> Iterator[None]:
    with payments():
        yield


def in_force(people: Staff, now: datetime, *rules: dict[str, Any], windows: list[Any] | None = None) -> None:
    """These rules are drafted by Ana, tested, and agreed to by Dot and Ben."""
    ana = people.ana
    text = json.dumps({"rules": rules, "windows": windows or []})
    draft = changing.save_draft(draft_id=None, text=text, actor=ana.actor, now=now)
    changing.run_backtest(draft_id=draft.pk, count=100, actor=ana.actor, now=now)
    request = changing.ask_publication(draft_id=draft.pk, reason="a test", actor=ana.actor, now=now)
    for officer in (people.dot, people.ben):
        submit_signature(request_id=request.pk, signed=officer.answer(request), actor=officer.actor, now=now)


def test_is_in_force_from_the_founding_and_changes_under_its_own_quorum(people: Staff, now: datetime) -> None:
    assert policies.in_force().version == 1
    in_force(people, now, FREE)
    found = policies.in_force()
    assert (found.version, found.parsed.rules[0].name) == (2, "payments")
    assert PolicyDraft.objects.get().state == "published"
    names = [event.doc["action"] for event in AuditEvent.objects.order_by("id")]
    assert names.count("approvals.policy.published") == 1


def test_stops_an_act_that_it_forgot(people: Staff, now: datetime) -> None:
    with pytest.raises(policies.ByNoRule):
        ask(maker=people.ana, actor=people.ana.actor, now=now)
    assert not ApprovalRequest.objects.exists()


def test_asks_for_more_than_the_kind_does_and_never_for_fewer(people: Staff, now: datetime) -> None:
    strict = {**FREE, "when": [["kind", "is", "test.payment"], ["amount", "above", "10"]]}
    strict |= {"name": "large", "teams": {"compliance": 1, "treasury": 2}, "rejections": 2}
    loose = {**FREE, "name": "small", "teams": {"officers": 1}}
    in_force(people, now, strict, loose)
    large = ask(maker=people.ana, actor=people.ana.actor, now=now, facts={"amount": 11})
    assert (large.teams, large.rejections_needed) == ({"compliance": 1, "treasury": 2}, 2)
    assert (large.policy_version, large.rule, large.facts["amount"]) == (2, "large", 11)
    small = ask(maker=people.ana, actor=people.ana.actor, now=now, subject="test/2", facts={"amount": 10})
    assert (small.teams, small.floor) == ({"officers": 1, "treasury": 1}, {"treasury": 1})


def test_gives_less_time_than_the_kind_does_and_never_more(people: Staff, now: datetime) -> None:
    large = {**FREE, "name": "large", "when": _above("10"), "approve_s": 60, "execute_s": 120}
    late = {**FREE, "name": "late", "when": _above("5"), "execute_s": 3_600}
    in_force(people, now, large, late, FREE)

    def life(amount: int) -> tuple[timedelta, timedelta]:
        row = ask(
            maker=people.ana,
            actor=people.ana.actor,
            now=now,
            subject=f"test/{amount}",
            facts={"amount": amount},
        )
        assert row.opened_at is not None
        assert row.approve_by is not None
        assert row.execute_by is not None
        life = (row.approve_by - row.opened_at, row.execute_by - row.approve_by)
        assert bytes(row.payload) == canonical.encode({"v": 1, "life_s": int(sum(life, timedelta()).seconds)})
        return life

    hour = timedelta(hours=1)
    assert life(11) == (timedelta(seconds=60), timedelta(seconds=120))
    assert life(10) == (hour, hour), "exactly as long as the kind does"
    assert life(5) == (hour, hour)
    for rule in ({**FREE, "approve_s": 3_601}, {**FREE, "execute_s": 7_200}):
        with pytest.raises(changing.BadDraft, match=r"test\.payment is (approved|executed) within 1 h"):
            in_force(people, now, rule)
    # A rule that names no kind may say more than one of them allows; that one keeps its own.
    in_force(
        people, now, {**FREE, "when": [["maker", "is", str(people.ana.identity.pk)]], "approve_s": 604_800}
    )
    assert life(4) == (hour, hour)


def _above(bound: str) -> list[list[str]]:
    return [["kind", "is", "test.payment"], ["amount", "above", bound]]


def test_fails_closed_without_a_price_and_says_no_by_a_rule(people: Staff, now: datetime) -> None:
    mine = ["kind", "is", "test.payment"]
    deny = {"name": "new", "when": [mine, ["destination_class", "is", "new"]], "deny": "new ones wait"}
    priced = {**FREE, "when": [mine, ["usd_cents", "at_most", "100"]]}
    in_force(people, now, deny, priced)
    facts = {"destination_class": "known", "usd_cents": None}
    with pytest.raises(policies.FactUnknown, match="usd_cents"):
        ask(maker=people.ana, actor=people.ana.actor, now=now, facts=facts)
    with pytest.raises(policies.FactUnknown, match="destination_class"):
        ask(maker=people.ana, actor=people.ana.actor, now=now, facts={})
    with pytest.raises(policies.ByRule, match="new ones wait"):
        ask(maker=people.ana, actor=people.ana.actor, now=now, facts={**facts, "destination_class": "new"})
    refusals = [event.doc for event in AuditEvent.objects.order_by("-id")[:3]]
    assert {one["action"] for one in refusals} == {"test.asked.refused"}


def test_does_not_change_what_is_open(people: Staff, now: datetime) -> None:
    in_force(people, now, FREE)
    request = ask(maker=people.ana, actor=people.ana.actor, now=now)
    in_force(people, now, {**FREE, "teams": {"treasury": 2, "compliance": 1}})
    request.refresh_from_db()
    assert (request.policy_version, request.teams) == (2, {"treasury": 2})


def test_is_tried_on_the_last_requests_before_it_is_asked_for(people: Staff, now: datetime) -> None:
    in_force(people, now, FREE)
    for number, amount in enumerate((5, 50, 500)):
        ask(
            maker=people.ana,
            actor=people.ana.actor,
            now=now,
            subject=f"test/{number}",
            facts={"amount": amount},
        )
    more = {**FREE, "when": [*FREE["when"], ["amount", "at_most", "60"]]}  # type: ignore[misc]
    more |= {"teams": {"compliance": 1, "treasury": 2}}
    text = json.dumps({"rules": [{**more, "name": "middling"}]})
    ana = people.ana
    draft = changing.save_draft(draft_id=None, text=text, actor=ana.actor, now=now)
    with pytest.raises(changing.NotTested):
        changing.ask_publication(draft_id=draft.pk, reason="why not", actor=ana.actor, now=now)
    draft = changing.run_backtest(draft_id=draft.pk, count=100, actor=ana.actor, now=now)
    with pytest.raises(changing.ReasonMissing):
        changing.ask_publication(draft_id=draft.pk, reason=" ", actor=ana.actor, now=now)
    assert draft.backtest is not None
    totals = draft.backtest["totals"]
    assert (totals["more people"], totals["refused"]) == (2, 1)
    quick = json.dumps({"rules": [{**FREE, "approve_s": 90}]})
    soon = changing.save_draft(draft_id=None, text=quick, actor=ana.actor, now=now)
    tried = changing.run_backtest(draft_id=soon.pk, count=100, actor=ana.actor, now=now).backtest
    assert tried is not None
    assert tried["totals"]["other periods"] == 3
    assert (tried["changed"][0]["time_before"], tried["changed"][0]["time_after"]) == (
        "1 h and 1 h",
        "90 s and 1 h",
    )
    (line,) = differences(policies.in_force().parsed, soon.parsed)
    assert line.endswith("1 can reject; to be approved within 90 s")
    assert changing.save_draft(draft_id=draft.pk, text=text, actor=ana.actor, now=now).backtest is None


def test_is_drafted_by_those_who_may_and_read_strictly(people: Staff, now: datetime) -> None:
    good = json.dumps({"rules": [FREE]})
    for text in ("", "[]", "{}", json.dumps({"rules": [{**FREE, "teams": {"cooks": 1}}]}), good[:-1]):
        with pytest.raises(changing.BadDraft):
            changing.save_draft(draft_id=None, text=text, actor=people.ana.actor, now=now)
    for officer in (people.ben, people.eve, people.sam):
        with pytest.raises(NotAllowed):
            changing.save_draft(draft_id=None, text=good, actor=officer.actor, now=now)
    mine = changing.save_draft(draft_id=None, text=good, actor=people.ana.actor, now=now)
    with pytest.raises(NotFound):
        changing.save_draft(draft_id=mine.pk, text=good, actor=people.dot.actor, now=now)
    assert changing.drop_draft(draft_id=mine.pk, actor=people.ana.actor, now=now).state == "dropped"
    with pytest.raises(Conflict):
        changing.run_backtest(draft_id=mine.pk, count=1, actor=people.ana.actor, now=now)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"when": [["kind", "is", "approvals.policy"]]}, "approvals.policy keeps its own quorum"),
        ({"when": [["kind", "in", ["staff.join", "staff.leave"]]]}, "staff.leave keeps its own quorum"),
        ({"when": [["kind", "is", "freezes.pull"]]}, "nobody is ever asked about freezes.pull"),
        ({"when": [["usd_cents", "above", "1"]]}, "which that kind never says"),
        ({"when": [["usd_cents", "above", "1"], ["kind", "is", "test.payment"]]}, "never says"),
        ({"when": [["kind", "is", "staff.join"], ["market", "is", "BTC-USDT"]]}, "staff.join for market"),
        ({"when": [["hour", "is", "3"]]}, "hour is a number"),
        ({"when": [["kind", "is", "test.payment"], ["asset", "above", "3"]]}, "asset is text"),
        ({"teams": {"cooks": 1}}, "no team cooks"),
    ],
)
def test_is_drafted_only_where_each_rule_can_be_meant(
    people: Staff, now: datetime, changes: dict[str, Any], sentence: str
) -> None:
    """What would stop an act for good, or only look as if it did, is said while somebody looks at it."""
    window = {"name": "w", "sum": "count", "per": "maker", "seconds": 60, "at_most": "1"}
    for text in ({"rules": [{**FREE, **changes}]}, {"rules": [FREE], "windows": [FREE | changes | window]}):
        with pytest.raises(changing.BadDraft, match=sentence):
            changing.save_draft(draft_id=None, text=json.dumps(text), actor=people.ana.actor, now=now)
    per_customer = {**FREE, **window, "when": [], "per": "customer"}
    with pytest.raises(changing.BadDraft, match=r"window w: it would ask .* for customer"):
        in_force(people, now, FREE, windows=[per_customer])


def test_is_changed_by_the_same_two_whatever_it_says(people: Staff, now: datetime) -> None:
    """Also one that forbids everything can be mended, and none makes it harder or easier."""
    in_force(people, now, {"name": "nothing", "when": [], "deny": "closed"})
    with pytest.raises(policies.ByRule, match="closed"):
        ask(maker=people.ana, actor=people.ana.actor, now=now)
    in_force(people, now, FREE)
    asked = ApprovalRequest.objects.filter(kind="approvals.policy").order_by("opened_at")
    assert [(row.teams, row.rule, row.policy_version) for row in asked] == [
        ({"compliance": 1, "treasury": 1}, "", 1),
        ({"compliance": 1, "treasury": 1}, "", 2),
    ]


def test_is_published_by_one_of_two_drafts_of_the_same_version(people: Staff, now: datetime) -> None:
    late = changing.save_draft(
        draft_id=None, text=json.dumps({"rules": [FREE]}), actor=people.ana.actor, now=now
    )
    changing.run_backtest(draft_id=late.pk, count=1, actor=people.ana.actor, now=now)
    in_force(people, now, FREE)
    with pytest.raises(changing.Overtaken):
        changing.ask_publication(draft_id=late.pk, reason="mine too", actor=people.ana.actor, now=now)
    assert ApprovalPolicy.objects.count() == 2


def test_keeps_the_quorum_of_kinds_that_it_does_not_name(people: Staff, now: datetime) -> None:
    kinds._registered["test.payment"] = replace(kinds.named("test.payment"), governed=False)
    request = ask(maker=people.ana, actor=people.ana.actor, now=now)
    assert (request.teams, request.rule, request.policy_version) == ({"treasury": 1}, "", 1)


def test_is_canonical_as_it_is_shipped() -> None:
    document = bytes(ApprovalPolicy.objects.get(version=1).document)
    assert canonical.encode(canonical.decode(document)) == document


@pytest.mark.parametrize(
    "part",
    [
        {"name": "n" * 121},
        {"name": "pay\0ments"},
        {"teams": {"treasury": 100}},
        {"rejections": 40_000},
        {"when": [["kind", "is", "test.payment"], ["asset", "in", ["BTC", "E\0"]]]},
    ],
    ids=["long name", "name that does not show", "a hundred people", "as many rejections", "unstorable"],
)
def test_has_no_rule_by_which_nothing_could_be_put_before_anybody(
    people: Staff, now: datetime, part: dict[str, Any]
) -> None:
    """Such a version could be published, and then every act that the rule decides about would fail."""
    with pytest.raises(changing.BadDraft, match="Nothing was kept: rule "):
        in_force(people, now, {**FREE, **part})
    longest = {**FREE, "name": "n" * 120, "teams": {"treasury": 99}, "rejections": 99}
    in_force(people, now, longest)
    row = ask(maker=people.ana, actor=people.ana.actor, now=now)
    assert (row.rule, row.teams, row.rejections_needed) == ("n" * 120, {"treasury": 99}, 99)
