"""What an authenticator of a vendor says of a new passkey, and who reads it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

from core.factors import attestation as console
from fixtures.authenticator import AAGUID, Authenticator
from kernel import attestation, encodings
from kernel.attestation import Passkey

CHALLENGE: Final = b"\x01" * 32
ORIGIN, RP_ID = "https://approver.example", "approver.example"
NOW: Final = datetime(2026, 11, 1, tzinfo=UTC)
KEY: Final = Authenticator("31" * 32)
MODEL: Final = AAGUID
POINT: Final = bytes.fromhex(KEY.public_key_hex)

Statement = dict[str, Any]


def made(change: Callable[[Statement], None] = lambda found: None, **how: Any) -> tuple[bytes, bytes]:
    """Client data and attestation object of a new passkey that attests itself, with a change."""
    given_ = KEY.registration(CHALLENGE, **{"origin": ORIGIN, "rp_id": RP_ID, **how})
    client, written = (
        encodings.from_base64url(given_[name]) for name in ("client_data", "attestation_object")
    )
    stated = cbor2.loads(written)
    change(stated)
    return client, cbor2.dumps(stated)


def read(client: bytes, written: bytes, **how: Any) -> Passkey:
    asked: dict[str, Any] = {"challenge": CHALLENGE, "origin": ORIGIN, "rp_id": RP_ID, "now": NOW}
    return attestation.read(client, written, **{**asked, **how})


def at_the_console(client: bytes, written: bytes, roots: list[bytes] | None = None) -> str:
    """The same by the library that the console uses."""
    return console.read(
        client_data=encodings.base64url(client),
        attestation_object=encodings.base64url(written),
        challenge=CHALLENGE,
        origin=ORIGIN,
        rp_id=RP_ID,
        models=(),
        roots=roots or [],
    ).public_key


def name(unit: str, *more: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "SE"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Vendor"),
            *(x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, one) for one in (unit, *more)),
            x509.NameAttribute(NameOID.COMMON_NAME, unit),
        ]
    )


def certificate(
    unit: str = "Authenticator Attestation",
    *,
    issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None = None,
    authority: bool = False,
    model: bytes = MODEL.bytes,
    days: int = 10,
    since: int = 400,
    key: Any = None,
    units: Sequence[str] = (),
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """A vendor's certificate and its key; by itself, or by an issuer."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    by, by_key = (issuer[0].subject, issuer[1]) if issuer else (name(unit), key)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(unit, *units))
        .issuer_name(by)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=since))
        .not_valid_after(NOW + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if not authority:
        aaguid = x509.UnrecognizedExtension(
            x509.ObjectIdentifier("1.3.6.1.4.1.45724.1.1.4"), b"\x04\x10" + model
        )
        builder = builder.add_extension(aaguid, critical=False)
    return builder.sign(by_key, hashes.SHA256()), key


def certified(
    client: bytes, leaf: x509.Certificate, key: Any, *above: x509.Certificate, alg: int = -7
) -> Callable[[Statement], None]:
    """Attested by a certificate's key instead of the passkey's own."""

    def change(stated: Statement) -> None:
        how: list[Any] = [ec.ECDSA(hashes.SHA256())]
        if isinstance(key, rsa.RSAPrivateKey):
            how = [padding.PKCS1v15(), hashes.SHA256()]
        signed = key.sign(stated["authData"] + hashlib.sha256(client).digest(), *how)
        chain = [one.public_bytes(serialization.Encoding.DER) for one in (leaf, *above)]
        stated["attStmt"] = {"alg": alg, "sig": signed, "x5c": chain}

    return change
