"""An edge token …"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from core.access.domain.tokens import BadToken, Fault, Rules, Service, User, read
from tests.cast import NOW

ISSUER = "https://countersign.cloudflareaccess.com"
AUDIENCE = "ab" * 32
KID, OLD_KID = "11" * 32, "22" * 32
CURRENT = rsa.generate_private_key(65537, 2048)
PREVIOUS = rsa.generate_private_key(65537, 2048)
ATTACKER = rsa.generate_private_key(65537, 2048)
PUBLIC = {KID: CURRENT.public_key(), OLD_KID: PREVIOUS.public_key()}
PEOPLE = Rules(ISSUER, AUDIENCE, admits=User)
PROGRAMS = Rules(ISSUER, AUDIENCE, admits=Service)
SECONDS = int(NOW.timestamp())


def key_of(kid: str) -> rsa.RSAPublicKey:
    if kid not in PUBLIC:
        raise BadToken(Fault.KEY_UNKNOWN)
    return PUBLIC[kid]


def user(**changes: Any) -> dict[str, Any]:
    claims = {
        "aud": [AUDIENCE],
        "email": "Ana@countersign.example",
        "exp": SECONDS + 900,
        "iat": SECONDS - 60,
        "nbf": SECONDS - 60,
        "iss": ISSUER,
        "type": "app",
        "identity_nonce": "6ei69kawdKzMIAPF",
        "sub": "7335d417-61da-459d-899c-0a01c76a2f94",
        "country": "DE",
    }
    return {name: value for name, value in (claims | changes).items() if value is not ...}


def service(**changes: Any) -> dict[str, Any]:
    claims = {
        "type": "app",
        "aud": AUDIENCE,
        "exp": SECONDS + 900,
        "iss": ISSUER,
        "common_name": "88bf3b6d86161464f6509f7219099e57.access",
        "iat": SECONDS,
        "sub": "",
    }
    return {name: value for name, value in (claims | changes).items() if value is not ...}


def mint(claims: dict[str, Any], *, key: rsa.RSAPrivateKey = CURRENT, kid: str = KID, **header: Any) -> str:
    return jwt.encode(claims, key, algorithm="RS256", headers={"kid": kid, **header})


def refusal(token: str, rules: Rules = PEOPLE, now: datetime = NOW) -> Fault:
    with pytest.raises(BadToken) as caught:
        read(token, rules=rules, key_of=key_of, now=now)
    return caught.value.fault


def b64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def handmade(header: dict[str, Any], claims: dict[str, Any], sign: Callable[[bytes], bytes]) -> str:
    signed = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims).encode())}"
    return f"{signed}.{b64(sign(signed.encode()))}"


def test_names_the_person_it_was_made_for() -> None:
    who = read(mint(user()), rules=PEOPLE, key_of=key_of, now=NOW)
    assert who == User(
        "7335d417-61da-459d-899c-0a01c76a2f94",
        "ana@countersign.example",
        "6ei69kawdKzMIAPF",
        NOW - timedelta(seconds=60),
        NOW + timedelta(seconds=900),
    )


def test_names_the_program_it_was_made_for() -> None:
    who = read(mint(service()), rules=PROGRAMS, key_of=key_of, now=NOW)
    assert who == Service("88bf3b6d86161464f6509f7219099e57.access", NOW, NOW + timedelta(seconds=900))


@pytest.mark.parametrize(
    "token",
    [
        mint(user(), key=PREVIOUS, kid=OLD_KID),
        mint(user(aud=AUDIENCE)),
        mint(user(aud=["cd" * 32, AUDIENCE])),
        mint(user(nbf=...)),
        mint(user(exp=SECONDS - 29)),
        mint(user(iat=SECONDS + 29, nbf=SECONDS + 29)),
        mint(user(identity_nonce=...)),
    ],
    ids=[
        "previous key",
        "plain audience",
        "several audiences",
        "no nbf",
        "leeway",
        "clock ahead",
        "no nonce",
    ],
)
def test_is_accepted_as_it_should_be(token: str) -> None:
    assert isinstance(read(token, rules=PEOPLE, key_of=key_of, now=NOW), User)


@pytest.mark.parametrize(
    ("claims", "fault"),
    [
        (user(aud=["cd" * 32]), Fault.AUDIENCE),
        (user(aud={"a": AUDIENCE}), Fault.AUDIENCE),
        (user(iss="https://other.cloudflareaccess.com"), Fault.ISSUER),
        (user(iss=ISSUER + "/"), Fault.ISSUER),
        (user(type="org"), Fault.TYPE),
        (user(type=...), Fault.TYPE),
        (user(exp=SECONDS - 31), Fault.EXPIRED),
        (user(nbf=SECONDS + 31), Fault.NOT_YET),
        (user(iat=SECONDS + 31, nbf=...), Fault.NOT_YET),
        (user(iat=SECONDS - 8 * 3600 - 1, exp=SECONDS + 60, nbf=...), Fault.TOO_OLD),
        (user(exp="soon"), Fault.MALFORMED),
        (user(exp=True), Fault.MALFORMED),
        (user(exp=1e300), Fault.MALFORMED),
        (user(email=...), Fault.NEITHER),
        (user(email=""), Fault.NEITHER),
        (user(common_name="x.access"), Fault.NEITHER),
        (user(sub=""), Fault.NEITHER),
        (service(email="ana@countersign.example"), Fault.NEITHER),
        (service(common_name="88bf"), Fault.NEITHER),
        *[(user(**{name: ...}), Fault.CLAIM_MISSING) for name in ("exp", "iat", "iss", "aud", "sub")],
    ],
)
def test_is_refused_for_its_claims(claims: dict[str, Any], fault: Fault) -> None:
    # PyJWT will not even make some of these, so they are made by hand.
    def sign(data: bytes) -> bytes:
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
        from cryptography.hazmat.primitives.hashes import SHA256

        return CURRENT.sign(data, PKCS1v15(), SHA256())

    assert refusal(handmade({"alg": "RS256", "kid": KID}, claims, sign)) is fault


def test_of_a_program_does_not_open_the_console() -> None:
    assert refusal(mint(service())) is Fault.WRONG_DOOR


def test_of_a_person_does_not_open_the_service_door() -> None:
    assert refusal(mint(user()), PROGRAMS) is Fault.WRONG_DOOR


def test_without_a_signature_is_refused() -> None:
    assert refusal(handmade({"alg": "none", "kid": KID}, user(), lambda _: b"")) is Fault.ALGORITHM


def test_signed_with_the_public_key_as_a_secret_is_refused() -> None:
    secret = PUBLIC[KID].public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    token = handmade(
        {"alg": "HS256", "kid": KID}, user(), lambda data: hmac.new(secret, data, hashlib.sha256).digest()
    )
    assert refusal(token) is Fault.ALGORITHM


def test_signed_by_an_attacker_under_a_known_kid_is_refused() -> None:
    assert refusal(mint(user(), key=ATTACKER)) is Fault.SIGNATURE


@pytest.mark.parametrize("member", ["jku", "jwk", "x5u", "x5c"])
def test_cannot_bring_its_own_key(member: str) -> None:
    value = {"jwk": {"kty": "RSA", "n": "AQAB", "e": "AQAB"}, "x5c": ["AAAA"]}.get(
        member, "https://evil.example/keys"
    )
    assert refusal(mint(user(), key=ATTACKER, **{member: value})) is Fault.SIGNATURE


def test_with_a_changed_payload_is_refused() -> None:
    header, _, signature = mint(user()).split(".")
    payload = b64(json.dumps(user(email="eve@countersign.example")).encode())
    assert refusal(f"{header}.{payload}.{signature}") is Fault.SIGNATURE


def test_with_an_unknown_kid_is_refused() -> None:
    assert refusal(mint(user(), kid="33" * 32)) is Fault.KEY_UNKNOWN


def test_with_a_critical_header_is_refused() -> None:
    assert refusal(mint(user(), crit=["exp"])) is Fault.CRITICAL


@pytest.mark.parametrize("kid", [None, 7, "", ["a"]])
def test_without_a_usable_kid_is_refused(kid: Any) -> None:
    assert refusal(handmade({"alg": "RS256", "kid": kid}, user(), lambda _: b"x")) is Fault.MALFORMED


def test_that_comes_twice_is_refused() -> None:
    good = mint(user())
    assert refusal(f"{good},{mint(user(), key=ATTACKER)}") is Fault.REPEATED
    assert refusal(f"{good}, {good}") is Fault.REPEATED


@pytest.mark.parametrize(
    ("token", "fault"),
    [
        ("", Fault.MISSING),
        ("a.b", Fault.MALFORMED),
        ("a.b.c.d", Fault.MALFORMED),
        ("é.b.c", Fault.MALFORMED),
        (" " + mint(user()), Fault.MALFORMED),
        (mint(user()) + "=", Fault.MALFORMED),
        ("." * 2, Fault.MALFORMED),
        (mint(user(pad="x" * 9000)), Fault.MALFORMED),
        (f"{b64(b'[]')}.{b64(b'{}')}.{b64(b'x')}", Fault.MALFORMED),
        (f"{b64(b'{}')}.{b64(b'{}')}.{b64(b'x')}", Fault.ALGORITHM),
    ],
)
def test_of_another_shape_is_refused(token: str, fault: Fault) -> None:
    assert refusal(token) is fault


def test_with_a_member_twice_is_refused() -> None:
    header = '{"alg":"RS256","kid":"' + KID + '","alg":"RS256"}'
    assert refusal(f"{b64(header.encode())}.{b64(b'{}')}.{b64(b'x')}") is Fault.MALFORMED


@given(st.text(max_size=300))
def test_made_of_rubbish_is_refused_and_breaks_nothing(text: str) -> None:
    refusal(text)


@given(st.integers(0, 900), st.data())
def test_with_any_one_character_changed_is_refused(position: int, data: st.DataObject) -> None:
    good = mint(user())
    position %= len(good)
    other = data.draw(st.sampled_from("ABCxyz019-_.").filter(lambda c: c != good[position]))
    refusal(good[:position] + other + good[position + 1 :])


def test_lives_no_longer_than_the_day_it_was_made() -> None:
    token = mint(user(exp=SECONDS + 10**6))
    read(token, rules=PEOPLE, key_of=key_of, now=NOW + timedelta(hours=7, minutes=58))
    assert refusal(token, now=NOW + timedelta(hours=8)) is Fault.TOO_OLD
