"""Whom officers have suspended at the signers on this page, by its own log: told where somebody is left out.

A reopened signer goes on not hearing whom its order names, and nobody else: that list comes from the console.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from kernel import canonical, encodings
from kernel.approval import Statement, Verb

_OFFICER: Final = "officer:"
_AGREEING: Final = {"signer.freeze": Verb.APPROVE, "signer.release": Verb.RELEASE}


@dataclass(slots=True)
class Suspended:
    """Who ordered it, and who signed since that the officer may count again, each with the moment in ms."""

    by: dict[str, int] = field(default_factory=dict)
    released_by: dict[str, int] = field(default_factory=dict)


def officer_in(payload: str, said: Statement) -> str:
    """Whose suspension, or its end, was signed: the officer's id, or "" where it is about something else.

    The payload is what this statement names, or ValueError: no name comes from bytes that nobody signed.
    """
    data = encodings.from_base64url(payload)
    if canonical.digest(data) != said.digest:
        raise ValueError("the payload is not what was signed")
    wallet = canonical.decode_object(data).get("wallet") if _AGREEING.get(said.kind) is said.verb else ""
    return wallet.removeprefix(_OFFICER) if isinstance(wallet, str) and wallet.startswith(_OFFICER) else ""


class Suspensions:
    """By the suspended officer's id. Keys that the registry did not know do not count."""

    def __init__(self) -> None:
        self._found: dict[str, Suspended] = {}

    def take(self, members: Mapping[str, canonical.Value]) -> None:
        """Take a line of the log in."""
        signer, about = str(members.get("officer", "")), str(members.get("about", ""))
        if not signer or not about:
            return
        at_ms = int(str(members["at_ms"]))
        if members["kind"] == "signer.freeze":
            self._found.setdefault(about, Suspended()).by[signer] = at_ms
            self._found[about].released_by.clear()
        elif about in self._found:
            self._found[about].released_by[signer] = at_ms

    def all(self) -> Mapping[str, Suspended]:
        """Everybody who was ever suspended here, also whom others let count again since."""
        return self._found
