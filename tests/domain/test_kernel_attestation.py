"""What an authenticator says of a new passkey …"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel import encodings
from kernel.attestation import BadAttestation
from tests.attesting import (
    AAGUID,
    KEY,
    MODEL,
    ORIGIN,
    POINT,
    Statement,
    at_the_console,
    certificate,
    made,
    read,
)


def bare(stated: Statement) -> None:
    stated.update(fmt="none", attStmt={})


def test_is_read_as_the_console_reads_it() -> None:
    for change in (lambda found: None, bare):
        client, written = made(change)
        found = read(client, written)
        assert found.public_key.hex() == at_the_console(client, written) == KEY.public_key_hex
        assert found.aaguid == MODEL
    assert read(*made()).attestation == "packed"
    assert read(*made(bare)).attestation == "none"
    assert encodings.base64url(read(*made()).credential_id) == KEY.credential_id


def flagged(flags: int) -> Callable[[Statement], None]:
    def change(stated: Statement) -> None:
        data = bytearray(stated["authData"])
        data[32] = flags
        stated["authData"] = bytes(data)
        bare(stated)

    return change


def longer(stated: Statement) -> None:
    stated["authData"] += b"\x00"
    bare(stated)


def of_another_curve(stated: Statement) -> None:
    data = stated["authData"]
    stated["authData"] = data.replace(cbor2.dumps({-1: 1})[1:], cbor2.dumps({-1: 2})[1:])
    bare(stated)


def data(change: Callable[[bytes], bytes]) -> Callable[[Statement], None]:
    """With authenticator data that were changed, attested by nobody."""

    def of(stated: Statement) -> None:
        stated["authData"] = change(stated["authData"])
        bare(stated)

    return of


def key(**members: Any) -> Callable[[Statement], None]:
    """With another public key."""
    found = {"1": 2, "3": -7, "-1": 1, "-2": POINT[1:33], "-3": POINT[33:]} | members
    return data(lambda before: before[:87] + cbor2.dumps({int(name): one for name, one in found.items()}))


ODD: Final[list[tuple[Callable[[Statement], None], str]]] = [
    (flagged(0x44), "asked for no PIN"),
    (flagged(0xC5), "unreadable: the bytes end too early"),
    (data(lambda found: found[:53] + b"\0\0" + found[87:]), "another length"),
    (data(lambda found: found[:53] + b"\xff\xff" + found[55:]), "unreadable"),
    (data(lambda found: found[:87] + b"\x00"), "another kind of key"),
    (key(**{"1": 1}), "another kind of key"),
    (key(**{"3": -257}), "another kind of key"),
    (key(**{"-2": "x"}), "no point"),
    (key(**{"-3": "y"}), "no point"),
    (key(**{"-3": POINT[1:33]}), "Invalid EC key"),  # on no curve
    (lambda found: found.update(attStmt=7), "no attestation object"),
    (lambda found: found.update(authData="text"), "no attestation object"),
    (lambda found: found["attStmt"].update(sig="text"), "no statement of that form"),
    (lambda found: found["attStmt"].update(x5c=b"text"), "no statement of that form"),
    (lambda found: found["attStmt"].update(more=b"x" * 70_000), "longer than"),
]


@pytest.mark.parametrize(("change", "why"), ODD)
def test_is_refused_where_any_part_of_it_is_odd(change: Callable[[Statement], None], why: str) -> None:
    with pytest.raises(BadAttestation, match=why):
        read(*made(change))


def test_is_no_attestation_where_it_is_no_object() -> None:
    with pytest.raises(BadAttestation, match="no attestation object"):
        read(made()[0], cbor2.dumps([1]))


def test_may_be_extended() -> None:
    extended = data(lambda found: found[:32] + b"\xc5" + found[33:] + cbor2.dumps({"credProtect": 2}))
    assert read(*made(extended)).public_key == POINT


@pytest.mark.parametrize(
    ("change", "how", "why"),
    [
        (lambda found: None, {"challenge": b"\x02" * 32}, "another challenge"),
        (lambda found: None, {"origin": "https://evil.example"}, "origin is"),
        (lambda found: None, {"rp_id": "evil.example"}, "another relying party"),
        (flagged(0x41), {}, "asked for no PIN"),
        (flagged(0x05), {}, "asked for no PIN"),
        (longer, {}, "another length"),
        (of_another_curve, {}, "another kind of key"),
        (
            lambda found: found["attStmt"].update(sig=b"\x30\x06\x02\x01\x01\x02\x01\x01"),
            {},
            "not by this key",
        ),
        (lambda found: found["attStmt"].update(alg=-257), {}, "no statement of that form"),
        (lambda found: found["attStmt"].update(more=1), {}, "no statement of that form"),
        (lambda found: found.update(fmt="none"), {}, "where none was announced"),
        (lambda found: found.update(fmt="tpm"), {}, "take a security key"),
        (lambda found: found.update(more=1), {}, "no attestation object"),
        (lambda found: None, {"models": [AAGUID.__class__(int=7)]}, "no model that is admitted"),
        (bare, {"models": [MODEL]}, "does not prove which model"),
        (lambda found: None, {"roots": [certificate(authority=True)[0]]}, "does not prove which model"),
    ],
)
def test_is_refused_where_it_is_anything_less(
    change: Callable[[Statement], None], how: dict[str, Any], why: str
) -> None:
    with pytest.raises(BadAttestation, match=why):
        read(*made(change), **how)


def test_is_refused_where_it_answers_another_page() -> None:
    client, written = made()
    for member, value in (("type", "webauthn.get"), ("crossOrigin", True), ("topOrigin", ORIGIN)):
        other = json.dumps({**json.loads(client), member: value}).encode()
        with pytest.raises(BadAttestation):
            read(other, written)


@given(st.integers(0, 10_000), st.binary(min_size=1, max_size=3))
def test_is_read_whole_or_not_at_all(place: int, noise: bytes) -> None:
    """Whatever is changed in the bytes, the answer is the same passkey or a refusal."""
    client, written = made()
    at = place % len(written)
    changed = written[:at] + noise + written[at + len(noise) :]
    try:
        assert read(client, changed).public_key.hex() == KEY.public_key_hex
    except BadAttestation:
        return
