"""Reading an edge token (Cloudflare Access): whom it names, or why it is worth nothing.

The order of the checks is part of the design: shape before cryptography, cryptography before claims, claims
before anybody is looked up. Nothing in the token chooses the key but its `kid`, and a `kid` only chooses
among keys that were fetched from the pinned address.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, TypeAlias, TypeGuard

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from kernel import encodings, members

TOKEN_BYTES_MAX: Final = 8 * 1024
LEEWAY_S: Final = 30
MAX_AGE_S: Final = 8 * 3600
_REQUIRED: Final = ("exp", "iat", "iss", "aud", "sub")


class Fault(StrEnum):
    """Why a token is refused; stable codes for logs and dashboards, never shown with the token."""

    MISSING = "token.missing"
    REPEATED = "token.repeated"
    MALFORMED = "token.malformed"
    ALGORITHM = "token.algorithm"
    CRITICAL = "token.critical_header"
    KEY_UNKNOWN = "token.key_unknown"
    KEYS_STALE = "token.keys_stale"
    SIGNATURE = "token.signature"
    CLAIM_MISSING = "token.claim_missing"
    ISSUER = "token.issuer"
    AUDIENCE = "token.audience"
    EXPIRED = "token.expired"
    NOT_YET = "token.not_yet"
    TYPE = "token.type"
    TOO_OLD = "token.too_old"
    ILLEGIBLE = "token.illegible"
    NEITHER = "token.neither_user_nor_service"
    WRONG_DOOR = "token.wrong_door"


class BadToken(Exception):
    """The token proves nothing; `fault` says why."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.value)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class User:
    """A person, as the edge knows them. Only `subject` identifies; an e-mail can pass to somebody else."""

    subject: str
    email: str
    issued_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Service:
    """A program with a service token."""

    common_name: str
    issued_at: datetime
    expires_at: datetime


Bearer: TypeAlias = "User | Service"


@dataclass(frozen=True, slots=True)
class Rules:
    """What one door expects: whose tokens, for which application, of people or of programs."""

    issuer: str
    audience: str
    admits: type[User] | type[Service]
    leeway_s: int = LEEWAY_S
    max_age_s: int = MAX_AGE_S


def read(token: str, *, rules: Rules, key_of: Callable[[str], RSAPublicKey], now: datetime) -> Bearer:
    """The bearer of a token that passes every check, in order; else BadToken.

    `key_of` gives the public key of a `kid` or raises BadToken itself (unknown, or all keys too old).
    """
    signed, signature, header, payload = _split(token)
    kid = _kid(_object(header))
    key = key_of(kid)
    try:
        key.verify(signature, signed, PKCS1v15(), SHA256())
    except InvalidSignature:
        raise BadToken(Fault.SIGNATURE) from None
    bearer = _bearer(_object(payload), rules, now)
    if not isinstance(bearer, rules.admits):
        raise BadToken(Fault.WRONG_DOOR)
    return bearer


def _split(token: str) -> tuple[bytes, bytes, bytes, bytes]:
    if not token:
        raise BadToken(Fault.MISSING)
    if "," in token:
        raise BadToken(Fault.REPEATED)
    if len(token) > TOKEN_BYTES_MAX or token.count(".") != 2 or not token.isascii():
        raise BadToken(Fault.MALFORMED)
    first, second, third = token.split(".")
    try:
        header, payload, signature = map(encodings.from_base64url, (first, second, third))
    except encodings.BadEncoding:
        raise BadToken(Fault.MALFORMED) from None
    return f"{first}.{second}".encode(), signature, header, payload


def _object(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=members.unrepeated)
    except (ValueError, RecursionError):
        raise BadToken(Fault.MALFORMED) from None
    if not isinstance(value, dict):
        raise BadToken(Fault.MALFORMED)
    return value


def _kid(header: dict[str, Any]) -> str:
    if header.get("alg") != "RS256":
        raise BadToken(Fault.ALGORITHM)
    if "crit" in header or "b64" in header:
        raise BadToken(Fault.CRITICAL)
    kid = header.get("kid")
    if not isinstance(kid, str) or not kid:
        raise BadToken(Fault.MALFORMED)
    return kid


def _bearer(claims: dict[str, Any], rules: Rules, now: datetime) -> Bearer:
    if any(name not in claims for name in _REQUIRED):
        raise BadToken(Fault.CLAIM_MISSING)
    if claims["iss"] != rules.issuer:
        raise BadToken(Fault.ISSUER)
    audiences = [claims["aud"]] if isinstance(claims["aud"], str) else claims["aud"]
    if not isinstance(audiences, list) or rules.audience not in audiences:
        raise BadToken(Fault.AUDIENCE)
    moment = now.timestamp()
    expires, issued = _moment(claims["exp"]), _moment(claims["iat"])
    begins = _moment(claims["nbf"]) if "nbf" in claims else issued
    if moment >= expires + rules.leeway_s:
        raise BadToken(Fault.EXPIRED)
    if max(issued, begins) > moment + rules.leeway_s:
        raise BadToken(Fault.NOT_YET)
    if claims.get("type") != "app":
        raise BadToken(Fault.TYPE)
    if moment > issued + rules.max_age_s:
        raise BadToken(Fault.TOO_OLD)
    lifetime = {
        "issued_at": datetime.fromtimestamp(issued, now.tzinfo),
        "expires_at": datetime.fromtimestamp(expires, now.tzinfo),
    }
    subject, email, name = claims["sub"], claims.get("email"), claims.get("common_name")
    if not all(_is_legible(each) for each in (subject, email, name)):
        raise BadToken(Fault.ILLEGIBLE)
    if _text(subject) and _text(email) and name is None:
        return User(subject, email.lower(), **lifetime)
    if subject == "" and _text(name) and name.endswith(".access") and email is None:
        return Service(name, **lifetime)
    raise BadToken(Fault.NEITHER)


def _moment(value: Any) -> float:
    """A NumericDate that a calendar has; a boolean, a text or an absurd number is malformed."""
    if type(value) not in (int, float) or not math.isfinite(value) or not 0 <= value < 2**36:
        raise BadToken(Fault.MALFORMED)
    return float(value)


def _text(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and 0 < len(value) <= 255


def _is_legible(value: Any) -> bool:
    """Whether a name can be looked up, written down and read: a NUL, half of a surrogate pair or a mark that
    turns the line around is nobody's, whoever signed it.
    """
    return not isinstance(value, str) or value.isprintable()
