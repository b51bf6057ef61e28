"""The token's keys: ECDSA on secp256k1, and Ed25519 for the heads of its log.

Raw ECDSA takes any length and silently cuts it: so exactly 32 bytes are signed, and no signature leaves
unverified.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final

import pkcs11
from asn1crypto.core import ObjectIdentifier, OctetString, PrintableString
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag, ObjectClass

from custody.signer.anchor import Anchored
from custody.signer.refusals import Refused
from kernel import secp256k1

SECP256K1: Final = ObjectIdentifier("1.3.132.0.10").dump()
ED25519: Final = PrintableString("edwards25519").dump()
_CURVES: Final = {
    KeyType.EC: (SECP256K1, Mechanism.EC_KEY_PAIR_GEN),
    KeyType.EC_EDWARDS: (ED25519, Mechanism.EC_EDWARDS_KEY_PAIR_GEN),
}
HEALTH_ID: Final = b"health"
LOG_ID: Final = b"log"
DIGEST_BYTES: Final = 32

_PRIVATE: Final[Mapping[Attribute, bool]] = {
    Attribute.PRIVATE: True,
    Attribute.SENSITIVE: True,
    Attribute.EXTRACTABLE: False,
    Attribute.SIGN: True,
    Attribute.DERIVE: False,
    Attribute.DECRYPT: False,
    Attribute.UNWRAP: False,
    Attribute.MODIFIABLE: False,
    Attribute.COPYABLE: False,
    Attribute.DESTROYABLE: True,
}
EXPECTED: Final[Mapping[Attribute, bool]] = {
    Attribute.SENSITIVE: True,
    Attribute.ALWAYS_SENSITIVE: True,
    Attribute.EXTRACTABLE: False,
    Attribute.NEVER_EXTRACTABLE: True,
    Attribute.LOCAL: True,
    Attribute.MODIFIABLE: False,
}


class Token(Anchored):
    """One logged-in token, its memory and its keys."""

    places = 1  # how many signatures it makes at a time
    _log_key: bytes | None = None

    def sign_all(self, wanted: Sequence[tuple[int, bytes, bytes]]) -> list[bytes]:
        """Strict DER with low S for each (index, digest, public key): none leaves before all are verified.

        Several threads may, each in a session of its own. One request's are made one after another: to check
        a signature costs less than handing it to another thread does.
        """
        if any(len(digest) != DIGEST_BYTES for _, digest, _ in wanted):
            raise Refused("SIGNER_TOKEN_FAILED", f"only {DIGEST_BYTES} bytes are signed")
        raw = self._mended(lambda: self._raw([(index, digest) for index, digest, _ in wanted]))
        return [_checked(made, *asked) for made, asked in zip(raw, wanted, strict=True)]

    def sign_for_evm(self, index: int, digest: bytes, public_key: bytes) -> bytes:
        """The same for an EVM contract: the 65 bytes from which it finds the key (low S, v of 27 or 28)."""
        der = self.sign_all([(index, digest, public_key)])[0]
        try:
            return secp256k1.recoverable(public_key, digest, der)
        except secp256k1.BadSignature as error:
            raise Refused("SIGNER_BAD_SIGNATURE", f"key {index} of {self.name}: {error}") from None

    def check_key(self, index: int, *, public_key: bytes) -> None:
        """Refuse where key `index` is missing, not the pinned one, or could ever have left the token."""
        try:
            key, point = self._key_with(identifier_of(index)), self._point(identifier_of(index))
        except pkcs11.PKCS11Error:
            raise Refused("SIGNER_KEY_MISSING", f"{self.name} has no key {index}") from None
        weak = [attribute.name for attribute, value in EXPECTED.items() if bool(key[attribute]) is not value]
        if weak:
            raise Refused("SIGNER_KEY_WEAK", f"key {index} of {self.name}: {', '.join(weak)}")
        if point != public_key:
            raise Refused("SIGNER_KEY_MISSING", f"key {index} of {self.name} is not the pinned one")

    def _generate(self, identifier: bytes, label: str, kind: KeyType = KeyType.EC) -> None:
        curve, mechanism = _CURVES[kind]
        parameters = self._session.create_domain_parameters(kind, {Attribute.EC_PARAMS: curve}, local=True)
        parameters.generate_keypair(
            mechanism=mechanism,
            store=True,
            label=label,
            id=identifier,
            capabilities=MechanismFlag.SIGN | MechanismFlag.VERIFY,
            private_template=dict(_PRIVATE),
            public_template={Attribute.MODIFIABLE: False},
        )

    def log_key(self) -> bytes:
        """The Ed25519 public key that signs heads of this signer's log; made at the first use."""
        if self._log_key is None:
            self._log_key = self.in_time(lambda: self._steadily(self._find_log_key))
        return self._log_key

    def sign_head(self, text: bytes) -> bytes:
        """The Ed25519 signature of a log head, verified. The key signs nothing else."""
        made = self._steadily(lambda: bytes(self._key_with(LOG_ID).sign(text, mechanism=Mechanism.EDDSA)))
        try:
            Ed25519PublicKey.from_public_bytes(self.log_key()).verify(made, text)
        except InvalidSignature:
            raise Refused("SIGNER_BAD_SIGNATURE", f"the log key of {self.name} made a wrong one") from None
        return made

    def probe(self) -> None:
        """Nothing, if the token signs and the signature verifies, by a key that is for nothing else."""
        digest = secrets.token_bytes(DIGEST_BYTES)
        raw, point = self._steadily(lambda: (self._probed(digest), self._point(HEALTH_ID)))
        _checked(raw, "health", digest, point)

    def _probed(self, digest: bytes) -> bytes:
        try:
            key = self._key_with(HEALTH_ID)
        except pkcs11.NoSuchKey:
            self._generate(HEALTH_ID, "countersign-health")
            key = self._key_with(HEALTH_ID)
        return bytes(key.sign(digest, mechanism=Mechanism.ECDSA))

    def _find_log_key(self) -> bytes:
        template = {Attribute.CLASS: ObjectClass.PUBLIC_KEY, Attribute.ID: LOG_ID}
        if not list(self._session.get_objects(template)):
            self._generate(LOG_ID, "countersign-log", KeyType.EC_EDWARDS)
        key = self._session.get_key(object_class=ObjectClass.PUBLIC_KEY, id=LOG_ID)
        point = bytes(key[Attribute.EC_POINT])
        return point if len(point) == 32 else bytes(OctetString.load(point).native)

    def _raw(self, wanted: Sequence[tuple[int, bytes]]) -> list[bytes]:
        with self._lent() as (session, keys):
            for index in {index for index, _ in wanted} - keys.keys():
                keys[index] = self._key_with(identifier_of(index), session)
            return [bytes(keys[index].sign(digest, mechanism=Mechanism.ECDSA)) for index, digest in wanted]

    def _key_with(self, identifier: bytes, session: Any = None) -> Any:
        return (session or self._session).get_key(object_class=ObjectClass.PRIVATE_KEY, id=identifier)

    def _point(self, identifier: bytes) -> bytes:
        key = self._session.get_key(object_class=ObjectClass.PUBLIC_KEY, id=identifier)
        point = bytes(key[Attribute.EC_POINT])
        # DER OCTET STRING by the standard; some modules give the point as it is.
        return secp256k1.compress(point if len(point) == 65 else bytes(OctetString.load(point).native))


def _checked(raw: bytes, index: int | str, digest: bytes, public_key: bytes) -> bytes:
    try:
        der = secp256k1.low_s(raw)
        secp256k1.verify(public_key, digest, der)
    except secp256k1.BadSignature as error:
        raise Refused("SIGNER_BAD_SIGNATURE", f"key {index} is not the pinned one: {error}") from None
    return der


def identifier_of(index: int) -> bytes:
    """What the token calls key `index`."""
    return index.to_bytes(2, "big")
