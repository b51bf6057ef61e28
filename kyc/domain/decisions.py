"""From a provider's answer to what we do: a verification's next state, and the case that people must see.

Taking away happens at once. Giving needs more than the provider's yes: a level that we know, the right kind
of applicant, a country that is served, and no open case that blocks.
"""

from __future__ import annotations

from dataclasses import dataclass

from kyc.domain import tiers, verifications
from kyc.domain.answers import Answer
from kyc.domain.cases import Kind
from kyc.domain.tiers import Level
from kyc.domain.verifications import State


@dataclass(frozen=True, slots=True)
class Decision:
    """`state` is None when the verification stays as it is; `why` says what was found, in a few words."""

    state: State | None = None
    case: Kind | None = None
    why: str = ""


def decide(
    *,
    state: State,
    answer: Answer,
    level: Level | None,
    has_blocking_case: bool,
    accepts_sandbox: bool = False,
) -> Decision:
    """What this answer means for a verification that stands at `state`."""
    if answer.is_sandbox and not accepts_sandbox:
        return Decision(why="sandbox answers change nothing")
    if answer.state is None:
        return Decision(why=f"unknown answer: {answer.said}")
    if level is None:
        case = Kind.MISMATCH if answer.state is State.APPROVED else None
        return Decision(case=case, why=f"no tier belongs to the level {answer.level or '(none)'}")
    found, case, why = _judge(answer, level, has_blocking_case=has_blocking_case, state=state)
    if found is state:
        return Decision(why="nothing new")
    if not verifications.may_move(state, found):
        return Decision(
            case=Kind.CONTRADICTION, why=f"the provider says {found}, which may not follow {state}"
        )
    return Decision(state=found, case=case, why=why)


def _judge(
    answer: Answer, level: Level, *, has_blocking_case: bool, state: State
) -> tuple[State, Kind | None, str]:
    found = answer.state or state
    if answer.is_suspected_fraud and found not in verifications.FINAL_NO:
        return State.ON_HOLD, Kind.FRAUD, "the provider suspects fraud"
    if found is State.ON_HOLD:
        return found, Kind.REVIEW, "the provider put it on hold"
    if found is State.REJECTED_FINAL and state is State.APPROVED:
        return found, Kind.LATE_REJECTION, "the provider took its approval back"
    if found is not State.APPROVED:
        return found, None, f"the provider says {found}"
    if answer.applicant_type != level.applicant_type:
        kind = f"{answer.applicant_type or 'unknown'} applicant at a level for {level.applicant_type}s"
        return State.ON_HOLD, Kind.MISMATCH, kind
    if tiers.is_blocked(answer.country):
        return State.ON_HOLD, Kind.COUNTRY, "the document's country is not served"
    if has_blocking_case and state is not State.APPROVED:
        return State.ON_HOLD, None, "an open case blocks approval"
    if not level.is_automatic:
        return found, Kind.TIER_DECISION, "approved by the provider; officers decide about the tier"
    return found, None, "approved by the provider"
