"""A frame …"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel import canonical, encodings, frames
from kernel.approval import BadStatement, SignedApproval, Statement, Verb
from kernel.frames import BadFrame
from kernel.webauthn import Assertion


@given(st.dictionaries(st.text(max_size=5), st.integers(0, 100), max_size=5))
def test_gives_its_message_back(message: dict[str, int]) -> None:
    try:
        data = frames.encode(message)
    except canonical.NotCanonical:
        return
    assert frames.body_length(data[:4]) == len(data) - 4
    assert frames.decode_body(data[4:]) == message


@pytest.mark.parametrize(
    "header", [b"", b"\0\0\0", b"\0\0\0\0", b"\0\x04\0\x01", b"\xff\xff\xff\xff", b"\0\0\0\1\0"]
)
def test_of_an_impossible_length_is_refused_before_its_body(header: bytes) -> None:
    with pytest.raises(BadFrame):
        frames.body_length(header)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"a": 1}', b'{"b":1,"a":1}', b"\xff", b"null"])
def test_that_is_not_canonical_is_refused(body: bytes) -> None:
    with pytest.raises(BadFrame):
        frames.decode_body(body)


def test_longer_than_the_cap_is_not_made() -> None:
    with pytest.raises(canonical.NotCanonical):
        frames.encode({"a": "x" * frames.FRAME_BYTES_MAX})


@given(st.binary(max_size=60))
def test_carries_bytes_in_one_spelling_only(data: bytes) -> None:
    for write, read in (
        (encodings.base64url, encodings.from_base64url),
        (encodings.base64_standard, encodings.from_base64_standard),
        (bytes.hex, encodings.from_hex),
    ):
        assert read(write(data)) == data


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (encodings.from_base64url, "AA=="),
        (encodings.from_base64url, "AB"),
        (encodings.from_base64url, "A"),
        (encodings.from_base64url, "A+"),
        (encodings.from_base64url, "A A"),
        (encodings.from_base64_standard, "AA"),
        (encodings.from_base64_standard, "AB=="),
        (encodings.from_base64_standard, "AA==\n"),
        (encodings.from_base64_standard, "_w=="),
        (encodings.from_hex, "AB"),
        (encodings.from_hex, "a"),
        (encodings.from_hex, "0x12"),
        (encodings.from_hex, "12 34"),
    ],
)
def test_refuses_a_second_spelling(read: object, text: str) -> None:
    with pytest.raises(encodings.BadEncoding):
        read(text)  # type: ignore[operator]


APPROVAL = SignedApproval("ben", Verb.APPROVE, b"\x01" * 32, Assertion(b"a", b"b", b"c"))


def test_carries_an_approval_there_and_back() -> None:
    assert SignedApproval.from_json(APPROVAL.as_json()) == APPROVAL


@pytest.mark.parametrize(
    "change",
    [
        {"verb": "maybe"},
        {"nonce": "AQ"},
        {"signature": "YQ=="},
        {"officer": 7},
        {"extra": "x"},
        {"client_data": None},
    ],
)
def test_refuses_an_approval_of_another_shape(change: dict[str, object]) -> None:
    with pytest.raises(BadStatement):
        SignedApproval.from_json({**APPROVAL.as_json(), **change})  # type: ignore[dict-item]
    with pytest.raises(BadStatement):
        SignedApproval.from_json(["x"])


@pytest.mark.parametrize(
    "parts",
    [
        ("maybe", "k", "d", b"\1" * 32, b"\2" * 32),
        ("approve", "", "d", b"\1" * 32, b"\2" * 32),
        ("approve", "k", "", b"\1" * 32, b"\2" * 32),
        ("approve", "k", "d", b"\1" * 31, b"\2" * 32),
        ("approve", "k", "d", b"\1" * 32, b"\2" * 33),
    ],
)
def test_holds_no_statement_with_a_part_missing(parts: tuple[str, str, str, bytes, bytes]) -> None:
    with pytest.raises(BadStatement):
        Statement(Verb(parts[0]) if parts[0] != "maybe" else parts[0], *parts[1:])  # type: ignore[arg-type]
