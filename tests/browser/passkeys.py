"""An officer's passkey inside Chromium: a virtual authenticator that holds the software one's key."""

from __future__ import annotations

import base64
from typing import Any, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from playwright.sync_api import Page

from fixtures.authenticator import Authenticator
from kernel import encodings

ALREADY_SIGNED: Final = 2_000_000_000
"""Where the passkey's counter goes on: beyond any moment in seconds, from which the software one counts."""


def plug_in(page: Page, passkey: Authenticator, *, rp_id: str = "approver.localhost") -> None:
    """Plug the passkey into this window; its user is verified, and touches it at once when asked."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options: dict[str, Any] = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    made = session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    session.send(
        "WebAuthn.addCredential",
        {
            "authenticatorId": made["authenticatorId"],
            "credential": {
                "credentialId": _base64(encodings.from_base64url(passkey.credential_id)),
                "isResidentCredential": True,
                "rpId": rp_id,
                "privateKey": _base64(_pkcs8(passkey)),
                "userHandle": _base64(b"officer"),
                "signCount": ALREADY_SIGNED,
            },
        },
    )


def _pkcs8(passkey: Authenticator) -> bytes:
    key = ec.derive_private_key(int(passkey.private_key_hex, 16), ec.SECP256R1())
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
