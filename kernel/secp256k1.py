"""Keys and signatures of Bitcoin's and Ethereum's curve: compressed points, strict DER, low S.

The curve's arithmetic is libsecp256k1 (through coincurve), the library that decides on the network itself. It
is some ten times faster than OpenSSL here, and a signer checks every signature before it leaves.
"""

from __future__ import annotations

import functools
from typing import Final

from coincurve import PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


class BadKey(ValueError):
    """The bytes are no point of the curve in the expected form."""


class BadSignature(ValueError):
    """The signature is not strict DER, is high in S, or is not by the key over the digest."""


def public(key: bytes) -> PublicKey:
    """The public key of 33 compressed bytes."""
    if len(key) != 33:
        raise BadKey("a key is 33 compressed bytes")
    return _point(key)


def compress(point: bytes) -> bytes:
    """33 bytes from the 65 of an uncompressed point, which must lie on the curve."""
    if len(point) != 65 or point[0] != 4:
        raise BadKey("an uncompressed point is 65 bytes")
    return _point(point).format(compressed=True)


def uncompressed(key: bytes) -> bytes:
    """The 65 bytes of a public key of 33."""
    return public(key).format(compressed=False)


def low_s(raw: bytes) -> bytes:
    """Strict DER of a raw `r || s`, with S brought into the lower half as relaying nodes require."""
    if len(raw) != 64:
        raise BadSignature("a raw signature is 64 bytes")
    r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    if not (0 < r < ORDER and 0 < s < ORDER):
        raise BadSignature("r or s is out of range")
    return encode_dss_signature(r, min(s, ORDER - s))


def verify(key: bytes, digest: bytes, der: bytes) -> None:
    """Nothing, if the signature is strict, low in S and right; else BadSignature."""
    if len(digest) != 32:
        raise BadSignature("a digest is 32 bytes")
    try:
        r, s = decode_dss_signature(der)
        if encode_dss_signature(r, s) != der or not 0 < r < ORDER or not 0 < s <= ORDER // 2:
            raise BadSignature("not strict DER with a low S")
        right = public(key).verify(der, digest, hasher=None)
    except ValueError as error:
        raise BadSignature(str(error)) from None
    if not right:
        raise BadSignature("the signature is not by this key over this digest")


def recoverable(key: bytes, digest: bytes, der: bytes) -> bytes:
    """The 65 bytes `r || s || v` of a signature, v being 27 or 28: whichever leads back to this very key."""
    verify(key, digest, der)
    r, s = decode_dss_signature(der)
    plain = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    for parity in (0, 1):
        try:
            found = PublicKey.from_signature_and_message(plain + bytes([parity]), digest, hasher=None)
        except ValueError:
            continue
        if found.format(compressed=True) == key:
            return plain + bytes([27 + parity])
    # r beyond the curve's order happens once in 2^127 signatures: it has no v of 27 or 28 at all.
    raise BadSignature("no recovery id leads back to the key")


@functools.lru_cache(maxsize=4096)  # taking a square root per key is most of the cost of a check
def _point(encoded: bytes) -> PublicKey:
    try:
        return PublicKey(encoded)
    except ValueError as error:
        raise BadKey(str(error)) from None
