"""The stand-in's token maker: two RSA keys, a key set, tokens for the fixture staff and services.

Everything here says that it is for development: the key set carries a mark that production refuses, and the
issuer is a plain http address on loopback, with which production does not start.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256

MANAGED_RULE: Final = "0a9d1f6e-5c1b-4c57-8f0b-1d2a3b4c5d01"
DISK_RULE: Final = "0a9d1f6e-5c1b-4c57-8f0b-1d2a3b4c5d02"
"""The ids of the stand-in's two posture rules; a deployment names its own (docs/configuration.md)."""
MARK: Final = "countersign_development"
COUNTRY: Final = "DE"
LIFETIME_S: Final = 900
GLOBAL_SESSION_S: Final = 24 * 3600


@dataclass(frozen=True)
class Person:
    """A line of the staff file."""

    id: str
    name: str
    email: str
    subject: str
    roles: tuple[str, ...]
    about: str = ""
    posture: dict[str, bool] = field(default_factory=lambda: {"managed": True, "disk_encryption": True})


@dataclass(frozen=True)
class Key:
    """One signing key under its `kid`."""

    kid: str
    private: RSAPrivateKey

    def public(self) -> dict[str, str]:
        """The public half as a JWK."""
        numbers = self.private.public_key().public_numbers()
        return {
            "kid": self.kid,
            "kty": "RSA",
            "alg": "RS256",
            "use": "sig",
            "n": b64(numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8, "big")),
            "e": b64(numbers.e.to_bytes(3, "big")),
        }


def b64(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    """The bytes again."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def service_secret(client_id: str) -> str:
    """The secret of a service's client id, known to whoever reads this line, as befits a stand-in."""
    return hashlib.sha256(b"countersign stand-in service " + client_id.encode()).hexdigest()


class Issuer:
    """Signs with the newer of two keys, publishes both, remembers sessions while it runs."""

    def __init__(self, *, url: str, keys_file: Path, people: list[Person], services: list[str]) -> None:
        self.url = url
        self.people = {person.email: person for person in people}
        self.services = frozenset(services)
        self._file = keys_file
        self._keys = _load(keys_file) or _save(keys_file, [_new_key(), _new_key()])
        self._sessions: dict[str, tuple[str, float]] = {}

    def certs(self) -> dict[str, Any]:
        """The key set: the current key and the previous one, as at the real edge."""
        return {
            "keys": [key.public() for key in self._keys],
            "public_cert": {},
            "public_certs": [],
            MARK: True,
        }

    def repaired(self, email: str, **posture: bool) -> Person:
        """The same person, whose device is different from now on: a lever for tests."""
        person = self.people[email]
        self.people[email] = replace(person, posture={**person.posture, **posture})
        return self.people[email]

    def rotate(self) -> None:
        """A new current key; the one before stays valid, the one before that goes."""
        self._keys = _save(self._file, [_new_key(), self._keys[0]])

    def user_token(self, person: Person, audience: str, *, began: float | None = None) -> str:
        """A person's application token."""
        now, nonce = time.time(), secrets.token_urlsafe(12)
        self._sessions[nonce] = (person.email, now if began is None else began)
        return self._sign(
            {
                "aud": [audience],
                "email": person.email,
                "exp": int(now) + LIFETIME_S,
                "iat": int(now),
                "nbf": int(now),
                "iss": self.url,
                "type": "app",
                "identity_nonce": nonce,
                "sub": person.subject,
                "country": COUNTRY,
            }
        )

    def service_token(self, client_id: str, audience: str) -> str:
        """A program's application token: an empty subject and a common name."""
        now = int(time.time())
        return self._sign(
            {
                "type": "app",
                "aud": audience,
                "exp": now + LIFETIME_S,
                "iss": self.url,
                "common_name": client_id,
                "iat": now,
                "sub": "",
            }
        )

    def holder(self, token: str, audience: str = "") -> tuple[Person, dict[str, Any]] | None:
        """Whose user token this is, if it is ours, unexpired, and for that application."""
        claims = self._claims(token)
        if claims is None or claims["exp"] <= time.time() or (audience and audience not in claims["aud"]):
            return None
        person = self.people.get(claims.get("email", ""))
        return (person, claims) if person else None

    def renewed(self, token: str, audience: str) -> str | None:
        """A fresh token for an old one while its session lives: what the real edge does silently."""
        claims = self._claims(token)
        if claims is None or audience not in claims["aud"]:
            return None
        email, began = self._sessions.get(claims.get("identity_nonce", ""), ("", 0.0))
        if email not in self.people or time.time() - began > GLOBAL_SESSION_S:
            return None
        return self.user_token(self.people[email], audience, began=began)

    def identity(self, person: Person, claims: dict[str, Any], *, at: float | None = None) -> dict[str, Any]:
        """What get-identity answers, with postures that were found at that time."""
        return {
            "id": person.id,
            "name": person.name,
            "email": person.email,
            "user_uuid": person.subject,
            "account_id": "standin",
            "iat": claims["iat"],
            "ip": "127.0.0.1",
            "auth_status": "NONE",
            "common_name": "",
            "service_token_id": "",
            "service_token_status": False,
            "is_warp": False,
            "is_gateway": False,
            "version": 2,
            "device_id": f"laptop-of-{person.email.partition('@')[0]}",
            "groups": [{"id": role, "name": role.replace("_", " ")} for role in person.roles],
            "idp": {"id": "standin", "type": "onetimepin"},
            "geo": {"country": COUNTRY},
            "devicePosture": _findings(person.posture, at=time.time() if at is None else at),
        }

    def _sign(self, claims: dict[str, Any]) -> str:
        key = self._keys[0]
        header = {"alg": "RS256", "kid": key.kid, "typ": "JWT"}
        signed = ".".join(b64(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims))
        return f"{signed}.{b64(key.private.sign(signed.encode(), PKCS1v15(), SHA256()))}"

    def _claims(self, token: str) -> dict[str, Any] | None:
        try:
            first, second, third = token.split(".")
            kid = json.loads(unb64(first))["kid"]
            key = next(key for key in self._keys if key.kid == kid)
            key.private.public_key().verify(unb64(third), f"{first}.{second}".encode(), PKCS1v15(), SHA256())
            claims: dict[str, Any] = json.loads(unb64(second))
        except (ValueError, KeyError, TypeError, StopIteration, InvalidSignature):
            return None
        return claims


def _findings(posture: dict[str, bool], *, at: float) -> dict[str, Any]:
    """The posture rules' results in the shape of the edge's published client types: by the rule's id."""
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
    rules = {
        "managed": (MANAGED_RULE, "Managed device", "serial_number"),
        "disk_encryption": (DISK_RULE, "Disk encryption", "disk_encryption"),
    }
    return {
        rule: {
            "id": rule,
            "rule_name": name,
            "type": kind,
            "description": "",
            "success": posture[check],
            "timestamp": when,
            "error": "",
            "check": {"exists": False, "path": ""},
            "data": None,
        }
        for check, (rule, name, kind) in rules.items()
        if check in posture
    }


def _new_key() -> Key:
    private = generate_private_key(public_exponent=65537, key_size=2048)
    der = private.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return Key(hashlib.sha256(der).hexdigest(), private)


def _load(file: Path) -> list[Key]:
    if not file.exists():
        return []
    keys = []
    for entry in json.loads(file.read_text())["keys"]:
        private = serialization.load_pem_private_key(entry["pem"].encode(), password=None)
        if not isinstance(private, RSAPrivateKey):
            raise TypeError(f"{file} holds another kind of key")
        keys.append(Key(entry["kid"], private))
    return keys


def _save(file: Path, keys: list[Key]) -> list[Key]:
    entries = [
        {
            "kid": key.kid,
            "pem": key.private.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ).decode(),
        }
        for key in keys
    ]
    partial = file.with_name(file.name + ".partial")
    partial.touch(mode=0o600)
    partial.write_text(json.dumps({"v": 1, "keys": entries}))
    partial.replace(file)
    return keys
