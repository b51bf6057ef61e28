"""An edge token …"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
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
REQUIRED: Final = ("exp", "iat", "iss", "aud", "sub")


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
        NOW - timedelta(seconds=60),
        NOW + timedelta(seconds=900),
    )


def test_names_the_program_it_was_made_for() -> None:
    who = read(mint(service()), rules=PROGRAMS, key_of=key_of, now=NOW)
    assert who == Service("88bf3b6d86161464f6509f7219099e57.access", NOW, NOW + timedelta(seconds=900))


def raw(claims: dict[str, Any]) -> str:
    """Signed by the current key, also where PyJWT would not make it."""
    return handmade(
        {"alg": "RS256", "kid": KID}, claims, lambda data: CURRENT.sign(data, PKCS1v15(), SHA256())
    )


def with_key_of_its_own(member: str) -> str:
    value = {"jwk": {"kty": "RSA", "n": "AQAB", "e": "AQAB"}, "x5c": ["AAAA"]}.get(
        member, "https://evil.example/keys"
    )
    return mint(user(), key=ATTACKER, **{member: value})


def keyed_with_the_public_key() -> str:
    secret = PUBLIC[KID].public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return handmade(
        {"alg": "HS256", "kid": KID}, user(), lambda data: hmac.new(secret, data, hashlib.sha256).digest()
    )


def with_payload(claims: dict[str, Any]) -> str:
    header, _, signature = mint(user()).split(".")
    return f"{header}.{b64(json.dumps(claims).encode())}.{signature}"


def with_header(header: str) -> str:
    return f"{b64(header.encode())}.{b64(b'{}')}.{b64(b'x')}"


UNREADABLE: Final = {
    "a NUL": "\0",
    "half of a surrogate pair": "\ud800",
    "a line end": "\n",
    "an escape": "\x1b[2K",
    "a turn of the line": "\u202e",
    "a letter that does not exist": "\U000e0fff",
}
TWICE = '{"alg":"RS256","kid":"' + KID + '","alg":"RS256"}'
OTHER = "cd" * 32

# The matrix of the edge's documentation and of faults seen in others' packages: each case by its name.
ACCEPT: Final = {
    "user": (mint(user()), PEOPLE),
    "service": (mint(service()), PROGRAMS),
    "previous key": (mint(user(), key=PREVIOUS, kid=OLD_KID), PEOPLE),
    "aud as plain string": (mint(user(aud=AUDIENCE)), PEOPLE),
    "aud list with ours and another": (mint(user(aud=[OTHER, AUDIENCE])), PEOPLE),
    "no nbf": (mint(user(nbf=...)), PEOPLE),
    "no identity_nonce": (mint(user(identity_nonce=...)), PEOPLE),
    "expired within the leeway": (mint(user(exp=SECONDS - 29)), PEOPLE),
    "iat and nbf ahead within the leeway": (mint(user(iat=SECONDS + 29, nbf=SECONDS + 29)), PEOPLE),
    "eight hours old": (mint(user(iat=SECONDS - 8 * 3600, nbf=...)), PEOPLE),
}
DENY: Final = {
    # The header's value.
    "empty": ("", Fault.MISSING),
    "two headers joined, good then forged": (f"{mint(user())},{mint(user(), key=ATTACKER)}", Fault.REPEATED),
    "two headers joined, both good": (f"{mint(user())}, {mint(user())}", Fault.REPEATED),
    "longer than 8 KiB": (mint(user(pad="x" * 9000)), Fault.MALFORMED),
    "one dot": ("a.b", Fault.MALFORMED),
    "three dots": ("a.b.c.d", Fault.MALFORMED),
    "nothing between dots": ("..", Fault.MALFORMED),
    "not ascii": ("é.b.c", Fault.MALFORMED),
    "space before": (" " + mint(user()), Fault.MALFORMED),
    "padding after": (mint(user()) + "=", Fault.MALFORMED),
    # The token's header.
    "alg none": (handmade({"alg": "none", "kid": KID}, user(), lambda _: b""), Fault.ALGORITHM),
    "HS256 with the public key as secret": (keyed_with_the_public_key(), Fault.ALGORITHM),
    "no alg": (with_header("{}"), Fault.ALGORITHM),
    "crit": (mint(user(), crit=["exp"]), Fault.CRITICAL),
    "b64": (mint(user(), b64=False), Fault.CRITICAL),
    "header is a list": (with_header("[]"), Fault.MALFORMED),
    "header names a member twice": (with_header(TWICE), Fault.MALFORMED),
    "kid missing": (handmade({"alg": "RS256"}, user(), lambda _: b"x"), Fault.MALFORMED),
    "kid a number": (handmade({"alg": "RS256", "kid": 7}, user(), lambda _: b"x"), Fault.MALFORMED),
    "kid empty": (handmade({"alg": "RS256", "kid": ""}, user(), lambda _: b"x"), Fault.MALFORMED),
    "kid a list": (handmade({"alg": "RS256", "kid": ["a"]}, user(), lambda _: b"x"), Fault.MALFORMED),
    "unknown kid": (mint(user(), kid="33" * 32), Fault.KEY_UNKNOWN),
    # The signature.
    "attacker key under a known kid": (mint(user(), key=ATTACKER), Fault.SIGNATURE),
    "another key of the set than the kid's": (mint(user(), key=PREVIOUS), Fault.SIGNATURE),
    "injected jku": (with_key_of_its_own("jku"), Fault.SIGNATURE),
    "injected jwk": (with_key_of_its_own("jwk"), Fault.SIGNATURE),
    "injected x5u": (with_key_of_its_own("x5u"), Fault.SIGNATURE),
    "injected x5c": (with_key_of_its_own("x5c"), Fault.SIGNATURE),
    "changed payload": (with_payload(user(email="eve@countersign.example")), Fault.SIGNATURE),
    "key host from iss": (mint(user(iss="https://evil.example"), key=ATTACKER), Fault.SIGNATURE),
    # The claims.
    "other application's aud": (raw(user(aud=[OTHER])), Fault.AUDIENCE),
    "aud empty list": (raw(user(aud=[])), Fault.AUDIENCE),
    "aud an object": (raw(user(aud={AUDIENCE: AUDIENCE})), Fault.AUDIENCE),
    "other team's iss": (raw(user(iss="https://other.cloudflareaccess.com")), Fault.ISSUER),
    "iss with a slash after": (raw(user(iss=ISSUER + "/")), Fault.ISSUER),
    "iss with ours as suffix": (
        raw(user(iss="https://evil." + ISSUER.removeprefix("https://"))),
        Fault.ISSUER,
    ),
    "type=org": (raw(user(type="org")), Fault.TYPE),
    "no type": (raw(user(type=...)), Fault.TYPE),
    "expired": (raw(user(exp=SECONDS - 31)), Fault.EXPIRED),
    "nbf ahead": (raw(user(nbf=SECONDS + 31)), Fault.NOT_YET),
    "iat ahead": (raw(user(iat=SECONDS + 31, nbf=...)), Fault.NOT_YET),
    "iat too old": (raw(user(iat=SECONDS - 8 * 3600 - 1, exp=SECONDS + 60, nbf=...)), Fault.TOO_OLD),
    **{f"{name} missing": (raw(user(**{name: ...})), Fault.CLAIM_MISSING) for name in REQUIRED},
    "exp a text": (raw(user(exp="soon")), Fault.MALFORMED),
    "exp a boolean": (raw(user(exp=True)), Fault.MALFORMED),
    "exp absurd": (raw(user(exp=1e300)), Fault.MALFORMED),
    # Whom it names.
    "user without e-mail": (raw(user(email=...)), Fault.NEITHER),
    "user with empty e-mail": (raw(user(email="")), Fault.NEITHER),
    "user with common_name": (raw(user(common_name="x.access")), Fault.NEITHER),
    "user without sub": (raw(user(sub="")), Fault.NEITHER),
    "service with sub": (raw(service(sub="7335d417-61da-459d-899c-0a01c76a2f94")), Fault.NEITHER),
    "service with e-mail": (raw(service(email="ana@countersign.example")), Fault.NEITHER),
    "service with another common_name": (raw(service(common_name="88bf")), Fault.NEITHER),
    **{
        f"{claim} with {what}": (mint(user(**{claim: f"a{letter}@b.example"})), Fault.ILLEGIBLE)
        for claim in ("sub", "email")
        for what, letter in UNREADABLE.items()
    },
    **{
        f"common_name with {what}": (raw(service(common_name=f"a{letter}.access")), Fault.ILLEGIBLE)
        for what, letter in UNREADABLE.items()
    },
    "service at the console": (mint(service()), Fault.WRONG_DOOR),
}


@pytest.mark.parametrize(("token", "rules"), ACCEPT.values(), ids=ACCEPT)
def test_is_accepted(token: str, rules: Rules) -> None:
    assert isinstance(read(token, rules=rules, key_of=key_of, now=NOW), rules.admits)


@pytest.mark.parametrize(("token", "fault"), DENY.values(), ids=DENY)
def test_is_denied(token: str, fault: Fault) -> None:
    assert refusal(token) is fault


def test_of_a_person_does_not_open_the_service_door() -> None:
    assert refusal(mint(user()), PROGRAMS) is Fault.WRONG_DOOR


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
