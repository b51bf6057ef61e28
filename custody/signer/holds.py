"""What officers hold still in this signer, for how long now and by whose order: rebuilt from the journal.

An officer is held like a wallet, by one officer's order: then nothing counts that their passkey signed,
before or after, in whosever hands it is. Whoever holds one back holds back no second one, so that nobody
silences all others alone. A held officer is heard on their own release, so that few are not locked out.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from custody.signer.refusals import Refused
from custody.signer.requests import Signed
from kernel.entry import Entry
from kernel.members import an_object, texts
from kernel.pinned import RELEASE_LIFE

EVERYTHING: Final = "*"
LANE: Final = "/lane"  # hot/lane: what the hot wallet pays unattended
OFFICER: Final = "officer:"  # with an id: nothing that this officer signed counts
CLOCKS_APART: Final = timedelta(minutes=2)


@dataclass(slots=True)
class Held:
    """Why, since when (the last time), and who ordered it, the first of them first."""

    reason: str
    since: datetime
    by: list[str]


@dataclass(slots=True)
class Holds:
    """Everything that is frozen, by its name: a wallet, its lane, an officer, or `*`."""

    held: dict[str, Held] = field(default_factory=dict)

    def add(self, entry: Entry) -> None:
        """Take a line of the journal in."""
        details = entry.details
        if entry.event == "reopened":  # by nobody's order of a freeze: whoever reopened may let go as well
            for officer, why in an_object(details.get("suspended", {})).items():
                self._hold(OFFICER + officer, str(why), [], entry.at_ms)
            if frozen := an_object(details.get("frozen", {})):
                self._hold(str(frozen["wallet"]), str(frozen["reason"]), [], entry.at_ms)
        elif entry.event == "frozen":
            by = texts(details, "by") if "by" in details else [str(details["maker"])]
            self._hold(str(details["wallet"]), str(details["reason"]), by, entry.at_ms)
        elif entry.event == "released":
            self.held.pop(str(details["wallet"]), None)

    def _hold(self, name: str, reason: str, by: list[str], at_ms: int) -> None:
        before = self.held[name].by if name in self.held else []
        more = [one for one in by if one not in before]
        self.held[name] = Held(reason, datetime.fromtimestamp(at_ms / 1000, UTC), [*before, *more])

    def reasons(self) -> dict[str, str]:
        """What is held, and why."""
        return {name: one.reason for name, one in self.held.items()}

    def concerned(self, name: str) -> list[str]:
        """Those who are not to release it: by whose order it is held, and then the officer who is."""
        by = self.held[name].by if name in self.held else []
        return [*by, *([name.removeprefix(OFFICER)] if name.startswith(OFFICER) else [])]

    def check(self, wallet: str, *, unattended: bool = False) -> None:
        """Refuse where the wallet, its lane, or everything, is frozen."""
        for name in (EVERYTHING, wallet, *([wallet + LANE] if unattended else [])):
            if name in self.held:
                raise Refused("SIGNER_FROZEN", f"frozen: {self.held[name].reason[:200]}")

    def check_heard(self, *signed: Signed, but: str = "") -> None:
        """Refuse what an officer signed who is held, `but` this one."""
        for approval in (one for each in signed for one in each.approvals):
            if (name := OFFICER + approval.officer) in self.held and name != but:
                why = f"{approval.officer} is suspended: {self.held[name].reason[:200]}"
                raise Refused("SIGNER_OFFICER_SUSPENDED", why)

    def check_suspends(self, name: str, by: Collection[str]) -> None:
        """Refuse to hold an officer where one of those who order it holds another already."""
        for other, one in self.held.items():
            if other.startswith(OFFICER) and other != name and not set(by).isdisjoint(one.by):
                raise Refused("SIGNER_SUSPENDS_ANOTHER", f"who orders this holds {other} already")

    def check_release(self, name: str, expires: datetime) -> None:
        """Refuse a release that officers may have signed before the freeze: it was about another one.

        One that never reached this signer could else be kept, and end whatever freeze comes next.
        """
        if name in self.held and expires < self.held[name].since + RELEASE_LIFE - CLOCKS_APART:
            raise Refused("SIGNER_ORDER_BEFORE_FREEZE", "the release may have been signed before the freeze")
