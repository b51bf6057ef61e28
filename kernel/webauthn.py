"""WebAuthn assertions (Level 2, section 7.2), checked without a server, a session or a clock.

Only what an approval needs is accepted: ES256, user present and verified, our origin, not inside another
site's frame. Whoever passes `verify` proves that the holder of one key, verified by their authenticator,
signed one challenge on one page. It proves nothing about repetition: callers remember used challenges.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import ClassVar, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from kernel import encodings
from kernel.members import unrepeated

CLIENT_DATA_BYTES_MAX: Final = 8 * 1024
AUTHENTICATOR_DATA_BYTES_MAX: Final = 4 * 1024

_HEADER_BYTES: Final = 37  # relying party hash 32, flags 1, sign count 4
_USER_PRESENT: Final = 0x01
_USER_VERIFIED: Final = 0x04
_BACKUP_ELIGIBLE: Final = 0x08
_BACKED_UP: Final = 0x10
_RESERVED: Final = 0x22
_ATTESTED: Final = 0x40
_EXTENSIONS: Final = 0x80


class BadAssertion(ValueError):
    """Base of the reasons why an assertion is refused; `code` is stable."""

    code: ClassVar[str] = "assertion.bad"


class MalformedClientData(BadAssertion):
    """The client data is no JSON object, repeats a member, or is too long."""

    code = "assertion.client_data"


class WrongType(BadAssertion):
    """The client data belongs to another ceremony, such as an enrolment."""

    code = "assertion.type"


class WrongChallenge(BadAssertion):
    """Something else was signed: another verb, kind, deployment, nonce or payload."""

    code = "assertion.challenge"


class WrongOrigin(BadAssertion):
    """The signature was given on another page than ours."""

    code = "assertion.origin"


class CrossOrigin(BadAssertion):
    """Our page was inside a frame of another site."""

    code = "assertion.cross_origin"


class MalformedAuthenticatorData(BadAssertion):
    """The authenticator data has a wrong length or impossible flags."""

    code = "assertion.authenticator_data"


class WrongRelyingParty(BadAssertion):
    """The credential belongs to another relying party."""

    code = "assertion.rp_id"


class UserNotPresent(BadAssertion):
    """Nobody touched the authenticator."""

    code = "assertion.user_presence"


class UserNotVerified(BadAssertion):
    """The authenticator did not check a PIN or a biometric."""

    code = "assertion.user_verification"


class BadPublicKey(BadAssertion):
    """The pinned key is no uncompressed point of P-256."""

    code = "assertion.public_key"


class WrongSignature(BadAssertion):
    """The signature is not by this key over these bytes."""

    code = "assertion.signature"


@dataclass(frozen=True, slots=True)
class Assertion:
    """What `navigator.credentials.get` returned, as raw bytes."""

    authenticator_data: bytes
    client_data: bytes
    signature: bytes

    @property
    def name(self) -> str:
        """Names what was signed, whatever the signature: one act of one authenticator."""
        return hashlib.sha256(self.authenticator_data + hashlib.sha256(self.client_data).digest()).hexdigest()


def verify(assertion: Assertion, *, public_key: bytes, challenge: bytes, origin: str, rp_id: str) -> int:
    """The authenticator's sign count, once every check has passed; else the BadAssertion that names why."""
    check_client_data(assertion.client_data, kind="webauthn.get", challenge=challenge, origin=origin)
    count = _check_authenticator_data(assertion.authenticator_data, rp_id=rp_id)
    signed = assertion.authenticator_data + hashlib.sha256(assertion.client_data).digest()
    es256(signed, assertion.signature, public_key=public_key)
    return count


def es256(message: bytes, signature: bytes, *, public_key: bytes) -> None:
    """Nothing, if the signature is by the key over the message; else WrongSignature."""
    try:
        public(public_key).verify(signature, message, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise WrongSignature("the signature is not by this key over these bytes") from None


@functools.lru_cache(maxsize=1024)  # the same few officers sign every day
def public(point: bytes) -> ec.EllipticCurvePublicKey:
    """The P-256 key of an uncompressed point (65 bytes); BadPublicKey where it is none."""
    if len(point) != 65 or point[0] != 4:
        raise BadPublicKey("a key is the 65 bytes of an uncompressed P-256 point")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError as error:
        raise BadPublicKey(str(error)) from None


def check_client_data(client_data: bytes, *, kind: str, challenge: bytes, origin: str) -> None:
    """Nothing, if our page asked exactly this of the authenticator; BadAssertion names the first fault."""
    if len(client_data) > CLIENT_DATA_BYTES_MAX:
        raise MalformedClientData(f"longer than {CLIENT_DATA_BYTES_MAX} bytes")
    try:
        members = json.loads(client_data.decode("utf-8"), object_pairs_hook=unrepeated)
    except (ValueError, RecursionError) as error:
        raise MalformedClientData(str(error)) from None
    if not isinstance(members, dict):
        raise MalformedClientData("no object")
    if members.get("type") != kind:
        raise WrongType(f"type is {members.get('type')!r}")
    given = members.get("challenge")
    if not isinstance(given, str) or not hmac.compare_digest(
        given.encode("utf-8", "surrogatepass"), encodings.base64url(challenge).encode()
    ):
        raise WrongChallenge("another challenge was signed")
    if members.get("origin") != origin:
        raise WrongOrigin(f"origin is {members.get('origin')!r}")
    if members.get("crossOrigin", False) is not False or "topOrigin" in members:
        raise CrossOrigin("signed inside a frame of another site")


def _check_authenticator_data(data: bytes, *, rp_id: str) -> int:
    if not _HEADER_BYTES <= len(data) <= AUTHENTICATOR_DATA_BYTES_MAX:
        raise MalformedAuthenticatorData(f"{len(data)} bytes")
    if not hmac.compare_digest(data[:32], hashlib.sha256(rp_id.encode()).digest()):
        raise WrongRelyingParty("the credential belongs to another relying party")
    flags = data[32]
    if flags & (_RESERVED | _ATTESTED) or (flags & _BACKED_UP and not flags & _BACKUP_ELIGIBLE):
        raise MalformedAuthenticatorData(f"impossible flags 0x{flags:02x}")
    if bool(flags & _EXTENSIONS) != (len(data) > _HEADER_BYTES):
        raise MalformedAuthenticatorData("extension data and its flag disagree")
    if not flags & _USER_PRESENT:
        raise UserNotPresent("the user-present flag is not set")
    if not flags & _USER_VERIFIED:
        raise UserNotVerified("the user-verified flag is not set")
    return int.from_bytes(data[33:37], "big")
