"""Sealing to a public key: HPKE (RFC 9180), base mode, X25519, HKDF-SHA256, AES-256-GCM.

What is sealed is bound to a text, such as a person's name and a column: elsewhere it does not open. A person
has a key pair of their own; its private half is sealed to the vault's key, bound to the person. So whoever
seals holds no secret afterwards, and a person is erased by destroying one short sealed text.

A person's texts are sealed twice, to the person and around that to the vault. The first who seals makes the
person's key, and might keep it: that alone opens nothing.
"""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_LABEL: Final = "countersign/vault/v1"


class NotOurs(ValueError):
    """It was not sealed to this key, or for another place, or it was changed."""


def seal(plain: bytes, public_key: bytes, *, bound_to: str) -> bytes:
    """Only the private key opens it again, and only for the same text."""
    key = X25519PublicKey.from_public_bytes(public_key)
    return bytes(SUITE.encrypt(plain, key, info=_info(bound_to)))


def open_sealed(sealed: bytes, private_key: X25519PrivateKey, *, bound_to: str) -> bytes:
    """What was sealed; NotOurs."""
    try:
        return bytes(SUITE.decrypt(sealed, private_key, info=_info(bound_to)))
    except (InvalidTag, ValueError):
        raise NotOurs(bound_to) from None


def seal_twice(plain: bytes, *, person: bytes, vault: bytes, bound_to: str) -> bytes:
    """Only the person's private key and the vault's open it together, and only for the same text."""
    inner = seal(plain, person, bound_to=bound_to)
    return seal(inner, vault, bound_to=f"around|{bound_to}")


def open_twice(sealed: bytes, *, person: X25519PrivateKey, vault: X25519PrivateKey, bound_to: str) -> bytes:
    """What `seal_twice` sealed; NotOurs."""
    inner = open_sealed(sealed, vault, bound_to=f"around|{bound_to}")
    return open_sealed(inner, person, bound_to=bound_to)


def new_person(subject: str, vault_key: bytes) -> tuple[bytes, bytes]:
    """A fresh person's public key, and the private one as only the vault can open it."""
    private = X25519PrivateKey.generate()
    wrapped = seal(private.private_bytes_raw(), vault_key, bound_to=f"person|{subject}")
    return private.public_key().public_bytes_raw(), wrapped


def open_person(wrapped: bytes, vault_key: X25519PrivateKey, *, subject: str) -> X25519PrivateKey:
    """The person's private key; NotOurs for another person's."""
    raw = open_sealed(wrapped, vault_key, bound_to=f"person|{subject}")
    return X25519PrivateKey.from_private_bytes(raw)


def _info(bound_to: str) -> bytes:
    return f"{_LABEL}|{bound_to}".encode()
