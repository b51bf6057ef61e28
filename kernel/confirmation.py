"""Confirmations: an officer's second signature, by a decoder that is on no network.

The passkey signs what one page showed. Above a limit that is not enough: the officer reads the same payload
on another machine, by another program, and that program's own key (Ed25519, pinned per officer) signs the
same statement under a tag of its own. Whoever controls the page, its host and the console together still
cannot have both signatures over something that the officer did not read twice.
"""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from kernel.approval import Statement

DOMAIN_TAG: Final = b"countersign/confirmation/v1"
KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64


class BadConfirmation(ValueError):
    """The signature is not by this decoder's key over this statement."""


def message(statement: Statement) -> bytes:
    """What a decoder signs: the statement's canonical bytes, told apart from every other use of the key."""
    return DOMAIN_TAG + b"\x00" + statement.encoded()


def verify(signature: bytes, *, statement: Statement, key: bytes) -> None:
    """Nothing, if the decoder with this public key confirmed exactly this statement; BadConfirmation."""
    if len(key) != KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        raise BadConfirmation("a confirmation is 64 bytes, by a key of 32")
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message(statement))
    except InvalidSignature:
        raise BadConfirmation("the decoder signed another statement, or another key did") from None
