"""Software keys on secp256k1 for tests that need no token."""

from __future__ import annotations

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature

from kernel import secp256k1


class SoftKey:
    """A private key of that number."""

    def __init__(self, number: int) -> None:
        self._key = ec.derive_private_key(number, ec.SECP256K1())

    @property
    def public_key(self) -> bytes:
        return self._key.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint
        )

    def raw(self, digest: bytes, *, same_each_time: bool = False) -> bytes:
        """r || s, as a token would give it: not always low in S."""
        algorithm = ec.ECDSA(Prehashed(hashes.SHA256()), deterministic_signing=same_each_time)
        der = self._key.sign(digest, algorithm)
        r, s = decode_dss_signature(der)
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def sign(self, digest: bytes) -> bytes:
        """Strict DER, low S, the same each time (RFC 6979)."""
        return secp256k1.low_s(self.raw(digest, same_each_time=True))
