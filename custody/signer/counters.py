"""What a signer remembers in order to refuse: spends, windows, freezes, all rebuilt from its journal.

Two rules stop double payment and slow draining:

* An intent is signed again only if the new transaction shares a coin with *every* version signed before, so
  that at most one of them can ever confirm.
* What leaves a wallet, and what reaches one destination, within the rolling window stays below this signer's
  share, limit x m / n. With full shares, rotating quorums of m of n signers could together sign n / m times
  the limit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from custody.signer.checks import Plan
from custody.signer.journal import Entry, Journal
from custody.signer.refusals import Refused
from kernel import canonical
from kernel.registry import Limits, Registry, Wallet

CLOCK_SLACK_MS: Final = 2_000  # a clock being steered by NTP may step back this much
EVERYTHING: Final = "*"


@dataclass(frozen=True, slots=True)
class Spent:
    """One transaction that was signed: when, out of which wallet, how much, and how much of it to whom."""

    at_ms: int
    wallet: str
    units: int
    paid: Mapping[str, int]


@dataclass(slots=True)
class Memory:
    """The state after every entry of the journal."""

    spends: list[Spent] = field(default_factory=list)
    versions: dict[str, list[frozenset[str]]] = field(default_factory=dict)  # intent -> coins of each version
    signed: set[str] = field(default_factory=set)  # transaction ids
    frozen: dict[str, str] = field(default_factory=dict)  # wallet or * -> reason
    announced: dict[str, tuple[int, int]] = field(default_factory=dict)  # digest -> version, moment
    vetoed: set[str] = field(default_factory=set)  # registry digests
    orders: set[str] = field(default_factory=set)  # names of orders obeyed
    reopened: datetime | None = None

    @classmethod
    def of(cls, journal: Journal) -> Memory:
        """The memory that a journal leads to."""
        memory = cls()
        for entry in journal.weighty:
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
            paid = details["paid"]
            self.spends.append(
                Spent(
                    entry.at_ms,
                    str(details["wallet"]),
                    int(str(details["units"])),
                    {to: int(str(units)) for to, units in paid.items()} if isinstance(paid, Mapping) else {},
                )
            )
        elif entry.event == "frozen":
            self.frozen[str(details["wallet"])] = str(details["reason"])
        elif entry.event == "released":
            self.frozen.pop(str(details["wallet"]), None)
        elif entry.event == "registry":
            self.announced.clear()  # by officers who may not be officers any more
        elif entry.event == "announced":
            self.announced[str(details["digest"])] = (int(str(details["version"])), entry.at_ms)
        elif entry.event == "vetoed":
            self.vetoed.add(str(details["digest"]))
        if "order" in details:
            self.orders.add(str(details["order"]))
        if entry.event == "reopened":
            self.reopened = datetime.fromtimestamp(entry.at_ms / 1000, UTC)

    def used(self, wallet: str, *, limits: Limits, now_ms: int) -> int:
        """Units that left the wallet within the window, by this signer's signatures."""
        return sum(spent.units for spent in self._recent(wallet, limits, now_ms))

    def reached(self, destination: str, wallet: str, *, limits: Limits, now_ms: int) -> int:
        """Units of the wallet that one destination got within the window."""
        return sum(spent.paid.get(destination, 0) for spent in self._recent(wallet, limits, now_ms))

    def _recent(self, wallet: str, limits: Limits, now_ms: int) -> Iterator[Spent]:
        start = now_ms - limits.window_s * 1000
        return (spent for spent in self.spends if spent.wallet == wallet and spent.at_ms > start)

    def check_frozen(self, wallet: str) -> None:
        """Refuse where the wallet, or everything, is frozen."""
        for name in (EVERYTHING, wallet):
            if name in self.frozen:
                raise Refused("SIGNER_FROZEN", f"frozen: {self.frozen[name][:200]}")

    def check_order(self, name: str) -> None:
        """Refuse an order that was obeyed before: a release must not end the next freeze too."""
        if name in self.orders:
            raise Refused("SIGNER_ORDER_USED", "the order was obeyed before")

    def check_reopened(self, expires: datetime, *, limits: Limits) -> None:
        """Refuse what may have been approved before the memory was lost: nobody here knows if it was used."""
        life = timedelta(seconds=limits.intent_life_s)
        if self.reopened is not None and expires <= self.reopened + life:
            raise Refused("SIGNER_INTENT_BEFORE_REOPENING", "it may have been approved before the reopening")

    def may_follow(self, new: Registry, *, old: Registry, now_ms: int) -> bool:
        """Whether officers announced this registry, the delay is over, and none of them stopped it."""
        digest = new.digest.hex()
        version, at_ms = self.announced.get(digest, (0, 0))
        is_successor = version == new.version > old.version and digest not in self.vetoed
        return is_successor and now_ms >= at_ms + old.limits.registry_delay_s * 1000

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
        paid = self._new_payments(plan)
        self._check_limits(plan, paid, limits=limits, now_ms=now_ms)
        return {
            "wallet": plan.wallet.name,
            "txid": plan.txid,
            "units": str(sum(paid.values()) + plan.fee),
            "paid": {destination: str(units) for destination, units in paid.items()},
            "coins": sorted(plan.coins),
            "intents": sorted(plan.payments),
        }

    def _new_payments(self, plan: Plan) -> dict[str, int]:
        """Units per destination, without the intents that an earlier version of the transaction counted."""
        paid: dict[str, int] = {}
        for intent, (destination, units) in plan.payments.items():
            if intent not in self.versions:
                paid[destination] = paid.get(destination, 0) + units
        return paid

    def _check_limits(self, plan: Plan, paid: Mapping[str, int], *, limits: Limits, now_ms: int) -> None:
        wallet = plan.wallet
        most = limits.payment_units_max.get(wallet.name)
        for intent, (_, units) in plan.payments.items():
            if most is not None and units > most:
                raise Refused("SIGNER_PAYMENT_ABOVE_LIMIT", f"{intent} pays {units} units, {most} at most")
        per_destination = limits.destination_units_max.get(wallet.name)
        for destination, units in paid.items():
            got = self.reached(destination, wallet.name, limits=limits, now_ms=now_ms)
            if per_destination is not None and got + units > _share(per_destination, wallet):
                raise Refused("SIGNER_DESTINATION_FULL", f"{destination} got {got} units within the window")
        asked = sum(paid.values()) + plan.fee
        used = self.used(wallet.name, limits=limits, now_ms=now_ms)
        share = _share(limits.window_units_max[wallet.name], wallet)
        if used + asked > share:
            raise Refused(
                "SIGNER_WINDOW_FULL",
                f"{used} of {share} units were used in {limits.window_s} s, {asked} asked",
            )


def _share(limit: int, wallet: Wallet) -> int:
    return limit * wallet.threshold // len(wallet.tokens)


def _texts(value: canonical.Value) -> list[str]:
    if not isinstance(value, list):
        raise ValueError("a list was expected")
    return [str(item) for item in value]
