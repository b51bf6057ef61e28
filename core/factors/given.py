"""What a person hands in to answer a challenge, before anything of it is believed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias
from uuid import UUID

from kernel import encodings
from kernel.webauthn import Assertion

FIELDS: Final = (
    "stepup_challenge",
    "stepup_code",
    "stepup_credential_id",
    "stepup_authenticator_data",
    "stepup_client_data",
    "stepup_signature",
)
"""The members of a form that belong to the ceremony and not to the act."""


@dataclass(frozen=True, slots=True)
class Typed:
    """Digits from an authenticator app."""

    code: str


@dataclass(frozen=True, slots=True)
class Touched:
    """An assertion by one of the person's passkeys."""

    credential_id: str
    assertion: Assertion


Given: TypeAlias = "Typed | Touched"


def read(fields: Mapping[str, str]) -> tuple[UUID, Given] | None:
    """Which challenge is answered, and how; None where the form answers none, or not legibly."""
    try:
        challenge = UUID(fields.get("stepup_challenge", ""))
        if fields.get("stepup_credential_id"):
            assertion = Assertion(
                authenticator_data=encodings.from_base64url(fields["stepup_authenticator_data"]),
                client_data=encodings.from_base64url(fields["stepup_client_data"]),
                signature=encodings.from_base64url(fields["stepup_signature"]),
            )
            return challenge, Touched(fields["stepup_credential_id"], assertion)
    except (ValueError, KeyError):
        return None
    code = "".join(fields.get("stepup_code", "").split())
    return (challenge, Typed(code)) if code else None
