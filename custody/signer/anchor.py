"""What a token keeps for the journal, opened by the PIN: its anchor and its MACs' key."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from typing import Any, Final

from pkcs11 import Attribute, ObjectClass

from custody.signer.session import Session, WrongToken
from kernel import canonical

ANCHOR: Final = "countersign-journal"
ANCHORS: Final = 2
MAC_KEY_LABEL: Final = "countersign-journal-key"
MAC_KEY_BYTES: Final = 32


class Anchored(Session):
    """A logged-in token as the journal sees it."""

    _known: bytes | None = None  # a digest of the journal's secret

    def read(self) -> bytes | None:
        """The newest anchor on the token."""
        return self._steadily(lambda: max(map(_told, self._anchors()), default=(0, None))[1])

    def write(self, value: bytes) -> None:
        """Replace the older of two anchors, so that there is always a whole one."""
        self._steadily(lambda: self._replace_anchor(value))

    def secret(self) -> bytes:
        """The key of the journal's MACs: 32 random bytes, made at the first use; the PIN guards it."""
        secret = self._steadily(self._find_secret)
        self._known = hashlib.sha256(secret).digest()
        return secret

    def _find_secret(self) -> bytes:
        found = self._secrets()
        if not found:
            found = [secrets.token_bytes(MAC_KEY_BYTES)]
            self._keep({Attribute.LABEL: MAC_KEY_LABEL, Attribute.VALUE: found[0]})
        return found[0]

    def _secrets(self) -> list[bytes]:
        template = {Attribute.CLASS: ObjectClass.DATA, Attribute.LABEL: MAC_KEY_LABEL}
        return [bytes(item[Attribute.VALUE]) for item in self._session.get_objects(template)]

    def _recognise(self) -> None:
        known = self._known
        if known is not None and known not in (hashlib.sha256(one).digest() for one in self._secrets()):
            raise WrongToken(f"{self.name} is another token than before: it does not know the journal")

    def _keep(self, template: Mapping[Attribute, object]) -> Any:
        """A data object that stays on the token, for whoever has the PIN."""
        common = {Attribute.CLASS: ObjectClass.DATA, Attribute.TOKEN: True, Attribute.PRIVATE: True}
        return self._session.create_object({**common, **template})

    def _replace_anchor(self, value: bytes) -> None:
        """What it says stands in the object's label: the one part of it that every module lets us change.

        To change an object costs a tenth of making one and destroying another, with every transaction.
        """
        turn, slots = self._found.pop(ANCHOR, None) or (0, sorted(self._anchors(), key=_told))
        turn = turn or (_told(slots[-1])[0] + 1 if slots else 1)
        said = f"{turn} {value.decode()}"
        if len(slots) < ANCHORS:
            slots.append(
                self._keep({Attribute.APPLICATION: ANCHOR, Attribute.LABEL: said, Attribute.VALUE: b""})
            )
        else:  # the older first
            slots[0][Attribute.LABEL] = said
            slots.append(slots.pop(0))
        self._found[ANCHOR] = turn + 1, slots

    def _anchors(self) -> Any:
        return self._session.get_objects({Attribute.CLASS: ObjectClass.DATA, Attribute.APPLICATION: ANCHOR})


def _told(anchor: Any) -> tuple[int, bytes]:
    """Its turn, and what it says; -1 for one that was being written when the machine stopped.

    The number of its line would not do: where lines were lost and officers reopened it, they begin again.
    """
    turn, _, said = str(anchor[Attribute.LABEL]).rpartition(" ")
    try:
        number = canonical.decode_object(said.encode())["n"]
        return int(turn or str(number)), said.encode()
    except (ValueError, KeyError):
        return -1, b""
