"""Of a log that witnesses watch …"""

from __future__ import annotations

from typing import Final

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kernel import cosignature, encodings, merkle, note, witnessed
from kernel.cosignature import Cosigner

LOG: Final = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
NAMED: Final = note.Verifier("test/signer/hot-1", LOG.public_key().public_bytes_raw())
KEYS: Final = [Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in (1, 2, 3)]
WITNESSES: Final = [
    Cosigner(f"witness/{number}", key.public_key().public_bytes_raw()) for number, key in enumerate(KEYS)
]
HEAD: Final = note.Checkpoint(NAMED.name, 3, merkle.EMPTY_ROOT)
TIMES: Final = range(100, 201)


def cosigned(*at: int, head: note.Checkpoint = HEAD) -> str:
    """The head with a line of each of the first witnesses, each at its time."""
    lines = [
        cosignature.cosign(head.text(), by=by, signer=key.sign, at=moment)
        for by, key, moment in zip(WITNESSES, KEYS, at, strict=False)
    ]
    return note.sign(head.text(), by=NAMED, signer=LOG.sign) + "".join(f"{line}\n" for line in lines)


def seen(text: str, quorum: int, head: note.Checkpoint = HEAD) -> int:
    return witnessed.seen(head, text, among=WITNESSES, quorum=quorum, times=TIMES)


def test_the_slowest_of_a_quorum_says_when_it_was_seen() -> None:
    assert [seen(cosigned(120, 180, 150), quorum) for quorum in (1, 2, 3)] == [180, 150, 120]
    assert seen(cosigned(100, 200), 2) == 100
    assert witnessed.head(cosigned(120), by=NAMED) == HEAD


@pytest.mark.parametrize("at", [(), (120,), (120, 99), (120, 201)], ids=str)
def test_too_few_at_a_time_that_counts_are_none(at: tuple[int, ...]) -> None:
    with pytest.raises(note.BadNote, match=r"\d fresh cosignatures, 2 are needed"):
        seen(cosigned(*at), 2)


def test_nobodys_line_counts_twice_or_for_another_head() -> None:
    one = cosigned(120)
    with pytest.raises(note.BadNote):
        seen(one + one.splitlines()[-1] + "\n", 2)
    with pytest.raises(note.BadNote):
        seen(cosigned(120, 150), 1, head=note.Checkpoint(NAMED.name, 4, merkle.EMPTY_ROOT))


def test_another_logs_head_is_not_taken_for_its_own_whoever_signed_it() -> None:
    other = note.Checkpoint("test/signer/hot-2", 3, merkle.EMPTY_ROOT)
    with pytest.raises(note.BadNote, match="a head of test/signer/hot-2"):
        witnessed.head(note.sign(other.text(), by=NAMED, signer=LOG.sign), by=NAMED)


def test_lines_are_given_out_by_the_page_and_the_first_whatever_its_length() -> None:
    most = witnessed.LINES_BYTES_MAX
    assert len(witnessed.page([b"{}\n"] * 600)) == witnessed.LINES_MAX == 500
    assert witnessed.page([b"x" * (most + 1) + b"\n", b"{}"]) == ["x" * (most + 1)]
    assert witnessed.page([b"x" * (most - 2), b"{}", b"[]"]) == ["x" * (most - 2), "{}"]
    assert witnessed.page([]) == []


def test_a_witnesss_key_is_read_in_its_one_form() -> None:
    one = WITNESSES[0]
    assert Cosigner.parse(f" {one}\n") == one
    name, known_by, data = str(one).split("+", 2)
    of_a_log = note.Verifier(one.name, one.public_key)
    for text in (
        f"{name}+{known_by}",
        f"{name}+{'0' * 8}+{data}",
        f"other+{known_by}+{data}",
        f"{name}+{known_by}+{data[:-1]}",
        str(of_a_log),
    ):
        with pytest.raises(note.BadNote):
            Cosigner.parse(text)
    for name, key in (("", one.public_key), ("a b", one.public_key), ("a+b", one.public_key), ("a", b"\1")):
        with pytest.raises(note.BadNote):
            Cosigner(name, key)


def test_a_line_is_a_witnesss_own_or_passed_over_and_a_wrong_one_is_an_error() -> None:
    one, other = WITNESSES[:2]
    right, strange = cosignature.lines_of(cosigned(120, 150))[1:]
    assert cosignature.check(HEAD.text(), ["", "— x", strange, right], by=one) == 120
    dash, name, data = right.split(" ")
    raw = encodings.from_base64_standard(data)
    namesake = Cosigner(one.name, other.public_key)
    with pytest.raises(note.NotSigned, match="not cosigned by witness/0"):
        cosignature.check(HEAD.text(), [right], by=namesake)
    later = raw[:4] + (121).to_bytes(8, "big") + raw[12:]
    with pytest.raises(note.NotSigned, match="is wrong"):
        cosignature.check(HEAD.text(), [f"{dash} {name} {encodings.base64_standard(later)}", right], by=one)
    for bad in (raw[:-1], raw + b"\0"):
        with pytest.raises(note.BadNote, match="a cosignature is key, time and signature"):
            cosignature.check(HEAD.text(), [f"{dash} {name} {encodings.base64_standard(bad)}"], by=one)
    with pytest.raises(note.BadNote):
        cosignature.check(HEAD.text(), [f"{right}="], by=one)
