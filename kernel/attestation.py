"""A new passkey as its authenticator tells of it (WebAuthn Level 2, section 7.1), read without a server.

Accepted is only an ES256 credential of our relying party, made on our page and not inside another site's
frame, over the challenge that was given out, by an authenticator that verified its user. The statement is
checked for what it is: `none`, `packed` (by the key itself, or by a certified one) or `fido-u2f`. What it
says of the model is only as good as its certificate, so whoever insists on models also names their roots.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

from kernel import cbor, webauthn

OBJECT_BYTES_MAX: Final = 64 * 1024
ES256: Final = -7
RS256: Final = -257
_HEADER_BYTES: Final = 37
_ATTESTED_AND_VERIFIED: Final = 0x45  # user present, user verified, attested credential data
_EXTENSIONS: Final = 0x80
_AAGUID: Final = x509.ObjectIdentifier("1.3.6.1.4.1.45724.1.1.4")
_UNREADABLE: Final = (ValueError, TypeError, LookupError, UnsupportedAlgorithm, x509.ExtensionNotFound)


class BadAttestation(ValueError):
    """The authenticator's answer is not the new passkey that was asked for."""


@dataclass(frozen=True, slots=True)
class Passkey:
    """What was made: the uncompressed P-256 point, the model as it is claimed, and how that is attested."""

    public_key: bytes
    credential_id: bytes
    aaguid: UUID
    attestation: str


def read(
    client_data: bytes,
    attestation_object: bytes,
    *,
    challenge: bytes,
    origin: str,
    rp_id: str,
    models: Collection[UUID] = (),
    roots: Sequence[x509.Certificate] = (),
    now: datetime,
) -> Passkey:
    """The passkey that `navigator.credentials.create` made; BadAttestation names the first fault.

    With `models` no other is taken, with `roots` only what a certificate under one of them attests at `now`.
    """
    try:
        webauthn.check_client_data(client_data, kind="webauthn.create", challenge=challenge, origin=origin)
        if len(attestation_object) > OBJECT_BYTES_MAX:
            raise BadAttestation(f"longer than {OBJECT_BYTES_MAX} bytes")
        stated = cbor.decode(attestation_object)
        if not isinstance(stated, Mapping) or stated.keys() != {"fmt", "attStmt", "authData"}:
            raise BadAttestation("no attestation object")
        form, statement, data = stated["fmt"], stated["attStmt"], stated["authData"]
        if not isinstance(statement, Mapping) or not isinstance(data, bytes):
            raise BadAttestation("no attestation object")
        found = _credential(data, rp_id=rp_id, form=str(form))
        chain = _check_statement(statement, found, data, hashlib.sha256(client_data).digest())
        if models and found.aaguid not in models:
            raise BadAttestation(f"{found.aaguid} is no model that is admitted here")
        if roots or (models and form == "none"):
            _check_chain(chain, roots, now)
    except BadAttestation:
        raise
    except webauthn.BadAssertion as error:
        raise BadAttestation(str(error)) from None
    except InvalidSignature:
        raise BadAttestation("the attestation is not signed by the key that it names") from None
    except _UNREADABLE as error:
        raise BadAttestation(f"unreadable: {error}") from None
    return found


def _credential(data: bytes, *, rp_id: str, form: str) -> Passkey:
    """The credential in the authenticator data, whose flags say that its user was verified."""
    if data[:32] != hashlib.sha256(rp_id.encode()).digest():
        raise BadAttestation("the passkey belongs to another relying party")
    flags = data[32]
    if flags & _ATTESTED_AND_VERIFIED != _ATTESTED_AND_VERIFIED:
        raise BadAttestation("the authenticator asked for no PIN, finger or face")
    at = _HEADER_BYTES + 18
    length = int.from_bytes(data[at - 2 : at], "big")
    identifier, rest = data[at : at + length], data[at + length :]
    key, used = cbor.first(rest)
    if flags & _EXTENSIONS:
        used += cbor.first(rest[used:])[1]
    if used != len(rest) or not identifier:
        raise BadAttestation("the authenticator data has another length than it says")
    if not isinstance(key, Mapping) or (key.get(1), key.get(3), key.get(-1)) != (2, ES256, 1):
        raise BadAttestation("another kind of key than signers take (ES256)")
    x, y = key.get(-2), key.get(-3)
    if not isinstance(x, bytes) or not isinstance(y, bytes):
        raise BadAttestation("the key is no point")
    point = b"\x04" + x + y
    webauthn.public(point)
    return Passkey(point, identifier, UUID(bytes=data[_HEADER_BYTES : _HEADER_BYTES + 16]), form)


def _check_statement(
    statement: Mapping[int | str, cbor.Value], found: Passkey, data: bytes, client_hash: bytes
) -> list[x509.Certificate]:
    """The certificates under which the passkey is attested, the signing one first; none where it is not."""
    if found.attestation == "none":
        if statement:
            raise BadAttestation("a statement where none was announced")
        return []
    if found.attestation not in ("packed", "fido-u2f"):
        raise BadAttestation(
            f"attested as {found.attestation!r}, which is not read here: take a security key"
        )
    signature, written = statement["sig"], statement.get("x5c", [])
    if not isinstance(signature, bytes) or not isinstance(written, list):
        raise BadAttestation("no statement of that form")
    chain = [x509.load_der_x509_certificate(bytes(each)) for each in written]
    if found.attestation == "fido-u2f":
        if statement.keys() != {"sig", "x5c"} or len(chain) != 1 or found.aaguid.int:
            raise BadAttestation("no statement of that form")
        signed = b"\x00" + data[:32] + client_hash + found.credential_id + found.public_key
        _check_signature(chain[0], ES256, signature, signed)
        return chain
    algorithm, signed = statement["alg"], data + client_hash
    if not chain:
        if statement.keys() != {"alg", "sig"} or algorithm != ES256:
            raise BadAttestation("no statement of that form")
        webauthn.es256(signed, signature, public_key=found.public_key)
        return []
    if statement.keys() != {"alg", "sig", "x5c"}:
        raise BadAttestation("no statement of that form")
    _check_certificate(chain[0], found)
    _check_signature(chain[0], algorithm, signature, signed)
    return chain


def _check_signature(
    certificate: x509.Certificate, algorithm: cbor.Value, signature: bytes, signed: bytes
) -> None:
    key = certificate.public_key()
    if algorithm == ES256 and isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature, signed, ec.ECDSA(hashes.SHA256()))
    elif algorithm == RS256 and isinstance(key, rsa.RSAPublicKey):
        key.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
    else:
        raise BadAttestation("attested with another kind of key than is read here")


def _check_certificate(certificate: x509.Certificate, found: Passkey) -> None:
    """Section 8.2.1: an attestation's certificate is one, is no authority, and is of this model."""
    units = [
        str(each.value)
        for each in certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
    ]
    authority = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    if certificate.version is not x509.Version.v3 or units != ["Authenticator Attestation"] or authority:
        raise BadAttestation("the certificate is not one for attestations")
    for extension in certificate.extensions:
        # An octet string within the octet string.
        if extension.oid == _AAGUID and extension.value.public_bytes() != b"\x04\x10" + found.aaguid.bytes:
            raise BadAttestation("the certificate is of another model")


def _check_chain(chain: Sequence[x509.Certificate], roots: Sequence[x509.Certificate], now: datetime) -> None:
    if not chain:
        raise BadAttestation("the authenticator does not prove which model it is")
    if any(not one.not_valid_before_utc <= now <= one.not_valid_after_utc for one in chain):
        raise BadAttestation("a certificate is not valid now")
    for issued, issuer in itertools.pairwise(chain):
        if not issuer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            raise BadAttestation("a certificate was issued by one that is no authority")
        issued.verify_directly_issued_by(issuer)
    for root in roots:
        if chain[-1] == root:
            return
        try:
            chain[-1].verify_directly_issued_by(root)
        except (ValueError, TypeError, InvalidSignature):
            continue
        return
    raise BadAttestation("no root that is trusted here stands behind the certificate")
