"""A delivery is believed only if its provider signed exactly these bytes, and then only to look again."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kyc.domain.deliveries import (
    Meaning,
    body_digest,
    from_onfido,
    from_sumsub,
    signed_by_onfido,
    signed_by_sumsub,
)

SECRET = b"webhook-secret"
BODY = b'{\n  "type" : "applicantReviewed",\n  "reviewResult" : {\n    "reviewAnswer" : "GREEN"\n  }\n}'


def digest(body: bytes, secret: bytes = SECRET, name: str = "sha256") -> str:
    return hmac.new(secret, body, name).hexdigest()


def sumsub(body: bytes, given: str | None, algorithm: str | None = None, *secrets: bytes) -> bool:
    return signed_by_sumsub(body, digest=given, algorithm=algorithm, secrets=secrets or (SECRET,))


def test_a_body_signed_as_documented_verifies() -> None:
    assert sumsub(BODY, digest(BODY))
    assert sumsub(BODY, digest(BODY), "HMAC_SHA256_HEX")
    assert sumsub(BODY, digest(BODY, name="sha512"), "HMAC_SHA512_HEX")


def test_onfido_s_published_example_verifies() -> None:
    """The example of Onfido's own Python library (onfido-python, classic webhook events)."""
    body = (
        b'{"payload":{"resource_type":"check","action":"check.completed",'
        b'"object":{"id":"f2302f45-227d-413d-ad61-09ec077a086a","status":"complete",'
        b'"completed_at_iso8601":"2024-04-04T09:21:21Z",'
        b'"href":"https://api.onfido.com/v3.6/checks/f2302f45-227d-413d-ad61-09ec077a086a"}}}'
    )
    token = b"wU99mE6jJ7nXOLFwZ0tJymM1lpI15pZh"
    signature = "77ebc3e418f26be6eebb47f7ebe551321de26734fc273961e075fc9ab163d9c7"
    assert signed_by_onfido(body, digest=signature, secrets=[token])
    assert not signed_by_onfido(body, digest=signature[:-1] + "8", secrets=[token])
    notice = from_onfido(body)
    assert (notice.meaning, notice.check_id) == (Meaning.READ, "f2302f45-227d-413d-ad61-09ec077a086a")


def test_hashing_only_the_inner_payload_does_not_verify() -> None:
    inner = b'{"action":"check.completed"}'
    body = b'{"payload":' + inner + b"}"
    assert not signed_by_onfido(body, digest=digest(inner), secrets=[SECRET])


def test_a_body_that_was_parsed_and_dumped_again_does_not_verify() -> None:
    assert not sumsub(json.dumps(json.loads(BODY)).encode(), digest(BODY))


@pytest.mark.parametrize("given", [None, "", "é" * 64, digest(BODY)[:-1] + "é", digest(BODY)[:-1] + "\u0661"])
def test_a_missing_or_non_ascii_digest_is_refused_without_an_error(given: str | None) -> None:
    assert not sumsub(BODY, given)
    assert not signed_by_onfido(BODY, digest=given, secrets=[SECRET])


@pytest.mark.parametrize(
    "given", [digest(BODY) + "zz", digest(BODY) + "\n", " " + digest(BODY), digest(BODY).upper()]
)
def test_a_right_digest_with_anything_more_or_in_capitals_is_refused(given: str) -> None:
    assert not sumsub(BODY, given)


@pytest.mark.parametrize("algorithm", ["HMAC_SHA1_HEX", "NONE", "hmac_sha256_hex", "HMAC_SHA512_HEX"])
def test_an_algorithm_that_is_not_pinned_or_not_the_one_used_is_refused(algorithm: str) -> None:
    weak = digest(BODY, name="sha1") if "SHA1" in algorithm else digest(BODY)
    assert not sumsub(BODY, weak, algorithm)


def test_an_empty_secret_never_verifies() -> None:
    assert not sumsub(BODY, digest(BODY, b""), None, b"")
    assert not sumsub(BODY, digest(BODY), None, b"")


def test_either_of_two_secrets_verifies_while_one_replaces_the_other() -> None:
    assert sumsub(BODY, digest(BODY, b"new"), None, b"old", b"new")
    assert sumsub(BODY, digest(BODY, b"old"), None, b"old", b"new")
    assert not sumsub(BODY, digest(BODY, b"app-token-secret"), None, b"old", b"new")


@given(st.binary(max_size=200), st.integers(0, 199), st.integers(1, 255))
def test_no_changed_byte_goes_unnoticed(body: bytes, at: int, change: int) -> None:
    given_digest = digest(body)
    assert sumsub(body, given_digest)
    if body:
        at %= len(body)
        changed = body[:at] + bytes([body[at] ^ change]) + body[at + 1 :]
        assert not sumsub(changed, given_digest)


def read(**fields: Any) -> Meaning:
    body = {"type": "applicantReviewed", "applicantId": "5cb744200a975a67ed1798a4"} | fields
    return from_sumsub(json.dumps(body).encode(), accepts_sandbox=False).meaning


def test_an_applicant_s_event_asks_for_a_read_and_for_nothing_else() -> None:
    assert read() is Meaning.READ
    assert read(type="applicantPending") is Meaning.READ
    assert read(reviewResult={"reviewAnswer": "GREEN"}, reviewStatus="completed") is Meaning.READ


@pytest.mark.parametrize("event", ["applicantDeactivated", "applicantDeleted"])
def test_a_notice_that_takes_away_counts_by_itself(event: str) -> None:
    assert read(type=event) is Meaning.LOWER


@pytest.mark.parametrize("fields", [{"sandboxMode": True}, {"testMode": True}])
def test_sandbox_and_hand_sent_deliveries_are_ignored(fields: dict[str, bool]) -> None:
    assert read(**fields) is Meaning.IGNORE
    assert read(**fields, type="applicantDeactivated") is Meaning.IGNORE


@pytest.mark.parametrize("event", ["kytCaseUpdated", "somethingNew", "", 7, None, ["applicantReviewed"]])
def test_an_unknown_type_is_kept_and_does_nothing(event: object) -> None:
    assert read(type=event) is Meaning.NOTE


@pytest.mark.parametrize(
    "body", [b"", b"not json", b"[]", b"null", b"7", b'"x"', b"\xff\xfe", b"[" * 100_000]
)
def test_signed_rubbish_is_poison_and_no_error(body: bytes) -> None:
    assert from_sumsub(body, accepts_sandbox=False).meaning is Meaning.POISON
    assert from_onfido(body).meaning is Meaning.POISON


@pytest.mark.parametrize("identifier", ["../../x", "a/b", "", 7, None, "x" * 65, "a?b", "é"])
def test_an_id_that_could_bend_an_address_is_not_used(identifier: object) -> None:
    assert read(applicantId=identifier) is Meaning.POISON
    body = {"payload": {"action": "check.completed", "object": {"id": identifier}}}
    assert from_onfido(json.dumps(body).encode()).meaning is Meaning.POISON


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(["type", "payload", "object", "id", "action", "applicantId"]), inner
            )
        ),
        max_leaves=8,
    )
)
def test_no_json_at_all_makes_an_error(document: object) -> None:
    raw = json.dumps(document).encode()
    assert from_sumsub(raw, accepts_sandbox=False).meaning in Meaning
    assert from_onfido(raw).meaning in Meaning


def test_equal_bytes_have_equal_names() -> None:
    assert hashlib.sha256(BODY).hexdigest() == body_digest(BODY)
