"""Looking for what was booked on the chain itself: each deposit and each payment, by the node alone."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from custody import queries
from custody.adapters.bitcoin import BitcoinNode
from custody.daemons.shown import Shown
from custody.domain import deposits
from custody.domain.booked import Booked, Deposit, breaks
from kernel.registry import Registry

AT_ONCE: Final = 2_000
"""New ones in one look; a node answers so many within seconds."""
BACK: Final = timedelta(hours=1)
"""A look begins so long before the last: what was booked then may have been stored late."""


class MoreToSee(Exception):
    """More was booked than one look takes; the next goes on."""


class Looking:
    """One node, the scripts of one registry, and what was shown before."""

    def __init__(self, *, node: BitcoinNode, registry: Registry, shown: Shown) -> None:
        self._node, self._shown = node, shown
        self._scripts = {script for wallet in registry.wallets.values() for script in wallet.indexes}
        self._depth = deposits.depth_needed(registry.network)
        self._since: datetime | None = None

    def booked(self) -> Booked:
        """What the database says, in the transaction that is open."""
        return queries.booked(
            since=self._since,
            has_deposit=self._shown.has_deposit,
            has_payment=self._shown.has_payment,
            most=AT_ONCE,
        )

    def breaks(self, booked: Booked, *, now: datetime) -> list[str]:
        """Where the books say another thing than the chain shows; MoreToSee.

        For what the chain does not have nobody waits, however much is said. After a difference the next look
        begins at the beginning, so what was only overlooked is found.
        """
        shown = self._shown
        before = shown.deposits + shown.payments
        taken = []
        for deposit in booked.arrived:
            if not deposit.is_theirs:
                taken.append(deposit.coin)
            elif self._arrived(deposit):
                self._shown.add_deposit(deposit.coin)
        for txid in booked.left:
            self._look_for_payment(txid)
        if booked.more and shown.deposits + shown.payments > before:
            raise MoreToSee(
                f"{len(booked.arrived) + len(booked.left)} bookings were looked for, and more wait"
            )
        found = [f"The deposit {coin} has no entry that credits whose address it came to." for coin in taken]
        found += breaks(booked, deposits=shown.deposits, payments=shown.payments, fees=shown.fees)
        self._since = None if found else now - BACK
        return found

    def _arrived(self, one: Deposit) -> bool:
        """Whether the chain has that output, deep enough, of so many units, to that address, one of ours."""
        made = self._node.transaction(one.txid)
        script = bytes.fromhex(one.script)
        return (
            made is not None
            and made.confirmations >= self._depth
            and script in self._scripts
            and any(
                out.index == one.vout and out.amount.units == one.units and out.script == script
                for out in made.outputs
            )
        )

    def _look_for_payment(self, txid: str) -> None:
        """Add it with its fee, if the chain has it, deep enough, and every coin that it spends was ours."""
        made = self._node.transaction(txid)
        if made is None or made.confirmations < self._depth or not made.spends:
            return
        total = 0
        for spent in made.spends:
            source = self._node.transaction(spent.txid)
            coin = next((out for out in source.outputs if out.index == spent.index), None) if source else None
            if coin is None or coin.script not in self._scripts:
                return
            total += coin.amount.units
        first = f"{made.spends[0].txid}:{made.spends[0].index}"
        fee = total - sum(out.amount.units for out in made.outputs)
        self._shown.add_payment(first, txid, fee)
