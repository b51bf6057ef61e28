"""Reading what a new passkey says of itself (WebAuthn Level 2, section 7.1), by way of py_webauthn.

Accepted is only a credential of our relying party, made on our page and not inside another site's frame, by
an authenticator that verified its user, with an ES256 key, over the challenge that we gave out. The
attestation statement is checked for what it is and kept whole. What it says of the device (the AAGUID) is
only as good as its certificate: a deployment that insists on models lists AAGUIDs and their vendors' roots.
With roots, a key that attests itself proves nothing: any program can make one that says it is any model.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final
from uuid import UUID

import cbor2
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from webauthn import verify_registration_response
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AttestationFormat,
    AuthenticatorAttestationResponse,
    RegistrationCredential,
)

from core.refusals import Refused
from kernel import webauthn

OBJECT_BYTES_MAX: Final = 64 * 1024
_CURVE, _X, _Y = -1, -2, -3  # COSE labels of a curve and a point's coordinates, RFC 9053 section 7.1.1
_P256: Final = 1
_AAGUID_IN_CERTIFICATE: Final = x509.ObjectIdentifier("1.3.6.1.4.1.45724.1.1.4")
_OCTETS_16: Final = b"\x04\x10"  # DER: sixteen octets follow
_UNREADABLE: Final = (
    *(ValueError, TypeError, KeyError, AttributeError, IndexError, AssertionError, UnsupportedAlgorithm),
    *(x509.InvalidVersion, x509.DuplicateExtension, x509.UnsupportedGeneralNameType),
)
"""What the libraries raise on an answer that is none, a certificate in it included."""


class BadRegistration(Refused):
    """The authenticator's answer is not a new passkey for this console."""

    code: ClassVar[str] = "factors.bad_registration"
    status = 422


class UnknownModel(Refused):
    """The deployment admits only certain models of authenticators, and proof that it is one."""

    code: ClassVar[str] = "factors.unknown_model"
    status = 422


@dataclass(frozen=True, slots=True)
class Registered:
    """A new passkey: its public key as an uncompressed P-256 point in hex, and its attestation whole."""

    credential_id: str
    public_key: str
    sign_count: int
    aaguid: str
    attestation: str
    attestation_object: bytes
    client_data: bytes


def read(
    *,
    client_data: str,
    attestation_object: str,
    challenge: bytes,
    origin: str,
    rp_id: str,
    models: Collection[str],
    roots: Sequence[bytes],
) -> Registered:
    """The passkey that `navigator.credentials.create` made, from its two base64url fields; Refused."""
    try:
        client, statement = base64url_to_bytes(client_data), base64url_to_bytes(attestation_object)
        if len(client) > webauthn.CLIENT_DATA_BYTES_MAX or len(statement) > OBJECT_BYTES_MAX:
            raise ValueError("too long")
        framed = json.loads(client)
        if framed.get("crossOrigin", False) is not False or "topOrigin" in framed:
            raise ValueError("made inside a frame of another site")
        identifier = _credential_id(statement)
        found = verify_registration_response(
            credential=RegistrationCredential(
                id=bytes_to_base64url(identifier),
                raw_id=identifier,
                response=AuthenticatorAttestationResponse(
                    client_data_json=client, attestation_object=statement
                ),
            ),
            expected_challenge=challenge,
            expected_rp_id=rp_id,
            expected_origin=origin,
            require_user_verification=True,
            supported_pub_key_algs=[COSEAlgorithmIdentifier.ECDSA_SHA_256],
            pem_root_certs_bytes_by_fmt={format_: list(roots) for format_ in AttestationFormat}
            if roots
            else None,
        )
        point = _point(found.credential_public_key)
        chain = cbor2.loads(statement)["attStmt"].get("x5c", [])
        is_named = all(_names(one, found.aaguid) for one in chain[:1])
    except (WebAuthnException, cbor2.CBORError, *_UNREADABLE) as error:
        raise BadRegistration(
            "Nothing was registered: the authenticator's answer was not accepted "
            f"({type(error).__name__}). Begin again on this page."
        ) from error
    is_proved = found.fmt != AttestationFormat.NONE and is_named and (bool(chain) or not roots)
    if (models and found.aaguid not in models) or ((models or roots) and not is_proved):
        raise UnknownModel(
            f"Nothing was registered: {found.aaguid} is no model that is admitted here, or does not prove it."
        )
    return Registered(
        credential_id=bytes_to_base64url(found.credential_id),
        public_key=point.hex(),
        sign_count=found.sign_count,
        aaguid=found.aaguid,
        attestation=str(found.fmt.value if isinstance(found.fmt, AttestationFormat) else found.fmt),
        attestation_object=statement,
        client_data=client,
    )


def _names(certificate: bytes, aaguid: str) -> bool:
    """Whether the vendor's certificate is about this model, where it names one at all (section 8.2.1)."""
    try:
        found = x509.load_der_x509_certificate(certificate).extensions.get_extension_for_oid(
            _AAGUID_IN_CERTIFICATE
        )
    except x509.ExtensionNotFound:
        return True
    assert isinstance(found.value, x509.UnrecognizedExtension)  # the library knows no vendor's extensions
    return found.value.value == _OCTETS_16 + UUID(aaguid).bytes


def _credential_id(statement: bytes) -> bytes:
    """The credential's id inside the attested data: after 37 bytes of header, 16 of AAGUID and a length."""
    data = cbor2.loads(statement)["authData"]
    length = int.from_bytes(data[53:55], "big")
    return bytes(data[55 : 55 + length])


def _point(cose: bytes) -> bytes:
    key = cbor2.loads(cose)
    if key[_CURVE] != _P256:
        raise ValueError("another curve")
    point = b"\x04" + bytes(key[_X]) + bytes(key[_Y])
    webauthn.public(point)
    return point
