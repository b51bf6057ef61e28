"""Quorum: have enough distinct people of each required team agreed?

Teams are joined by AND. Nobody counts twice: not by answering twice, not by sitting in two teams. The maker
never counts. A rejection outweighs the same person's approval, and enough rejections end the request.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from kernel.approval import Verb


class BadQuorum(ValueError):
    """No team, or a team of which nobody is required: such a policy would approve by itself."""


class State(StrEnum):
    """Where a request stands."""

    OPEN = "open"
    APPROVED = "approved"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Given:
    """One answer: who, the teams they belong to, what they said. Officers are compared by this id."""

    officer: str
    teams: frozenset[str]
    verb: Verb

    @classmethod
    def by(cls, officer: object, teams: Collection[str], verb: str) -> Given:
        """The same from any id that has a text, and any collection of teams."""
        return cls(str(officer), frozenset(teams), Verb(verb))


@dataclass(frozen=True, slots=True)
class Standing:
    """The state, how many are still missing per team, and who counted for which team."""

    state: State
    missing: Mapping[str, int]
    counted: Mapping[str, str] = field(default_factory=dict)

    @property
    def approved(self) -> bool:
        """Whether the quorum is met and not rejected."""
        return self.state is State.APPROVED


def judge(
    required: Mapping[str, int],
    answers: Sequence[Given],
    *,
    maker: object,
    rejections_needed: int = 1,
    agreeing: Verb = Verb.APPROVE,
) -> Standing:
    """Where the request stands after these answers. Their order does not matter.

    `agreeing` is the verb that counts towards the quorum: approve, or release where a freeze is to end.
    """
    if not required or any(type(count) is not int or count < 1 for count in required.values()):
        raise BadQuorum("every quorum names at least one team, and at least one person of each")
    if rejections_needed < 1:
        raise BadQuorum("at least one rejection must be able to reject")
    entitled = [
        answer
        for answer in answers
        if answer.officer != str(maker) and not required.keys().isdisjoint(answer.teams)
    ]
    rejecting = {answer.officer for answer in entitled if answer.verb is Verb.REJECT}
    agreed: dict[str, frozenset[str]] = {}
    for answer in entitled:
        if answer.verb is agreeing and answer.officer not in rejecting:
            # Seen with different teams (a role changed in between), only teams in all answers count.
            agreed[answer.officer] = agreed.get(answer.officer, answer.teams) & answer.teams
    counted = _assign(required, agreed)
    filled = list(counted.values())
    missing = {team: count - filled.count(team) for team, count in sorted(required.items())}
    if len(rejecting) >= rejections_needed:
        return Standing(State.REJECTED, missing, counted)
    return Standing(State.OPEN if any(missing.values()) else State.APPROVED, missing, counted)


def _assign(required: Mapping[str, int], agreed: Mapping[str, frozenset[str]]) -> dict[str, str]:
    """Give as many officers as possible one seat each (bipartite matching, so the order cannot matter)."""
    seats = [(team, number) for team in sorted(required) for number in range(required[team])]
    holder: dict[tuple[str, int], str] = {}

    def seat_found(officer: str, tried: set[tuple[str, int]]) -> bool:
        for seat in seats:
            if seat[0] not in agreed[officer] or seat in tried:
                continue
            tried.add(seat)
            if seat not in holder or seat_found(holder[seat], tried):
                holder[seat] = officer
                return True
        return False

    for officer in sorted(agreed):
        seat_found(officer, set())
    return {officer: seat[0] for seat, officer in sorted(holder.items())}
