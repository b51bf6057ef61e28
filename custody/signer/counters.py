"""What a signer remembers in order to refuse: spends, windows, freezes, all rebuilt from its journal.

Two rules stop double payment and slow draining:

* An intent is signed again only if the new transaction shares a coin with *every* version signed before, so
  that at most one of them can ever confirm.
* What leaves a wallet within the rolling window stays below this signer's share, limit x m / n. With full
  shares, rotating quorums of m out of n signers could together sign n / m times the limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from custody.signer.checks import Plan
from custody.signer.journal import Entry, Journal
from custody.signer.refusals import Refused
from kernel import canonical
from kernel.registry import Limits

CLOCK_SLACK_MS: Final = 2_000  # a clock being steered by NTP may step back this much
EVERYTHING: Final = "*"


@dataclass(slots=True)
class Memory:
    """The state after every entry of the journal."""

    spends: list[tuple[int, str, int]] = field(default_factory=list)  # moment, wallet, units
    versions: dict[str, list[frozenset[str]]] = field(default_factory=dict)  # intent -> coins of each version
    signed: set[str] = field(default_factory=set)  # transaction ids
    frozen: dict[str, str] = field(default_factory=dict)  # wallet or * -> reason
    orders: set[str] = field(default_factory=set)  # names of orders obeyed
    reopened: datetime | None = None

    @classmethod
    def of(cls, journal: Journal) -> Memory:
        """The memory that a journal leads to."""
        memory = cls()
        for entry in journal.entries:
            memory.add(entry)
        return memory

    def add(self, entry: Entry) -> None:
        """Take one more entry in."""
        details = entry.details
        if entry.event == "spend":
            coins = frozenset(_texts(details["coins"]))
            for intent in _texts(details["intents"]):
                self.versions.setdefault(intent, []).append(coins)
            self.signed.add(str(details["txid"]))
            self.spends.append((entry.at_ms, str(details["wallet"]), int(str(details["units"]))))
        elif entry.event == "frozen":
            self.frozen[str(details["wallet"])] = str(details["reason"])
        elif entry.event == "released":
            self.frozen.pop(str(details["wallet"]), None)
        if "order" in details:
            self.orders.add(str(details["order"]))
        if entry.event == "reopened":
            self.reopened = datetime.fromtimestamp(entry.at_ms / 1000, UTC)

    def used(self, wallet: str, *, limits: Limits, now_ms: int) -> int:
        """Units that left the wallet within the window, by this signer's signatures."""
        start = now_ms - limits.window_s * 1000
        return sum(units for at_ms, name, units in self.spends if name == wallet and at_ms > start)

    def check_frozen(self, wallet: str) -> None:
        """Refuse where the wallet, or everything, is frozen."""
        for name in (EVERYTHING, wallet):
            if name in self.frozen:
                raise Refused("SIGNER_FROZEN", f"frozen: {self.frozen[name][:200]}")

    def check_order(self, name: str) -> None:
        """Refuse an order that was obeyed before: a release must not end the next freeze too."""
        if name in self.orders:
            raise Refused("SIGNER_ORDER_USED", "the order was obeyed before")

    def check_clock(self, journal: Journal, *, now_ms: int) -> None:
        """Refuse where the clock went back: windows and expiries would be worth nothing."""
        if now_ms < journal.last_ms - CLOCK_SLACK_MS:
            raise Refused(
                "SIGNER_CLOCK_BACK", f"the clock is {journal.last_ms - now_ms} ms behind the journal"
            )

    def check(self, plan: Plan, *, limits: Limits, now_ms: int) -> Mapping[str, canonical.Value] | None:
        """The journal entry that this spend needs, or None where the same transaction was signed before."""
        if plan.txid in self.signed:
            return None
        for intent in plan.payments:
            for coins in self.versions.get(intent, ()):
                if coins.isdisjoint(plan.coins):
                    raise Refused("SIGNER_REPLAY", f"{intent} was signed before, over other coins")
        new = sum(units for intent, units in plan.payments.items() if intent not in self.versions)
        units, wallet = new + plan.fee, plan.wallet
        share = limits.window_units_max[wallet.name] * wallet.threshold // len(wallet.tokens)
        used = self.used(wallet.name, limits=limits, now_ms=now_ms)
        if used + units > share:
            raise Refused(
                "SIGNER_WINDOW_FULL",
                f"{used} of {share} units were used in {limits.window_s} s, {units} asked",
            )
        return {
            "wallet": wallet.name,
            "txid": plan.txid,
            "units": str(units),
            "coins": sorted(plan.coins),
            "intents": sorted(plan.payments),
        }


def _texts(value: canonical.Value) -> list[str]:
    if not isinstance(value, list):
        raise ValueError("a list was expected")
    return [str(item) for item in value]
