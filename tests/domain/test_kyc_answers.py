"""A provider's answer is an approval only where the provider says exactly that."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kyc.domain import onfido, sumsub
from kyc.domain.verifications import State


def applicant(status: str, answer: str = "", reject: str = "", **review: Any) -> dict[str, Any]:
    result = {"reviewAnswer": answer, "reviewRejectType": reject} if answer else {}
    return {
        "id": "5cb744200a975a67ed1798a4",
        "type": "individual",
        "info": {"firstName": "Tom", "country": "DEU"},
        "review": {"reviewStatus": status, "levelName": "kyc-standard", "reviewResult": result, **review},
    }


@pytest.mark.parametrize(
    ("status", "answer", "reject", "expected"),
    [
        ("init", "", "", State.IN_PROGRESS),
        ("awaitingUser", "", "", State.IN_PROGRESS),
        ("pending", "", "", State.SUBMITTED),
        ("prechecked", "", "", State.SUBMITTED),
        ("queued", "", "", State.SUBMITTED),
        ("awaitingService", "", "", State.SUBMITTED),
        ("awaitingService", "GREEN", "", State.SUBMITTED),
        ("pending", "GREEN", "", State.SUBMITTED),
        ("onHold", "", "", State.ON_HOLD),
        ("onHold", "GREEN", "", State.ON_HOLD),
        ("completed", "GREEN", "", State.APPROVED),
        ("completed", "RED", "RETRY", State.RETRY_REQUIRED),
        ("completed", "RED", "FINAL", State.REJECTED_FINAL),
        ("completed", "RED", "", None),
        ("completed", "YELLOW", "", None),
        ("completed", "green", "", None),
        ("completed", "", "", None),
        ("Completed", "GREEN", "", None),
        ("somethingNew", "GREEN", "", None),
    ],
)
def test_sumsub_s_words_mean(status: str, answer: str, reject: str, expected: State | None) -> None:
    assert sumsub.read(applicant(status, answer, reject)).state is expected


def test_the_customer_s_words_and_ours_are_kept_apart() -> None:
    document = applicant("completed", "RED", "FINAL")
    document["review"]["reviewResult"] |= {"moderationComment": "for you", "clientComment": "for us"}
    answer = sumsub.read(document)
    assert (answer.message, answer.comment) == ("for you", "for us")


def test_a_second_attempt_is_another_answer_and_the_same_one_is_not() -> None:
    first = sumsub.read(applicant("completed", "GREEN", attemptCnt=1)).fingerprint()
    assert first == sumsub.read(applicant("completed", "GREEN", attemptCnt=1)).fingerprint()
    assert first != sumsub.read(applicant("completed", "GREEN", attemptCnt=2)).fingerprint()


def checked(
    status: str, result: str | None, *reports: tuple[str, str | None], sub: str = ""
) -> dict[str, Any]:
    names = ["document", "facial_similarity_motion", "watchlist_standard"]
    return {
        "applicant": {"id": "a", "first_name": "Tom", "last_name": "Trader"},
        "check": {"id": "c", "status": status, "result": result},
        "reports": [
            {"name": name, "status": each[0], "result": each[1], "sub_result": sub}
            for name, each in zip(names, reports, strict=False)
        ],
    }


CLEAR = ("complete", "clear")


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (checked("complete", "clear", CLEAR, CLEAR, CLEAR), State.APPROVED),
        (checked("complete", "consider", CLEAR, CLEAR, CLEAR), State.ON_HOLD),
        (checked("complete", "clear", CLEAR, ("complete", "consider"), CLEAR), State.ON_HOLD),
        (checked("complete", "clear", CLEAR, ("complete", "unidentified"), CLEAR), State.ON_HOLD),
        (checked("complete", "clear", CLEAR, ("awaiting_approval", None), CLEAR), State.ON_HOLD),
        (checked("complete", "clear"), State.ON_HOLD),
        (checked("complete", None, CLEAR), None),
        (checked("complete", "splendid", CLEAR), None),
        (checked("in_progress", "clear", CLEAR), State.SUBMITTED),
        (checked("reopened", "clear", CLEAR), State.SUBMITTED),
        (checked("awaiting_applicant", None), State.IN_PROGRESS),
        (checked("paused", None), State.ON_HOLD),
        (checked("withdrawn", None), State.RETRY_REQUIRED),
        (checked("somethingNew", "clear", CLEAR), None),
        ({"applicant": {}, "check": None, "reports": []}, State.IN_PROGRESS),
    ],
)
def test_onfido_s_words_mean(document: dict[str, Any], expected: State | None) -> None:
    assert onfido.read(document).state is expected


def test_an_onfido_check_earns_the_level_all_of_whose_reports_it_has() -> None:
    assert onfido.read(checked("complete", "clear", CLEAR, CLEAR, CLEAR)).level == "kyc-standard"
    assert onfido.read(checked("complete", "clear", CLEAR, CLEAR)).level == ""


def test_a_suspected_document_is_suspected_fraud() -> None:
    document = checked("complete", "consider", ("complete", "consider"), sub="suspected")
    assert onfido.read(document).is_suspected_fraud


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "review",
                    "reviewStatus",
                    "reviewResult",
                    "info",
                    "type",
                    "check",
                    "status",
                    "result",
                    "reports",
                    "name",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=10,
)


@given(JSON)
def test_no_document_makes_an_error_or_an_approval_by_accident(document: object) -> None:
    for answer in (sumsub.read(document), onfido.read(document)):
        if answer.state is State.APPROVED:
            text = json.dumps(document)
            assert "GREEN" in text or "clear" in text
