"""A quorum …"""

from __future__ import annotations

import random
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel import quorum
from kernel.approval import Verb
from kernel.quorum import BadQuorum, Given, State, judge

ANA, BEN, CY, DOT, EVE = "ana", "ben", "cy", "dot", "eve"
TREASURY, COMPLIANCE = "treasury", "compliance"


def says(officer: str, *teams: str, verb: str = "approve") -> Given:
    return Given.by(officer, teams, verb)


def test_of_two_is_met_by_two_people_and_not_by_one_twice() -> None:
    assert judge({TREASURY: 2}, [says(BEN, TREASURY), says(CY, TREASURY)], maker=ANA).approved
    standing = judge({TREASURY: 2}, [says(BEN, TREASURY), says(BEN, TREASURY)], maker=ANA)
    assert (standing.state, standing.missing) == (State.OPEN, {TREASURY: 1})


def test_never_counts_the_maker() -> None:
    standing = judge({TREASURY: 2}, [says(ANA, TREASURY), says(BEN, TREASURY)], maker=ANA)
    assert standing.missing == {TREASURY: 1}
    assert ANA not in standing.counted


def test_counts_an_officer_of_two_teams_once() -> None:
    both = says(BEN, TREASURY, COMPLIANCE)
    required = {TREASURY: 1, COMPLIANCE: 1}
    assert judge(required, [both], maker=ANA).state is State.OPEN
    assert judge(required, [both, both], maker=ANA).state is State.OPEN
    assert judge(required, [both, says(CY, TREASURY)], maker=ANA).approved
    assert judge(required, [says(CY, TREASURY), both], maker=ANA).approved


def test_seats_people_where_they_are_needed_most() -> None:
    flexible = [says(BEN, TREASURY, COMPLIANCE), says(CY, TREASURY, COMPLIANCE)]
    required = {COMPLIANCE: 1, TREASURY: 2}
    assert judge(required, [*flexible, says(DOT, COMPLIANCE)], maker=ANA).approved
    assert judge(required, [*flexible, says(DOT, TREASURY)], maker=ANA).approved
    assert not judge(required, flexible, maker=ANA).approved


def test_is_ended_by_enough_rejections_whatever_was_approved() -> None:
    approved = [says(BEN, TREASURY), says(CY, TREASURY)]
    no = says(DOT, TREASURY, verb="reject")
    assert judge({TREASURY: 2}, [*approved, no], maker=ANA).state is State.REJECTED
    assert judge({TREASURY: 2}, [*approved, no], maker=ANA, rejections_needed=2).approved


def test_counts_a_rejection_over_the_same_persons_approval_in_any_order() -> None:
    answers = [says(BEN, TREASURY), says(BEN, TREASURY, verb="reject"), says(CY, TREASURY)]
    for order in (answers, answers[::-1]):
        assert judge({TREASURY: 2}, order, maker=ANA, rejections_needed=2).state is State.OPEN


def test_does_not_hear_people_of_other_teams() -> None:
    answers = [says(EVE), says(DOT, "audit"), says(DOT, "audit", verb="reject")]
    standing = judge({TREASURY: 1}, answers, maker=ANA)
    assert (standing.state, standing.missing) == (State.OPEN, {TREASURY: 1})


def test_to_release_is_not_met_by_approvals() -> None:
    approvals = [says(BEN, TREASURY), says(CY, TREASURY)]
    releases = [says(BEN, TREASURY, verb="release"), says(CY, TREASURY, verb="release")]
    assert not judge({TREASURY: 2}, approvals, maker=ANA, agreeing=Verb.RELEASE).approved
    assert judge({TREASURY: 2}, releases, maker=ANA, agreeing=Verb.RELEASE).approved
    assert not judge({TREASURY: 2}, releases, maker=ANA).approved


@pytest.mark.parametrize(
    "required", [{}, {TREASURY: 0}, {TREASURY: -1}, {TREASURY: 1, COMPLIANCE: 0}, {TREASURY: True}]
)
def test_that_would_be_met_by_nobody_is_refused(required: dict[str, int]) -> None:
    with pytest.raises(BadQuorum):
        judge(required, [], maker=ANA)


def test_that_nobody_can_reject_is_refused() -> None:
    with pytest.raises(BadQuorum):
        judge({TREASURY: 1}, [], maker=ANA, rejections_needed=0)


teams = st.sets(st.sampled_from([TREASURY, COMPLIANCE, "board"]), max_size=3)
people = st.dictionaries(st.sampled_from([ANA, BEN, CY, DOT, EVE]), teams, max_size=5)
required = st.dictionaries(st.sampled_from([TREASURY, COMPLIANCE, "board"]), st.integers(1, 3), min_size=1)
answers = st.lists(
    st.builds(
        Given,
        st.sampled_from([ANA, BEN, CY, DOT, EVE]),
        teams.map(frozenset),
        st.sampled_from([Verb.APPROVE, Verb.REJECT]),
    ),
    max_size=8,
)


@given(required, answers, st.randoms(use_true_random=False))
def test_does_not_depend_on_the_order_of_answers(
    needed: dict[str, int], given_answers: list[Given], shuffle: random.Random
) -> None:
    mixed = list(given_answers)
    shuffle.shuffle(mixed)
    one, other = (judge(needed, some, maker=ANA) for some in (given_answers, mixed))
    assert (one.state, sum(one.missing.values())) == (other.state, sum(other.missing.values()))


@given(required, answers)
def test_is_only_met_by_enough_distinct_people_who_agreed(
    needed: dict[str, int], given_answers: list[Given]
) -> None:
    standing = judge(needed, given_answers, maker=ANA)
    rejecting = {
        one.officer for one in given_answers if one.verb is Verb.REJECT and one.teams & needed.keys()
    }
    assert len(set(standing.counted)) == len(standing.counted)
    assert ANA not in standing.counted
    assert rejecting.isdisjoint(standing.counted)
    for officer, team in standing.counted.items():
        assert any(
            one.officer == officer and team in one.teams and one.verb is Verb.APPROVE for one in given_answers
        )
    if standing.approved:
        assert len(standing.counted) == sum(needed.values())


@given(required, people)
def test_is_met_whenever_there_is_any_way_to_seat_everybody(
    needed: dict[str, int], sitting: dict[str, set[str]]
) -> None:
    """Against trying every assignment by brute force."""
    entitled = {
        officer: sorted(teams & needed.keys()) for officer, teams in sitting.items() if officer != ANA
    }
    choices = [[None, *teams] for teams in entitled.values()]
    possible = any(
        all(list(seating).count(team) >= count for team, count in needed.items())
        for seating in product(*choices)
    )
    given_answers = [Given(officer, frozenset(teams), Verb.APPROVE) for officer, teams in sitting.items()]
    assert judge(needed, given_answers, maker=ANA).approved is possible


@given(required, answers, st.builds(Given, st.just("zoe"), teams.map(frozenset), st.just(Verb.APPROVE)))
def test_is_never_undone_by_one_more_approval(
    needed: dict[str, int], given_answers: list[Given], more: Given
) -> None:
    before = judge(needed, given_answers, maker=ANA)
    after = judge(needed, [*given_answers, more], maker=ANA)
    if before.state is not quorum.State.OPEN:
        assert after.state is before.state
