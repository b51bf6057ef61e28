"""The token: one PKCS#11 session for life, ECDSA on secp256k1, and Ed25519 for the heads of its log.

Facts that shape this file: python-pkcs11 asks the module for no locking; the login belongs to the process and
ends with the session that made it; private keys of a lost login look as if they were missing; raw ECDSA takes
any length and silently cuts it. So: locking is asked for, one login session is kept open, a missing key after
earlier success means "log in again", exactly 32 bytes are signed, and no signature leaves unverified.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

import pkcs11
from asn1crypto.core import ObjectIdentifier, OctetString, PrintableString
from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag, ObjectClass

from custody.signer.module import LockingLibrary
from custody.signer.refusals import Refused
from kernel import canonical, secp256k1

SECP256K1: Final = ObjectIdentifier("1.3.132.0.10").dump()
ED25519: Final = PrintableString("edwards25519").dump()
HEALTH_ID: Final = b"health"
LOG_ID: Final = b"log"
ANCHOR: Final = "countersign-journal"
ANCHORS: Final = 2
MAC_KEY_LABEL: Final = "countersign-journal-key"
DIGEST_BYTES: Final = 32
LOGIN_TRIES: Final = 5
LOGIN_WAIT_S: Final = 0.05

T = TypeVar("T")

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
_EXPECTED: Final[Mapping[Attribute, bool]] = {
    Attribute.SENSITIVE: True,
    Attribute.ALWAYS_SENSITIVE: True,
    Attribute.EXTRACTABLE: False,
    Attribute.NEVER_EXTRACTABLE: True,
    Attribute.LOCAL: True,
    Attribute.MODIFIABLE: False,
}


class WrongToken(RuntimeError):
    """The folder holds no token of that name, or more than one."""


class WrongPin(WrongToken):
    """The token refused the PIN."""


class Token:
    """One logged-in token. Not for several threads."""

    def __init__(self, *, module: str, name: str, pin: str) -> None:
        self.name = name
        self._pin: str | None = pin
        self._handles: dict[int, Any] = {}
        self._slots: list[Any] | None = None  # the anchors, the older first
        self._log_key: bytes | None = None
        try:
            self._library = LockingLibrary(module)
        except pkcs11.PKCS11Error as error:
            raise self._cannot_open(error) from None
        for attempt in range(LOGIN_TRIES):
            try:
                self._library.initialize()
                self._log_in(pin)
                break
            except (pkcs11.PinIncorrect, pkcs11.PinLocked) as error:
                self._library.finalize()  # and never again by itself
                raise WrongPin(f"{name} cannot be opened: {type(error).__name__}") from None
            except (pkcs11.PKCS11Error, WrongToken) as error:
                self._library.finalize()
                if attempt == LOGIN_TRIES - 1:
                    raise self._cannot_open(error) from None
                # Another process logging in rewrites the token's file, and it is read half-written.
                time.sleep(LOGIN_WAIT_S * 2**attempt)

    def close(self) -> None:
        """Log out and leave the module."""
        with contextlib.suppress(pkcs11.PKCS11Error):
            self._session.close()
        self._library.finalize()

    def _cannot_open(self, error: Exception) -> WrongToken:
        return WrongToken(f"{self.name} cannot be opened: {type(error).__name__} {error}".strip())

    def enter(self, pin: str) -> None:
        """Another PIN, after the token refused the one before; WrongPin where it refuses this one too."""
        with contextlib.suppress(pkcs11.PKCS11Error):
            self._session.close()
        self._handles.clear()
        self._slots = None
        try:
            self._log_in(pin)
        except (pkcs11.PinIncorrect, pkcs11.PinLocked) as error:
            raise WrongPin(f"{self.name} cannot be opened: {type(error).__name__}") from None
        except pkcs11.PKCS11Error as error:
            raise WrongToken(f"{self.name} cannot be opened: {type(error).__name__}") from None
        self._pin = pin

    def sign(self, index: int, digest: bytes, *, public_key: bytes) -> bytes:
        """Strict DER with low S by key `index`, verified against the pinned public key before it leaves."""
        return self.sign_all([(index, digest, public_key)])[0]

    def sign_all(self, wanted: Sequence[tuple[int, bytes, bytes]]) -> list[bytes]:
        """The same for several (index, digest, public key): none leaves before all are verified.

        One after another: to check a signature costs a twelfth of making it, and less than handing it to
        another thread does.
        """
        if any(len(digest) != DIGEST_BYTES for _, digest, _ in wanted):
            raise Refused("SIGNER_TOKEN_FAILED", f"only {DIGEST_BYTES} bytes are signed")
        raw = self._steadily(lambda: [self._raw(index, digest) for index, digest, _ in wanted])
        return [_checked(made, *asked) for made, asked in zip(raw, wanted, strict=True)]

    def check_key(self, index: int, *, public_key: bytes) -> None:
        """Refuse where key `index` is missing, not the pinned one, or could ever have left the token."""
        try:
            key, point = self._key_with(_identifier(index)), self._point(_identifier(index))
        except pkcs11.PKCS11Error:
            raise Refused("SIGNER_KEY_MISSING", f"{self.name} has no key {index}") from None
        weak = [attribute.name for attribute, value in _EXPECTED.items() if bool(key[attribute]) is not value]
        if weak:
            raise Refused("SIGNER_KEY_WEAK", f"key {index} of {self.name}: {', '.join(weak)}")
        if point != public_key:
            raise Refused("SIGNER_KEY_MISSING", f"key {index} of {self.name} is not the pinned one")

    def generate(self, index: int) -> bytes:
        """Make key `index` inside the token, never to leave it; its compressed public key."""
        identifier = _identifier(index)
        if list(
            self._session.get_objects({Attribute.ID: identifier, Attribute.CLASS: ObjectClass.PRIVATE_KEY})
        ):
            raise WrongToken(f"{self.name} has a key {index} already")
        self._generate(identifier, f"{self.name}/{index}")
        return self._point(identifier)

    def _generate(self, identifier: bytes, label: str) -> None:
        parameters = self._session.create_domain_parameters(
            KeyType.EC, {Attribute.EC_PARAMS: SECP256K1}, local=True
        )
        parameters.generate_keypair(
            store=True,
            label=label,
            id=identifier,
            capabilities=MechanismFlag.SIGN | MechanismFlag.VERIFY,
            private_template=dict(_PRIVATE),
            public_template={Attribute.MODIFIABLE: False},
        )

    def public_key(self, index: int) -> bytes | None:
        """The compressed public key `index`, or None where the token has none."""
        try:
            return self._point(_identifier(index))
        except pkcs11.NoSuchKey:
            return None

    def log_key(self) -> bytes:
        """The Ed25519 public key that signs heads of this signer's log; made at the first use."""
        if self._log_key is None:
            self._log_key = self._steadily(self._find_log_key)
        return self._log_key

    def sign_head(self, text: bytes) -> bytes:
        """The Ed25519 signature of a log head. The key signs nothing else."""
        return self._steadily(lambda: bytes(self._key_with(LOG_ID).sign(text, mechanism=Mechanism.EDDSA)))

    def probe(self) -> None:
        """Nothing, if the token signs and the signature verifies, by a key that is for nothing else."""
        digest = secrets.token_bytes(DIGEST_BYTES)
        raw = self._steadily(lambda: self._probed(digest))
        try:
            secp256k1.verify(self._point(HEALTH_ID), digest, secp256k1.low_s(raw))
        except secp256k1.BadSignature as error:
            raise Refused("SIGNER_BAD_SIGNATURE", f"the health key: {error}") from None

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
            parameters = self._session.create_domain_parameters(
                KeyType.EC_EDWARDS, {Attribute.EC_PARAMS: ED25519}, local=True
            )
            parameters.generate_keypair(
                mechanism=Mechanism.EC_EDWARDS_KEY_PAIR_GEN,
                store=True,
                label="countersign-log",
                id=LOG_ID,
                capabilities=MechanismFlag.SIGN | MechanismFlag.VERIFY,
                private_template=dict(_PRIVATE),
                public_template={Attribute.MODIFIABLE: False},
            )
        key = self._session.get_key(object_class=ObjectClass.PUBLIC_KEY, id=LOG_ID)
        point = bytes(key[Attribute.EC_POINT])
        return point if len(point) == 32 else bytes(OctetString.load(point).native)

    @staticmethod
    def expected() -> list[tuple[str, bool]]:
        """What `check_key` insists on, by the standard's names."""
        return [(attribute.name, value) for attribute, value in _EXPECTED.items()]

    # The journal's anchor (`journal.Anchor`).

    def read(self) -> bytes | None:
        """The newest anchor on the token."""
        return self._steadily(lambda: max(map(_said, self._anchors()), key=_number, default=None))

    def write(self, value: bytes) -> None:
        """Replace the older of two anchors, so that there is always a whole one."""
        self._steadily(lambda: self._replace_anchor(value))

    def secret(self) -> bytes:
        """The key of the journal's MACs: 32 random bytes, made at the first use; the PIN guards it."""
        return self._steadily(self._find_secret)

    def _find_secret(self) -> bytes:
        template = {Attribute.CLASS: ObjectClass.DATA, Attribute.LABEL: MAC_KEY_LABEL}
        found = [bytes(item[Attribute.VALUE]) for item in self._session.get_objects(template)]
        if not found:
            found = [secrets.token_bytes(DIGEST_BYTES)]
            self._keep({Attribute.LABEL: MAC_KEY_LABEL, Attribute.VALUE: found[0]})
        return found[0]

    def _keep(self, template: Mapping[Attribute, object]) -> Any:
        """A data object that stays on the token, for whoever has the PIN."""
        common = {Attribute.CLASS: ObjectClass.DATA, Attribute.TOKEN: True, Attribute.PRIVATE: True}
        return self._session.create_object({**common, **template})

    def forget(self) -> None:
        """Remove the anchors; the next journal is a first one."""
        self._slots = None
        for found in list(self._anchors()):
            found.destroy()

    def _replace_anchor(self, value: bytes) -> None:
        """What it says stands in the object's label: the one part of it that every module lets us change.

        To change an object costs a tenth of making one and destroying another, with every transaction.
        """
        slots, self._slots = self._slots, None
        if slots is None:
            slots = sorted(self._anchors(), key=lambda found: _number(_said(found)))
        if len(slots) < ANCHORS:
            template = {Attribute.APPLICATION: ANCHOR, Attribute.LABEL: value.decode(), Attribute.VALUE: b""}
            slots.append(self._keep(template))
        else:
            slots[0][Attribute.LABEL] = value.decode()
            slots.append(slots.pop(0))
        self._slots = slots

    def _anchors(self) -> Any:
        return self._session.get_objects({Attribute.CLASS: ObjectClass.DATA, Attribute.APPLICATION: ANCHOR})

    def _log_in(self, pin: str) -> None:
        slots = self._library.get_slots(token_present=True)
        tokens = [token for token in (slot.get_token() for slot in slots) if token.label == self.name]
        if len(tokens) != 1:
            raise WrongToken(f"{len(tokens)} tokens are named {self.name}")
        serial = tokens[0].serial.decode("ascii", "replace").strip()
        if getattr(self, "serial", serial) != serial:
            raise WrongToken(f"{self.name} is another token than before: {serial}")
        self.serial = serial
        self._session = tokens[0].open(rw=True, user_pin=pin)

    def _steadily(self, act: Callable[[], T]) -> T:
        """Do it; after a failure log in again and do it once more. A lost login looks like a missing key."""
        try:
            return act()
        except pkcs11.PKCS11Error:
            self._log_in_again()
        try:
            return act()
        except pkcs11.PKCS11Error as error:
            raise Refused("SIGNER_TOKEN_FAILED", type(error).__name__) from None

    def _log_in_again(self) -> None:
        self._handles.clear()
        self._slots = None
        if self._pin is None:
            raise Refused("SIGNER_TOKEN_FAILED", "the PIN was refused; an operator must enter the right one")
        with contextlib.suppress(pkcs11.PKCS11Error):
            self._session.close()
        try:
            self._log_in(self._pin)
        except (pkcs11.PinIncorrect, pkcs11.PinLocked) as error:
            # Never try again by itself: a token locks itself after a few wrong PINs, for good.
            self._pin = None
            raise Refused("SIGNER_TOKEN_FAILED", type(error).__name__) from None
        except (pkcs11.PKCS11Error, WrongToken) as error:
            raise Refused("SIGNER_TOKEN_FAILED", f"{type(error).__name__} {error}".strip()) from None

    def _raw(self, index: int, digest: bytes) -> bytes:
        key = self._handles.get(index)
        if key is None:
            key = self._handles[index] = self._key_with(_identifier(index))
        return bytes(key.sign(digest, mechanism=Mechanism.ECDSA))

    def _key_with(self, identifier: bytes) -> Any:
        return self._session.get_key(object_class=ObjectClass.PRIVATE_KEY, id=identifier)

    def _point(self, identifier: bytes) -> bytes:
        key = self._session.get_key(object_class=ObjectClass.PUBLIC_KEY, id=identifier)
        point = bytes(key[Attribute.EC_POINT])
        # DER OCTET STRING by the standard; some modules give the point as it is.
        return secp256k1.compress(point if len(point) == 65 else bytes(OctetString.load(point).native))


def _checked(raw: bytes, index: int, digest: bytes, public_key: bytes) -> bytes:
    try:
        der = secp256k1.low_s(raw)
        secp256k1.verify(public_key, digest, der)
    except secp256k1.BadSignature as error:
        raise Refused("SIGNER_BAD_SIGNATURE", f"key {index} is not the pinned one: {error}") from None
    return der


def _identifier(index: int) -> bytes:
    return index.to_bytes(2, "big")


def _said(anchor: Any) -> bytes:
    return str(anchor[Attribute.LABEL]).encode()


def _number(value: bytes) -> int:
    """The number of an anchor's line; -1 for one that was being written when the machine stopped."""
    try:
        number = canonical.decode_object(value)["n"]
    except (canonical.NotCanonical, KeyError):
        return -1
    return number if isinstance(number, int) else -1
