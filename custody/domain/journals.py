"""What a signer's journal tells: registries announced to it or vetoed, what it knows of customers, and what
its lane signed that nobody has called final.

The lines are those that the signer shows its witnesses. Orders reach signers past us as well, so what we sent
says little; and what it once learnt it can lose. Nothing here is trusted with coins: it is what screens show,
and what saves asking in vain.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from kernel import canonical
from kernel.customer import BENEFICIARY, CUSTOMER_KEY, REMOVAL

FIRST: Final = "0" * 64

_DESTINATIONS: Final = {"beneficiary": BENEFICIARY, "beneficiary_removed": REMOVAL}

Known = tuple[str, str, str]
"""A customer's id, the kind of what was said, and the key or destination that it was about."""


class BadJournal(ValueError):
    """The lines do not follow the ones that were read before: the journal was put back, or put aside."""


@dataclass
class Read:
    """A journal as far as it was read: so many lines, the hash of the last, and what follows from them.

    `announced` and `vetoed` go by a registry's digest, `outstanding` by a transaction's id. `known` is
    complete only where the reading began at the first line.
    """

    lines: int = 0
    last: str = FIRST
    announced: dict[str, dict[str, Any]] = field(default_factory=dict)
    vetoed: dict[str, dict[str, Any]] = field(default_factory=dict)
    outstanding: dict[str, dict[str, Any]] = field(default_factory=dict)
    known: set[Known] = field(default_factory=set)

    def take(self, text: str) -> None:
        """Take in the next line; BadJournal."""
        body = text.encode()
        try:
            line = canonical.decode_object(body)
            number, before, event, at_ms = (line[name] for name in ("n", "prev", "event", "at"))
            details: Any = line["details"]
            if (number, before) != (self.lines, self.last):
                raise BadJournal(f"line {number} does not follow line {self.lines - 1}")
            self._follow(str(event), details, datetime.fromtimestamp(int(str(at_ms)) / 1000, UTC))
        except (canonical.NotCanonical, KeyError, TypeError) as error:
            raise BadJournal(f"line {self.lines} is none: {error}") from error
        self.lines, self.last = self.lines + 1, hashlib.sha256(body).hexdigest()

    def _follow(self, event: str, details: Mapping[str, Any], at: datetime) -> None:
        who = str(details.get("customer", ""))
        if event == "announced":
            self.announced[details["digest"]] = {
                "version": int(details["version"]),
                "from": (at + timedelta(seconds=int(details["delay_s"]))).isoformat(),
                "is_recovery": bool(details["recovery"]),
                **_said(details, at),
            }
        elif event == "vetoed":
            self.vetoed[details["digest"]] = _said(details, at)
        elif event == "registry":
            self.announced.clear()
        elif event == "spend" and details["unattended"]:
            self.outstanding[details["txid"]] = {
                **{name: details[name] for name in ("wallet", "coins", "units")},
                "at": at.isoformat(),
            }
        elif event == "final":
            for txid, one in list(self.outstanding.items()):
                if not details["spent"].keys().isdisjoint(one["coins"]):
                    del self.outstanding[txid]
        elif event == "reopened":
            self.outstanding.clear()
            if details["new_log"]:
                self.announced.clear()
        elif event == "customer_key":
            self.known = {one for one in self.known if one[0] != who}
            self.known.add((who, CUSTOMER_KEY, details["public_key"]))
        elif event in _DESTINATIONS:
            self.known.add((who, _DESTINATIONS[event], details["destination"]))


def _said(details: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    """Who ordered it, why, and when the signer obeyed."""
    return {"maker": str(details["maker"]), "reason": str(details["reason"]), "at": at.isoformat()}
