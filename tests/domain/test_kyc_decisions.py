"""Taking away happens at once; giving needs more than a provider's yes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel import canonical
from kyc.domain import cases, tiers, verifications
from kyc.domain.answers import Answer
from kyc.domain.cases import Kind, Outcome
from kyc.domain.decisions import Decision, decide
from kyc.domain.proposals import BadProposal, Proposal
from kyc.domain.tiers import LEVELS, effective
from kyc.domain.verifications import BY_OFFICERS_ONLY, NEXT, State, may_move

STANDARD, ENHANCED, INSTITUTION = (
    LEVELS[name] for name in ("kyc-standard", "kyc-enhanced", "kyb-institutional")
)
GREEN = Answer(State.APPROVED, "kyc-standard", "individual", country="DEU")


def judged(answer: Answer = GREEN, state: State = State.SUBMITTED, *, blocking: bool = False) -> Decision:
    return decide(state=state, answer=answer, level=LEVELS.get(answer.level), has_blocking_case=blocking)


def test_a_clean_yes_approves() -> None:
    assert judged() == Decision(State.APPROVED, None, "approved by the provider")


def test_a_yes_from_the_sandbox_changes_nothing() -> None:
    assert judged(replace(GREEN, is_sandbox=True)).state is None


def test_a_yes_at_a_level_without_a_tier_grants_nothing_and_is_looked_at() -> None:
    decision = judged(replace(GREEN, level="some-level"))
    assert (decision.state, decision.case) == (None, Kind.MISMATCH)


@pytest.mark.parametrize(
    ("level", "kind"),
    [("kyc-standard", "company"), ("kyb-institutional", "individual"), ("kyc-standard", "")],
)
def test_a_yes_for_the_wrong_kind_of_applicant_is_held(level: str, kind: str) -> None:
    decision = judged(replace(GREEN, level=level, applicant_type=kind))
    assert (decision.state, decision.case) == (State.ON_HOLD, Kind.MISMATCH)


@pytest.mark.parametrize("country", ["IRN", "PRK", "MMR", "IR"])
def test_a_yes_for_a_document_of_a_country_not_served_is_held(country: str) -> None:
    decision = judged(replace(GREEN, country=country))
    assert (decision.state, decision.case) == (State.ON_HOLD, Kind.COUNTRY)


def test_an_open_case_beats_the_provider_s_yes() -> None:
    assert judged(blocking=True).state is State.ON_HOLD


def test_a_yes_above_the_automatic_tiers_waits_for_officers() -> None:
    decision = judged(replace(GREEN, level="kyc-enhanced"))
    assert (decision.state, decision.case) == (State.APPROVED, Kind.TIER_DECISION)
    assert (
        effective(approved=[STANDARD, ENHANCED], officers_rank=0, has_final_no=False, caps=[], country="DE")
        == 2
    )


def test_a_late_no_takes_an_approval_back_at_once() -> None:
    decision = judged(replace(GREEN, state=State.REJECTED_FINAL), State.APPROVED)
    assert (decision.state, decision.case) == (State.REJECTED_FINAL, Kind.LATE_REJECTION)


def test_an_unknown_answer_changes_nothing() -> None:
    assert judged(replace(GREEN, state=None), State.APPROVED).state is None


def test_suspected_fraud_is_held_for_people() -> None:
    decision = judged(replace(GREEN, is_suspected_fraud=True))
    assert (decision.state, decision.case) == (State.ON_HOLD, Kind.FRAUD)


@pytest.mark.parametrize("closed", sorted(verifications.FINAL_NO))
def test_no_provider_lifts_a_final_no(closed: State) -> None:
    decision = judged(state=closed)
    assert (decision.state, decision.case) == (None, Kind.CONTRADICTION)
    assert may_move(closed, State.APPROVED, by_officers=True)


STATES = st.sampled_from(sorted(State))
ANSWERS = st.builds(
    Answer,
    state=st.none() | STATES,
    level=st.sampled_from([*LEVELS, "unknown"]),
    applicant_type=st.sampled_from(["individual", "company", ""]),
    is_sandbox=st.booleans(),
    is_suspected_fraud=st.booleans(),
    country=st.sampled_from(["DEU", "IRN", ""]),
)


@given(STATES, ANSWERS, st.booleans())
def test_every_decision_is_a_step_of_the_table_and_every_approval_meets_every_condition(
    state: State, answer: Answer, blocking: bool
) -> None:
    decision = judged(answer, state, blocking=blocking)
    if decision.state is None:
        return
    assert decision.state in NEXT[state]
    assert (state, decision.state) not in BY_OFFICERS_ONLY
    if decision.state is State.APPROVED:
        level = LEVELS[answer.level]
        assert answer.state is State.APPROVED
        assert not any([blocking, answer.is_sandbox, answer.is_suspected_fraud])
        assert answer.applicant_type == level.applicant_type
        assert not tiers.is_blocked(answer.country)


@given(st.lists(st.tuples(ANSWERS, st.booleans()), max_size=12))
def test_no_run_of_answers_leaves_a_final_no(steps: list[tuple[Answer, bool]]) -> None:
    state = State.REJECTED_FINAL
    for answer, blocking in steps:
        state = judged(answer, state, blocking=blocking).state or state
        assert state in {State.REJECTED_FINAL, State.SUSPENDED, State.ERASED}


def test_every_state_but_erased_has_a_way_on_and_only_erased_has_none() -> None:
    assert set(NEXT) == set(State)
    assert [state for state in State if not NEXT[state]] == [State.ERASED]
    assert all(State.ERASED in NEXT[state] for state in State if state is not State.ERASED)


LEVEL_SETS = st.lists(st.sampled_from(list(LEVELS.values())), max_size=4)


@given(LEVEL_SETS, st.integers(0, 4), st.booleans(), st.lists(st.integers(0, 4), max_size=3))
def test_a_cap_or_a_no_only_ever_lowers(
    approved: list[tiers.Level], officers: int, has_no: bool, caps: list[int]
) -> None:
    free = effective(approved=approved, officers_rank=officers, has_final_no=False, caps=[], country="DE")
    held = effective(approved=approved, officers_rank=officers, has_final_no=has_no, caps=caps, country="DE")
    assert held <= free
    assert held <= min(caps, default=4)
    assert free <= max(2, officers)
    if has_no:
        assert held == 0


def test_a_customer_from_a_country_not_served_holds_nothing() -> None:
    assert effective(approved=[STANDARD], officers_rank=4, has_final_no=False, caps=[], country="IR") == 0


def test_tiers_are_ordered_and_open_more_as_they_rise() -> None:
    assert [tier.rank for tier in tiers.TIERS] == [0, 1, 2, 3, 4]
    limits = [tier.withdraw_usd_per_day for tier in tiers.TIERS]
    assert [int(limit) for limit in limits if limit is not None] == [0, 500, 10_000, 100_000]
    assert limits[-1] is None
    assert not tiers.TIERS[0].features


def test_tier_one_opens_nothing_in_the_eu() -> None:
    assert tiers.tier(1, country="DE").features == frozenset()
    assert tiers.tier(1, country="CH").opens(tiers.Feature.TRADE)
    assert tiers.tier(2, country="DE").opens(tiers.Feature.WITHDRAW)


def test_one_officer_never_ends_a_blocking_case_without_a_consequence() -> None:
    for kind in cases.BLOCKING:
        assert Outcome.NO_ACTION not in cases.BY_ONE_OFFICER[kind]
    assert all(Outcome.APPROVE_TIER not in outcomes for outcomes in cases.BY_ONE_OFFICER.values())
    assert set(cases.BY_ONE_OFFICER) == set(Kind)
    assert cases.SUSPENDING <= cases.BLOCKING


PROPOSALS = st.builds(
    Proposal,
    deployment=st.text(max_size=10),
    case=st.uuids(),
    customer=st.uuids(),
    tier=st.integers(1, 4),
    tier_before=st.just(0),
    reason=st.text(max_size=30),
    maker=st.uuids(),
    expires=st.datetimes(datetime(2026, 1, 1), datetime(2030, 1, 1)).map(  # noqa: DTZ001 - made aware here
        lambda moment: moment.replace(microsecond=0, tzinfo=UTC)
    ),
)


@given(PROPOSALS)
def test_a_proposal_survives_its_own_encoding(proposal: Proposal) -> None:
    assert Proposal.parse(canonical.encode(proposal.payload())) == proposal


@given(PROPOSALS, st.sampled_from(["extra", "missing", "lower", "kind", "huge", "true"]))
def test_a_payload_that_is_not_exactly_a_proposal_is_refused(proposal: Proposal, fault: str) -> None:
    payload = dict(proposal.payload())
    change = {
        "lower": {"tier": 0},
        "kind": {"kind": "custody.withdrawal"},
        "huge": {"tier": 9},
        "true": {"v": True},
        "extra": {"x": 1},
    }
    payload |= change.get(fault, {})
    if fault == "missing":
        del payload["reason"]
    with pytest.raises(BadProposal):
        Proposal.parse(canonical.encode(payload))
