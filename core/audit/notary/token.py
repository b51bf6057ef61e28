"""The notary's token: one PKCS#11 session for life, one Ed25519 key, CKM_EDDSA, nothing else.

The same facts as for signers' tokens (`custody/signer/tokens.py`) shape this file, which shares no line with
that one because neither program may grow by the other: python-pkcs11 asks the module for no locking, and a
lost login looks like a missing key. The notary answers one question at a time, so nothing runs beside it, and
after a failure it logs in again once.
"""

from __future__ import annotations

import contextlib
from typing import Any, Final

import pkcs11
from asn1crypto.core import OctetString
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag, ObjectClass

# EC_PARAMS of Ed25519 as PKCS#11 2.40 modules want them: the PrintableString "edwards25519".
EDWARDS25519: Final = bytes.fromhex("130c656477617264733235353139")
LABEL: Final = "countersign-audit-log"
KEY_BYTES: Final = 32

_PRIVATE: Final = {
    Attribute.PRIVATE: True,
    Attribute.SENSITIVE: True,
    Attribute.EXTRACTABLE: False,
    Attribute.SIGN: True,
    Attribute.DERIVE: False,
    Attribute.DECRYPT: False,
    Attribute.UNWRAP: False,
    Attribute.MODIFIABLE: False,
    Attribute.COPYABLE: False,
}
_EXPECTED: Final = {
    Attribute.SENSITIVE: True,
    Attribute.ALWAYS_SENSITIVE: True,
    Attribute.EXTRACTABLE: False,
    Attribute.NEVER_EXTRACTABLE: True,
    Attribute.LOCAL: True,
}


class BadToken(RuntimeError):
    """The token or its key cannot be used; the text says why."""


class Token:
    """One logged-in token with the log's key. Not for several threads."""

    def __init__(self, *, module: str, name: str, pin: str) -> None:
        self._name, self._pin = name, pin
        try:
            self._library = pkcs11.lib(module)
            self._log_in()
        except pkcs11.PKCS11Error as error:
            raise BadToken(f"{name} cannot be opened: {type(error).__name__} {error}".strip()) from None

    def generate(self) -> bytes:
        """Make the key inside the token, never to leave it, unless it is there; its public half."""
        if not self._found(ObjectClass.PRIVATE_KEY):
            parameters = self._session.create_domain_parameters(
                KeyType.EC_EDWARDS, {Attribute.EC_PARAMS: EDWARDS25519}, local=True
            )
            parameters.generate_keypair(
                mechanism=Mechanism.EC_EDWARDS_KEY_PAIR_GEN,
                store=True,
                label=LABEL,
                capabilities=MechanismFlag.SIGN | MechanismFlag.VERIFY,
                private_template=dict(_PRIVATE),
                public_template={Attribute.MODIFIABLE: False},
            )
        return self.check()

    def check(self) -> bytes:
        """The public key, after asking the token whether the private one could ever have left it."""
        private, public = self._found(ObjectClass.PRIVATE_KEY), self._found(ObjectClass.PUBLIC_KEY)
        if len(private) != 1 or len(public) != 1:
            raise BadToken(f"{self._name} holds {len(private)} keys of the log")
        weak = [one.name for one, value in _EXPECTED.items() if bool(private[0][one]) is not value]
        if weak:
            raise BadToken(f"the key of {self._name} is weak: {', '.join(weak)}")
        point = bytes(public[0][Attribute.EC_POINT])
        # DER OCTET STRING by the standard; some modules give the point as it is.
        self._public = point if len(point) == KEY_BYTES else bytes(OctetString.load(point).native)
        self._private = private[0]
        return self._public

    def sign(self, text: bytes) -> bytes:
        """The raw Ed25519 signature, verified before it leaves."""
        try:
            signature = self._raw(text)
        except pkcs11.PKCS11Error:
            with contextlib.suppress(pkcs11.PKCS11Error):
                self._session.close()
            try:
                self._log_in()
                self.check()
                signature = self._raw(text)
            except pkcs11.PKCS11Error as error:
                raise BadToken(f"{self._name}: {type(error).__name__}") from None
        try:
            Ed25519PublicKey.from_public_bytes(self._public).verify(signature, text)
        except InvalidSignature:
            raise BadToken(f"{self._name} made a wrong signature") from None
        return signature

    def close(self) -> None:
        """Log out."""
        with contextlib.suppress(pkcs11.PKCS11Error):
            self._session.close()

    def _raw(self, text: bytes) -> bytes:
        return bytes(self._private.sign(text, mechanism=Mechanism.EDDSA))

    def _log_in(self) -> None:
        slots = self._library.get_slots(token_present=True)
        tokens = [token for token in (slot.get_token() for slot in slots) if token.label == self._name]
        if len(tokens) != 1:
            raise BadToken(f"{len(tokens)} tokens are named {self._name}")
        self._session = tokens[0].open(rw=True, user_pin=self._pin)

    def _found(self, kind: ObjectClass) -> list[Any]:
        return list(self._session.get_objects({Attribute.CLASS: kind, Attribute.LABEL: LABEL}))
