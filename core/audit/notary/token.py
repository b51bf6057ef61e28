"""The notary's token: one PKCS#11 session for life, one Ed25519 key, CKM_EDDSA, nothing else.

The same facts as for signers' tokens (`custody/signer/tokens.py`) shape this file, which shares no line with
that one because neither program may grow by the other: python-pkcs11 asks the module for no locking, and a
lost login looks like a missing key. The notary answers one question at a time, so nothing runs beside it:
after a failure it leaves the module, enters it anew and logs in again once. Only to the token that it had
before, and never again with a PIN that was refused: a token locks itself for good after a few.
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
PIN_REFUSED: Final = (
    pkcs11.PinIncorrect,
    pkcs11.PinInvalid,
    pkcs11.PinLenRange,
    pkcs11.PinLocked,
    pkcs11.PinExpired,
)

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


class PinRefused(BadToken):
    """The token refused the PIN, which is not tried again."""


class Token:
    """One logged-in token with the log's key. Not for several threads."""

    _serial = _public = b""

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
        key = point if len(point) == KEY_BYTES else bytes(OctetString.load(point).native)
        if self._public not in (b"", key):
            raise BadToken(f"{self._name} has another key of the log than before")
        self._public, self._private = key, private[0]
        return key

    def sign(self, text: bytes) -> bytes:
        """The raw Ed25519 signature, verified before it leaves."""
        try:
            signature = self._raw(text)
        except pkcs11.PKCS11Error:
            try:
                self._log_in_again()
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

    def _log_in_again(self) -> None:
        if not self._pin:
            raise PinRefused(f"{self._name} refused the PIN: start the notary again, with the right one")
        try:
            self._library.reinitialize()
        except pkcs11.PKCS11Error:  # it is left all the same
            self._library.initialize()
        try:
            self._log_in()
            self.check()
        except BadToken:
            self.close()
            raise

    def _log_in(self) -> None:
        slots = self._library.get_slots(token_present=True)
        tokens = [token for token in (slot.get_token() for slot in slots) if token.label == self._name]
        if len(tokens) != 1:
            raise BadToken(f"{len(tokens)} tokens are named {self._name}")
        if self._serial not in (b"", tokens[0].serial):
            raise BadToken(f"{self._name} is another token than before: {tokens[0].serial!r}")
        self._serial = tokens[0].serial
        try:
            self._session = tokens[0].open(rw=True, user_pin=self._pin)
        except PIN_REFUSED as error:
            self._pin = ""
            raise PinRefused(f"{self._name} refused the PIN: {type(error).__name__}") from None

    def _found(self, kind: ObjectClass) -> list[Any]:
        return list(self._session.get_objects({Attribute.CLASS: kind, Attribute.LABEL: LABEL}))
