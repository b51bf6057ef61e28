"""An officer's answer as it arrives from the approver page, before anything of it is believed."""

from __future__ import annotations

from dataclasses import dataclass

from kernel import encodings
from kernel.approval import Verb
from kernel.webauthn import Assertion


@dataclass(frozen=True, slots=True)
class Signed:
    """The verb, its reason, which passkey (base64url without padding), and the assertion.

    `confirmation` is the offline decoder's signature, where the officer gave one.
    """

    verb: Verb
    credential_id: str
    assertion: Assertion
    reason: str = ""
    confirmation: bytes = b""

    @classmethod
    def from_fields(
        cls,
        *,
        verb: str,
        credential_id: str,
        authenticator_data: str,
        client_data: str,
        signature: str,
        reason: str = "",
        confirmation: str = "",
    ) -> Signed:
        """From the form's text fields (base64url); ValueError where one is not what it should be."""
        return cls(
            verb=Verb(verb),
            credential_id=credential_id,
            assertion=Assertion(
                authenticator_data=encodings.from_base64url(authenticator_data),
                client_data=encodings.from_base64url(client_data),
                signature=encodings.from_base64url(signature),
            ),
            reason=reason.strip(),
            confirmation=encodings.from_base64url(confirmation.strip()),
        )
