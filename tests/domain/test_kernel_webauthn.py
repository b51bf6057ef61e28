"""An assertion …"""

from __future__ import annotations

import contextlib
import hashlib
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from fixtures.authenticator import Authenticator
from kernel import encodings, webauthn
from kernel.approval import Statement, Verb
from kernel.webauthn import Assertion
from tests.vectors import load

ORIGIN = "http://approver.localhost:8000"
RP_ID = "approver.localhost"
BEN = Authenticator("0b" * 32)
KEY = bytes.fromhex(BEN.public_key_hex)
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
PLAIN = Statement(Verb.APPROVE, "custody.withdrawal", "demo", b"\x01" * 32, b"\x02" * 32)


ENCODED = encodings.base64url(PLAIN.challenge())
OTHER_PAGES = [
    "https://approver.localhost:8000",
    "http://approver.localhost",
    "http://approver.localhost:8001",
    "http://approver.localhost:8000.evil.example",
    "http://approver.localhost.:8000",
    "http://APPROVER.localhost:8000",
    "http://evil-approver.localhost:8000",
    "http://x.approver.localhost:8000",
    "http://user@approver.localhost:8000",
    "http://approver.localhost:8000#",
    " http://approver.localhost:8000",
    "http://approver.localhost:8000\0",
    "http://аpprover.localhost:8000",  # the first letter is Cyrillic
    "http://xn--pprover-7fg.localhost:8000",
    "android:apk-key-hash:AAAA",
    "null",
    "",
    "\ud800",
]


def signed(*, flags: int = 0x05, tail: bytes = b"", **members: Any) -> Assertion:
    """An assertion whose client data and flags may be anything, with a right signature over them."""
    honest = BEN.assertion(PLAIN.challenge(), origin=ORIGIN, rp_id=RP_ID)
    document = {**json.loads(honest.client_data), **members}
    client_data = json.dumps({name: value for name, value in document.items() if value is not ...}).encode()
    return sign_raw(client_data, honest.authenticator_data[:32] + bytes([flags]) + b"\0\0\0\7" + tail)


def sign_raw(client_data: bytes, data: bytes) -> Assertion:
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
        *[(webauthn.WrongOrigin, {"origin": other}) for other in OTHER_PAGES],
        (webauthn.WrongChallenge, {"challenge": ENCODED + "="}),
        (webauthn.WrongChallenge, {"challenge": ENCODED.swapcase()}),
        (webauthn.WrongChallenge, {"challenge": ENCODED[:-1] + "\ud800"}),
        (webauthn.WrongChallenge, {"challenge": [ENCODED]}),
        (webauthn.WrongChallenge, {"challenge": PLAIN.challenge().hex()}),
        (webauthn.WrongType, {"type": "WebAuthn.Get"}),
        (webauthn.WrongType, {"type": ["webauthn.get"]}),
        (webauthn.CrossOrigin, {"crossOrigin": 0}),
        (webauthn.CrossOrigin, {"topOrigin": None}),
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


def test_is_of_these_flags_or_none() -> None:
    """Present and verified, and a backup only of what can be backed up; with extensions only if there are."""
    taken = set()
    for flags in range(256):
        for tail in (b"", b"\xa0"):
            with contextlib.suppress(webauthn.BadAssertion):
                check(signed(flags=flags, tail=tail))
                taken.add((flags, tail))
    plain = {0x05, 0x05 | 0x08, 0x05 | 0x18}
    assert taken == {(flags, b"") for flags in plain} | {(flags | 0x80, b"\xa0") for flags in plain}


def test_is_refused_wherever_its_data_ends_too_early_or_too_late() -> None:
    """Signed as they are: what a broken or a bent authenticator would say."""
    honest = signed(flags=0x85, tail=b"\xa0")
    for length in range(38):
        data = honest.authenticator_data[:length]
        with pytest.raises(webauthn.MalformedAuthenticatorData):
            check(sign_raw(honest.client_data, data))
    with pytest.raises(webauthn.MalformedAuthenticatorData):
        check(signed(flags=0x85, tail=b"\xa0" * webauthn.AUTHENTICATOR_DATA_BYTES_MAX))


def test_in_its_other_form_is_the_same_act() -> None:
    """Of (r, s) anybody makes (r, n - s): it holds, and must not look like a second touch."""
    good = signed()
    r, s = decode_dss_signature(good.signature)
    other = Assertion(good.authenticator_data, good.client_data, encode_dss_signature(r, P256_ORDER - s))
    assert check(other) == 7
    assert other.signature != good.signature
    assert other.name == good.name


@pytest.mark.parametrize(
    "bend",
    [
        lambda r, s: (0, s),
        lambda r, s: (r, 0),
        lambda r, s: (0, 0),
        lambda r, s: (P256_ORDER, s),
        lambda r, s: (r + P256_ORDER, s),
        lambda r, s: (r, s + P256_ORDER),
        lambda r, s: (s, r),
        lambda r, s: (1, 1),
    ],
)
def test_signature_of_numbers_that_are_none_is_refused(bend: Any) -> None:
    good = signed()
    forged = encode_dss_signature(*bend(*decode_dss_signature(good.signature)))
    with pytest.raises(webauthn.WrongSignature):
        check(Assertion(good.authenticator_data, good.client_data, forged))


def test_signature_in_another_encoding_is_refused() -> None:
    good = signed()
    r, s = decode_dss_signature(good.signature)
    raw = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    long_form = good.signature[:1] + b"\x81" + good.signature[1:]
    for bent in (
        b"",
        raw,
        good.signature + b"\0",
        long_form,
        good.signature[:-1],
        b"\x30\x80" + good.signature[2:],
    ):
        with pytest.raises(webauthn.WrongSignature):
            check(Assertion(good.authenticator_data, good.client_data, bent))


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
        b"\xef\xbb\xbf{}",
        "{}".encode("utf-16"),
        b'{"type":"webauthn.get","challenge":' + b"9" * 6000 + b"}",
        b'{"type":NaN}',
        b'{"type":"webauthn.get"}{"type":"webauthn.get"}',
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
