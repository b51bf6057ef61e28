"""Reading Onfido's check and its reports into an answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from kyc.domain.answers import Answer, mapping, objects, text
from kyc.domain.tiers import LEVELS
from kyc.domain.verifications import State

_CHECK: Final[Mapping[str, State]] = {
    "awaiting_applicant": State.IN_PROGRESS,
    "in_progress": State.SUBMITTED,
    "reopened": State.SUBMITTED,
    "paused": State.ON_HOLD,
    "withdrawn": State.RETRY_REQUIRED,
}


def read(document: object) -> Answer:
    """The answer in {"applicant": …, "check": the newest check or null, "reports": of that check}."""
    parts = mapping(document)
    check, applicant = mapping(parts.get("check")), mapping(parts.get("applicant"))
    reports = objects(parts.get("reports"))
    names = {"first_name": "firstName", "last_name": "lastName", "dob": "dob"}
    return Answer(
        state=state(check, reports) if check else State.IN_PROGRESS,
        level=level(reports) if check else "",
        applicant_type="individual",
        is_sandbox=check.get("sandbox") is True or applicant.get("sandbox") is True,
        is_suspected_fraud=any(text(report.get("sub_result")) == "suspected" for report in reports),
        country=text(mapping(applicant.get("location")).get("country_of_residence")),
        labels=tuple(
            f"{text(report.get('name'))}:{text(report.get('sub_result')) or text(report.get('result'))}"
            for report in reports
            if text(report.get("result")) not in ("", "clear")
        ),
        mark=text(check.get("id")),
        said=f"{check.get('status')} {check.get('result')}",
        person={
            ours: text(applicant.get(theirs)) for theirs, ours in names.items() if text(applicant.get(theirs))
        },
    )


def state(check: Mapping[str, object], reports: Sequence[Mapping[str, object]]) -> State | None:
    """Approved only when the check is complete and clear and so is every one of its reports.

    "complete" alone says that the work is over, and is the same for clear and consider.
    """
    status, result = text(check.get("status")), text(check.get("result"))
    if status != "complete":
        return _CHECK.get(status)
    if result == "consider":
        return State.ON_HOLD
    if result != "clear":
        return None
    clear = [
        text(report.get("status")) == "complete" and text(report.get("result")) == "clear"
        for report in reports
    ]
    return State.APPROVED if clear and all(clear) else State.ON_HOLD


def level(reports: Sequence[Mapping[str, object]]) -> str:
    """The highest level all of whose reports are in the check; none where there is no such level."""
    names = {text(report.get("name")) for report in reports}
    names |= {"facial_similarity_photo" for name in names if name.startswith("facial_similarity_")}
    met = [level for level in LEVELS.values() if level.reports and level.reports <= names]
    return max(met, key=lambda level: level.rank).name if met else ""
