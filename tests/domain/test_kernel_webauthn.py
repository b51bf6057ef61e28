"""An assertion …"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from fixtures.authenticator import Authenticator
from kernel import webauthn
from kernel.approval import Statement, Verb
from kernel.webauthn import Assertion
from tests.vectors import load

ORIGIN = "http://approver.localhost:8000"
RP_ID = "approver.localhost"
BEN = Authenticator("0b" * 32)
KEY = bytes.fromhex(BEN.public_key_hex)
PLAIN = Statement(Verb.APPROVE, "custody.withdrawal", "demo", b"\x01" * 32, b"\x02" * 32)


def signed(*, flags: int = 0x05, tail: bytes = b"", **members: Any) -> Assertion:
    """An assertion whose client data and flags may be anything, with a right signature over them."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    honest = BEN.assertion(PLAIN.challenge(), origin=ORIGIN, rp_id=RP_ID)
    document = {**json.loads(honest.client_data), **members}
    client_data = json.dumps({name: value for name, value in document.items() if value is not ...}).encode()
    return sign_raw(
        client_data, honest.authenticator_data[:32] + bytes([flags]) + b"\0\0\0\7" + tail, ec, hashes
    )


def sign_raw(client_data: bytes, data: bytes, ec: Any, hashes: Any) -> Assertion:
    signature = BEN._key.sign(data + hashlib.sha256(client_data).digest(), ec.ECDSA(hashes.SHA256()))
    return Assertion(data, client_data, signature)


def check(assertion: Assertion, **changes: Any) -> int:
    asked = {"public_key": KEY, "challenge": PLAIN.challenge(), "origin": ORIGIN, "rp_id": RP_ID, **changes}
    return webauthn.verify(assertion, **asked)


def test_of_the_right_key_over_the_right_statement_is_accepted() -> None:
    assert check(signed()) == 7
    assert check(signed(crossOrigin=...)) == 7
    assert check(signed(other_keys_can_be_added_here="do not compare clientDataJSON against a template")) == 7
    assert check(signed(flags=0x1D)) == 7  # a synced passkey: backup eligible and backed up
    assert check(signed(flags=0x85, tail=b"\xa0")) == 7  # extension outputs


@pytest.mark.parametrize(
    ("reason", "how"),
    [
        (webauthn.WrongType, {"type": "webauthn.create"}),
        (webauthn.WrongType, {"type": ...}),
        (webauthn.WrongChallenge, {"challenge": ...}),
        (webauthn.WrongChallenge, {"challenge": 7}),
        (webauthn.WrongChallenge, {"challenge": "AAAA"}),
        (webauthn.WrongOrigin, {"origin": "http://console.localhost:8000"}),
        (webauthn.WrongOrigin, {"origin": "http://approver.localhost:80000"}),
        (webauthn.WrongOrigin, {"origin": ORIGIN + "/"}),
        (webauthn.WrongOrigin, {"origin": [ORIGIN]}),
        (webauthn.WrongOrigin, {"origin": ...}),
        (webauthn.CrossOrigin, {"crossOrigin": True}),
        (webauthn.CrossOrigin, {"crossOrigin": "false"}),
        (webauthn.CrossOrigin, {"crossOrigin": None}),
        (webauthn.CrossOrigin, {"topOrigin": ORIGIN}),
        (webauthn.UserNotPresent, {"flags": 0x04}),
        (webauthn.UserNotVerified, {"flags": 0x01}),
        (webauthn.UserNotPresent, {"flags": 0x00}),
        (webauthn.MalformedAuthenticatorData, {"flags": 0x15}),
        (webauthn.MalformedAuthenticatorData, {"flags": 0x45}),
        (webauthn.MalformedAuthenticatorData, {"flags": 0x07}),
        (webauthn.MalformedAuthenticatorData, {"flags": 0x05, "tail": b"\xa0"}),
        (webauthn.MalformedAuthenticatorData, {"flags": 0x85}),
    ],
)
def test_that_differs_in_one_point_is_refused_for_that_point(
    reason: type[webauthn.BadAssertion], how: dict[str, Any]
) -> None:
    with pytest.raises(reason) as refusal:
        check(signed(**how))
    assert type(refusal.value) is reason


@pytest.mark.parametrize(
    "change",
    [
        {"verb": Verb.REJECT},
        {"kind": "custody.refill"},
        {"deployment": "production"},
        {"nonce": b"\x03" * 32},
        {"digest": b"\x04" * 32},
    ],
)
def test_says_nothing_about_another_statement(change: dict[str, Any]) -> None:
    members = {name: getattr(PLAIN, name) for name in ("verb", "kind", "deployment", "nonce", "digest")}
    other = Statement(**{**members, **change})
    with pytest.raises(webauthn.WrongChallenge):
        check(signed(), challenge=other.challenge())


def test_for_another_relying_party_is_refused() -> None:
    with pytest.raises(webauthn.WrongRelyingParty):
        check(signed(), rp_id="localhost")


def test_by_another_key_is_refused() -> None:
    with pytest.raises(webauthn.WrongSignature):
        check(signed(), public_key=bytes.fromhex(Authenticator("0c" * 32).public_key_hex))


def test_with_one_changed_byte_anywhere_is_refused() -> None:
    good = signed()
    for field in ("authenticator_data", "client_data", "signature"):
        data = getattr(good, field)
        for place in range(len(data)):
            parts = {name: getattr(good, name) for name in ("authenticator_data", "client_data", "signature")}
            parts[field] = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
            with pytest.raises(webauthn.BadAssertion):
                check(Assertion(**parts))


@pytest.mark.parametrize(
    "client_data",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b"\xff\xfe",
        b"[" * 5000,
        b'{"type":"webauthn.get","type":"webauthn.get"}',
        b" " * 9000,
    ],
)
def test_whose_client_data_is_no_plain_object_is_refused(client_data: bytes) -> None:
    good = signed()
    with pytest.raises(webauthn.BadAssertion):
        check(Assertion(good.authenticator_data, client_data, good.signature))


@pytest.mark.parametrize("key", [b"", KEY[1:], b"\x04" + b"\x01" * 64, b"\x02" + KEY[1:33], b"\x00" * 65])
def test_against_something_that_is_no_key_is_refused(key: bytes) -> None:
    with pytest.raises(webauthn.BadPublicKey):
        check(signed(), public_key=key)


def test_signature_is_judged_as_every_vector_of_wycheproof_says() -> None:
    wrong = []
    for number, (point, message, signature, result, comment) in enumerate(load("ecdsa_p256")["rows"]):
        try:
            webauthn.es256(bytes.fromhex(message), bytes.fromhex(signature), public_key=bytes.fromhex(point))
            accepted = True
        except webauthn.BadAssertion:
            accepted = False
        if accepted != (result == "valid"):
            wrong.append((number, comment, result))
    assert wrong == []


def test_codes_are_stable_and_all_different() -> None:
    reasons = webauthn.BadAssertion.__subclasses__()
    assert sorted(reason.code for reason in reasons) == [
        "assertion.authenticator_data",
        "assertion.challenge",
        "assertion.client_data",
        "assertion.cross_origin",
        "assertion.origin",
        "assertion.public_key",
        "assertion.rp_id",
        "assertion.signature",
        "assertion.type",
        "assertion.user_presence",
        "assertion.user_verification",
    ]
