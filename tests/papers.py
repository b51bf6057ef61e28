"""Certificates for the engine and its clients, made for one test."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from engine_bridge.adapters import papers

NAMES: Final = {name: f"spiffe://exchange/engine/{name}" for name in ("orders", "transfers", "admin")}
_BEGIN: Final = datetime.now(UTC) - timedelta(days=1)


class Authority:
    """Signs certificates. Two of them trust nobody of each other."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "engine authority")])
        self._certificate = self._signed(self._name, self._key.public_key(), [], is_authority=True)

    def issue(self, folder: Path, *names: x509.GeneralName) -> Path:
        """A folder with the authority, a certificate for these names, and its key."""
        folder.mkdir(parents=True, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, folder.name)])
        shown = self._signed(subject, key.public_key(), list(names), is_authority=False)
        (folder / papers.AUTHORITY).write_bytes(_pem(self._certificate))
        (folder / papers.CERTIFICATE).write_bytes(_pem(shown))
        (folder / papers.KEY).write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return folder

    def _signed(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        names: list[x509.GeneralName],
        *,
        is_authority: bool,
    ) -> x509.Certificate:
        built = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(_BEGIN)
            .not_valid_after(_BEGIN + timedelta(days=9))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        )
        if names:
            built = built.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return built.sign(self._key, hashes.SHA256())


def here() -> x509.GeneralName:
    """The address that a test's engine listens on."""
    return x509.IPAddress(ipaddress.ip_address("127.0.0.1"))


def client(name: str) -> x509.GeneralName:
    return x509.UniformResourceIdentifier(NAMES[name])


def options(folder: Path, port: int) -> list[str]:
    """An engine's options: to listen there with these papers, and to know its clients."""
    found = ["--tls-listen", f"127.0.0.1:{port}"]
    for option, file in (("cert", papers.CERTIFICATE), ("key", papers.KEY), ("client-ca", papers.AUTHORITY)):
        found += [f"--tls-{option}", str(folder / file)]
    for name, uri in NAMES.items():
        found += [f"--tls-{name}-name", uri]
    return found


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
