"""What a signer remembers in order to refuse: spends, windows, freezes, all rebuilt from its journal.

Two rules stop double payment and slow draining:

* An intent is signed again only if the new transaction shares a coin with *every* version signed before, so
  that at most one of them can ever confirm, and only if it pays the same: what was counted stays true. A
  Safe's coin is its nonce: of all that was signed for one, the contract does at most one thing.
* What leaves a wallet, and what reaches one destination, within the rolling window stays below this signer's
  share, limit x m / n. With full shares, rotating quorums of m of n signers could together sign n / m times
  the limit. What the unattended lane pays has counters of its own.

And it remembers the sign counts of officers' passkeys: a copied authenticator counts on from where it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from custody.signer.approvals import Sighting
from custody.signer.checks import Plan
from custody.signer.holds import Holds
from custody.signer.journal import Journal
from custody.signer.lanes import Lanes
from custody.signer.outstanding import Outstanding, Spent
from custody.signer.refusals import Refused
from kernel import canonical, members
from kernel.checkpoint import Draft, paid_by
from kernel.entry import Entry
from kernel.forgotten import Forgotten
from kernel.lane import Lane
from kernel.pinned import Limits
from kernel.registration import digest_of
from kernel.registry import Registry
from kernel.series import Series

CLOCK_SLACK_MS: Final = 2_000  # a clock being steered by NTP may step back this much
_Most = tuple[int, int | None, int]  # within so many seconds: to one destination, and in all
LISTENS_MS: Final = 600_000  # forty times over, the worker brings a veto that is on its way


@dataclass(slots=True)
class Memory:
    """The state after every entry of the journal."""

    # wallet, whether unattended, destination ("": all) -> what left
    left: dict[tuple[str, bool, str], Series] = field(default_factory=dict)
    outstanding: Outstanding = field(default_factory=Outstanding)  # of the lane, and in no window yet
    versions: dict[str, list[frozenset[str]]] = field(default_factory=dict)  # intent -> coins of each version
    payments: dict[str, tuple[str, int]] = field(default_factory=dict)  # intent -> destination and units
    counts: dict[str, dict[int, str]] = field(default_factory=dict)  # passkey: count: act
    highest: dict[str, Series] = field(default_factory=dict)  # passkey: counts
    lanes: Lanes = field(default_factory=Lanes)
    signed: set[str] = field(default_factory=set)  # transaction ids
    holds: Holds = field(default_factory=Holds)
    # digest -> version, good from, how long to listen, digest of the passkeys that officers read in the order
    announced: dict[str, tuple[int, int, int, str]] = field(default_factory=dict)
    recoveries: set[str] = field(default_factory=set)  # digests announced by recovery officers
    vetoed: set[str] = field(default_factory=set)  # registry digests
    orders: set[str] = field(default_factory=set)  # names of orders obeyed
    reopened: datetime | None = None
    forgotten: Forgotten = field(default_factory=Forgotten)
    cosigned: int = 0  # the largest head of the log that witnesses were seen to have cosigned
    forked: bool = False

    @classmethod
    def of(cls, journal: Journal | Draft) -> Memory:
        """The memory that a journal leads to."""
        memory = cls(forgotten=journal.forgotten)
        for passkey, count in journal.forgotten.largest.items():  # whoever comes with less comes too late
            memory.counts[passkey] = {count: ""}
            memory.highest.setdefault(passkey, Series(max)).add(0, count)
        for entry in journal.weighty:
            memory.add(entry)
        return memory

    def add(self, entry: Entry) -> None:
        """Take one more entry in."""
        details = entry.details
        if entry.event == "spend":
            txid, coins = str(details["txid"]), frozenset(members.all_texts(details["coins"]))
            intents = members.an_object(details["intents"])
            for intent, payment in intents.items():
                destination, units = members.all_texts(payment)
                self.payments[intent] = destination, int(units)
            for known in paid_by(entry):
                self.versions.setdefault(known, []).append(coins)
            self.signed.add(txid)
            wallet, all_units = str(details["wallet"]), int(str(details["units"]))
            paid = {to: int(str(one)) for to, one in members.an_object(details["paid"]).items()}
            named, unattended = frozenset(intents), bool(details["unattended"])
            spent = Spent(entry.at_ms, wallet, all_units, paid, coins, named, unattended)
            if spent.unattended:
                self.outstanding.spends[txid] = spent
            else:
                self._leave(spent)
        elif entry.event == "final":
            for spent in self.outstanding.settle(members.an_object(details["spent"]), at_ms=entry.at_ms):
                self._leave(spent)
        elif entry.event == "registry":
            self.announced.clear()  # by officers who may not be officers any more
        elif entry.event == "announced":
            delay_ms = int(str(details["delay_s"])) * 1000
            self.announced[str(details["digest"])] = (
                int(str(details["version"])),
                entry.at_ms + delay_ms,
                min(delay_ms, LISTENS_MS),
                str(details.get("keys", "")),
            )
            (self.recoveries.add if details["recovery"] else self.recoveries.discard)(str(details["digest"]))
        elif entry.event == "vetoed":
            self.vetoed.add(str(details["digest"]))
        if "order" in details:
            self.orders.add(str(details["order"]))
        for passkey, seen in members.an_object(details.get("counts", {})).items():
            for name, count in members.an_object(seen).items():
                self.counts.setdefault(passkey, {})[int(str(count))] = name
                self.highest.setdefault(passkey, Series(max)).add(entry.at_ms, int(str(count)))
        self.lanes.add(entry)
        self.holds.add(entry)
        if entry.event == "cosigned":
            self.cosigned = int(str(details["size"]))
        elif entry.event == "forked":
            self.forked = True
        elif entry.event == "reopened":
            self.reopened = datetime.fromtimestamp(entry.at_ms / 1000, UTC)
            self.outstanding = Outstanding()  # officers' word, as for what a lost memory forgot
            if details["new_log"]:
                self.announced.clear()  # of these a veto may be lost
                self.cosigned, self.forked = 0, False

    def _leave(self, spent: Spent) -> None:
        for to, units in {"": spent.units, **spent.paid}.items():
            self.left.setdefault((spent.wallet, spent.unattended, to), Series()).add(spent.at_ms, units)

    def used(
        self, wallet: str, *, window_s: int, now_ms: int, unattended: bool = False, destination: str = ""
    ) -> int:
        """Units that left the wallet within the window, or still may, by us: all, or to one destination."""
        left = self.left.get((wallet, unattended, destination), Series()).since(now_ms - window_s * 1000)
        still = self.outstanding.of(wallet) if unattended else ()
        return left + sum(one.paid.get(destination, 0) if destination else one.units for one in still)

    def check_forked(self) -> None:
        """Refuse once a head was shown that this journal does not lead to."""
        if self.forked:
            raise Refused("SIGNER_LOG_FORKED", "witnesses saw another journal than this one: it was put back")

    def check_order(self, name: str) -> None:
        """Refuse an order that was obeyed before: a release must not end the next freeze too."""
        if name in self.orders:
            raise Refused("SIGNER_ORDER_USED", "the order was obeyed before")

    def check_reopened(self, expires: datetime, *, life: timedelta) -> None:
        """Refuse what may have been approved before the memory was lost: nobody here knows if it was used."""
        if self.reopened is not None and expires <= self.reopened + life:
            raise Refused("SIGNER_INTENT_BEFORE_REOPENING", "it may have been approved before the reopening")

    def may_follow(self, new: Registry, old: Registry, now_ms: int, listened_ms: int) -> bool:
        """Whether officers announced this registry, the delay is over, and none of them stopped it.

        Others may have been told of a veto while this signer was down: it is told as well while it listens.
        The order said whose passkeys the file has; one with others in it is not what they read.
        """
        digest = new.digest.hex()
        version, from_ms, listens_ms, keys = self.announced.get(digest, (0, 0, 0, ""))
        is_successor = version == new.version > old.version and digest not in self.vetoed
        is_over = now_ms >= from_ms and listened_ms >= listens_ms
        return is_successor and keys == digest_of(new.keys) and is_over

    def check_counts(self, sightings: Sequence[Sighting]) -> dict[str, canonical.Value]:
        """The part of a journal entry that remembers passkeys' sign counts; Refused where one did not grow.

        Approvals reach a signer in another order than they were given, so a count must exceed what was seen
        before its own request can have been made, and no count may stand under two different acts. A
        passkey that syncs between devices always says zero; one that ever counted may not.
        """
        new: dict[str, canonical.Value] = {}
        for one in sightings:  # of an officer each, so of a passkey each
            seen = self.counts.get(one.passkey, {})
            if one.count == 0:
                if any(seen):
                    raise Refused("SIGNER_COUNTER", f"{one.passkey} counted before, and not now")
            elif one.count in seen:
                if seen[one.count] != one.name:
                    raise Refused("SIGNER_COUNTER", f"{one.passkey} said one count twice: a copy?")
                continue
            else:
                since_ms = int(one.since.timestamp() * 1000)
                if self.highest.get(one.passkey, Series(max)).upto(since_ms - 1) >= one.count:
                    raise Refused("SIGNER_COUNTER", f"{one.passkey} did not count on: a copy?")
            new[one.passkey] = {one.name: one.count}
        return {"counts": new}

    def check_clock(self, journal: Journal, *, now_ms: int) -> None:
        """Refuse where the clock went back: windows and expiries would be worth nothing."""
        if now_ms < journal.last_ms - CLOCK_SLACK_MS:
            raise Refused("SIGNER_CLOCK_BACK", f"{journal.last_ms - now_ms} ms behind the journal")

    def check(self, plan: Plan, *, limits: Limits, now_ms: int) -> Mapping[str, canonical.Value] | None:
        """The journal entry that this spend needs, or None where the same transaction was signed before."""
        counts = self.check_counts(plan.sightings)
        if plan.txid in self.signed:
            return None
        to, units = plan.payment
        for known in (plan.intent, plan.slot):
            if known in self.forgotten:
                raise Refused("SIGNER_REPLAY", f"{known} was signed before, too long ago to be signed again")
            if any(coins.isdisjoint(plan.coins) for coins in self.versions.get(known, ())):
                raise Refused("SIGNER_REPLAY", f"{known} was signed before, over other coins or nonce")
        if self.payments.get(plan.intent, plan.payment) != plan.payment:
            raise Refused("SIGNER_INTENT_CHANGED", f"{plan.intent} was signed before, and paid otherwise")
        name, paid = plan.account, self._new_payments(plan)
        if plan.lane is None:
            each_max = limits.payment_units_max.get(name)
            if plan.leaves and each_max is not None and units > each_max:
                raise Refused("SIGNER_PAYMENT_ABOVE_LIMIT", f"{plan.intent} pays {units}, {each_max} at most")
            most = (limits.window_s, limits.destination_units_max.get(name), limits.window_units_max[name])
        else:
            self._check_lane(plan, plan.lane, now_ms=now_ms)
            most = (plan.lane.window_s, plan.lane.destination_units_max, plan.lane.window_units_max)
        self._check_window(plan, paid, most, now_ms=now_ms)
        return {
            "wallet": plan.account,
            "txid": plan.txid,
            "units": str(sum(paid.values()) + plan.fee),
            "paid": {destination: str(units) for destination, units in paid.items()},
            "coins": sorted(plan.coins),
            "intents": {plan.intent: [to, str(units)]},
            "slot": plan.slot,
            "unattended": plan.lane is not None,
            **counts,
        }

    def _new_payments(self, plan: Plan) -> dict[str, int]:
        """Units per destination, without the intents that an earlier version of the transaction counted."""
        counted = self.versions if plan.lane is None else self.outstanding.counted()
        return dict([plan.payment]) if plan.leaves and plan.intent not in counted else {}

    def _check_lane(self, plan: Plan, lane: Lane, *, now_ms: int) -> None:
        """Nobody approved this: the fee counts like a payment, and a new memory waits for a whole window."""
        reopened_ms = 0 if self.reopened is None else int(self.reopened.timestamp() * 1000)
        if now_ms < reopened_ms + lane.window_s * 1000:
            raise Refused("SIGNER_LANE_REOPENING", "the lane rests for a window after a reopening")
        whole = plan.payment[1] + plan.fee
        if whole > lane.transaction_units_max:
            raise Refused("SIGNER_PAYMENT_ABOVE_LIMIT", f"{whole} units unattended in one transaction")

    def _check_window(self, plan: Plan, paid: Mapping[str, int], most: _Most, *, now_ms: int) -> None:
        (window_s, destination_max, window_max), wallet = most, plan.wallet
        unattended = plan.lane is not None
        if now_ms - window_s * 1000 < self.forgotten.until_ms:
            raise Refused("SIGNER_WINDOW_FULL", "the window reaches back to what was forgotten here")
        used = partial(self.used, plan.account, window_s=window_s, now_ms=now_ms, unattended=unattended)
        for destination, units in paid.items():
            got = used(destination=destination)
            if destination_max is not None and got + units > wallet.share(destination_max):
                raise Refused("SIGNER_DESTINATION_FULL", f"{destination} got {got} units within the window")
        asked, share = sum(paid.values()) + plan.fee, wallet.share(window_max)
        if used() + asked > share:
            raise Refused("SIGNER_WINDOW_FULL", f"{used()} of {share} used in {window_s} s, {asked} asked")
