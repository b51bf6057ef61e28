"""Reading Sumsub's applicant document into an answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kyc.domain.answers import Answer, mapping, text, texts
from kyc.domain.verifications import State

_UNFINISHED: Final[Mapping[str, State]] = {
    "init": State.IN_PROGRESS,
    "awaitingUser": State.IN_PROGRESS,
    "pending": State.SUBMITTED,
    "prechecked": State.SUBMITTED,
    "queued": State.SUBMITTED,
    # GREEN can stand beside awaitingService: a partial result, not an approval.
    "awaitingService": State.SUBMITTED,
    "onHold": State.ON_HOLD,
}
_PERSON: Final = ("firstName", "middleName", "lastName", "dob", "country", "nationality")


def read(document: object) -> Answer:
    """The answer in `GET /resources/applicants/{id}/one`; every field may be missing."""
    applicant = mapping(document)
    review, info = mapping(applicant.get("review")), mapping(applicant.get("info"))
    result = mapping(review.get("reviewResult"))
    person = {name: text(info.get(name)) for name in _PERSON if text(info.get(name))}
    return Answer(
        state=state(review),
        level=text(review.get("levelName")),
        applicant_type=text(applicant.get("type")),
        is_sandbox=applicant.get("sandboxMode") is True,
        country=text(info.get("country")),
        labels=texts(result.get("rejectLabels")),
        message=text(result.get("moderationComment")),
        comment=text(result.get("clientComment")),
        mark="/".join(
            str(review.get(name, "")) for name in ("reviewId", "attemptId", "attemptCnt", "reviewDate")
        ),
        said=f"{review.get('reviewStatus')} {result.get('reviewAnswer')} {result.get('reviewRejectType')}",
        person=person,
    )


def state(review: Mapping[str, object]) -> State | None:
    """Approved only when the review is completed and GREEN; None for anything Sumsub has not documented."""
    status, result = text(review.get("reviewStatus")), mapping(review.get("reviewResult"))
    if status != "completed":
        return _UNFINISHED.get(status)
    match text(result.get("reviewAnswer")), text(result.get("reviewRejectType")):
        case "GREEN", _:
            return State.APPROVED
        case "RED", "RETRY":
            return State.RETRY_REQUIRED
        case "RED", "FINAL":
            return State.REJECTED_FINAL
        case _:
            return None
