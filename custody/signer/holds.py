"""What officers hold still in this signer, for how long now and by whose order: rebuilt from the journal."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from custody.signer.journal import Entry
from custody.signer.refusals import Refused
from kernel.members import texts
from kernel.pinned import RELEASE_LIFE

EVERYTHING: Final = "*"
LANE: Final = "/lane"  # hot/lane: what the hot wallet pays unattended
CLOCKS_APART: Final = timedelta(minutes=2)


@dataclass(slots=True)
class Held:
    """Why, since when (the last time), and who ordered it, the first of them first."""

    reason: str
    since: datetime
    by: list[str]


@dataclass(slots=True)
class Holds:
    """Everything that is frozen, by its name: a wallet, its lane, or `*`."""

    held: dict[str, Held] = field(default_factory=dict)

    def add(self, entry: Entry) -> None:
        """Take a line of the journal in."""
        details = entry.details
        if entry.event == "frozen":
            name, at = str(details["wallet"]), datetime.fromtimestamp(entry.at_ms / 1000, UTC)
            before = self.held[name].by if name in self.held else []
            by = texts(details, "by") if "by" in details else [str(details["maker"])]
            more = [one for one in by if one not in before]
            self.held[name] = Held(str(details["reason"]), at, [*before, *more])
        elif entry.event == "released":
            self.held.pop(str(details["wallet"]), None)

    def reasons(self) -> dict[str, str]:
        """What is held, and why."""
        return {name: one.reason for name, one in self.held.items()}

    def concerned(self, name: str) -> list[str]:
        """Those who are not to release it: by whose order it is held."""
        return self.held[name].by if name in self.held else []

    def check(self, wallet: str, *, unattended: bool = False) -> None:
        """Refuse where the wallet, its lane, or everything, is frozen."""
        for name in (EVERYTHING, wallet, *([wallet + LANE] if unattended else [])):
            if name in self.held:
                raise Refused("SIGNER_FROZEN", f"frozen: {self.held[name].reason[:200]}")

    def check_release(self, name: str, expires: datetime) -> None:
        """Refuse a release that officers may have signed before the freeze: it was about another one.

        One that never reached this signer could else be kept, and end whatever freeze comes next.
        """
        if name in self.held and expires < self.held[name].since + RELEASE_LIFE - CLOCKS_APART:
            raise Refused("SIGNER_ORDER_BEFORE_FREEZE", "the release may have been signed before the freeze")
