"""Looking for what was booked on the chain itself: each deposit and each payment, by the node alone."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final, TypeGuard

from custody import queries
from custody.adapters.bitcoin import BitcoinNode
from custody.adapters.bitcoin_answers import Transaction
from custody.daemons.shown import Round, Shown
from custody.domain import deposits
from custody.domain.booked import Booked, Deposit, Place, breaks
from kernel.registry import Registry

AT_ONCE: Final = 2_000
"""New ones in one look; a node answers so many within seconds."""
PIECE: Final = 50_000
"""Rows of a round through all bookings, in one look."""
FOR_S: Final = 10.0
"""So long a look goes on with the first round; the next one takes it up."""
BACK: Final = timedelta(hours=1)
"""A look begins so long before the last: what was booked then may have been stored late."""

NEVER: Final = datetime(9999, 1, 1, tzinfo=UTC)


class MoreToSee(Exception):
    """More was booked than one look takes; the next goes on."""


class Looking:
    """One node, the scripts of one registry, and what was shown before."""

    def __init__(self, *, node: BitcoinNode, registry: Registry, shown: Shown) -> None:
        self._node, self._shown = node, shown
        self._scripts = {script for wallet in registry.wallets.values() for script in wallet.indexes}
        self._depth = deposits.depth_needed(registry.network)

    def go_round(self, *, now: datetime) -> None:
        """Look for a piece of all that was ever booked, whenever that was; MoreToSee before all was once.

        What was stored late, and what the chain had not then, is found so; what is known costs no question.
        """
        until = time.monotonic() + FOR_S
        while True:
            one = self._shown.round() or Round(now - BACK)
            piece = queries.bookings_after(
                one.place,
                has_deposit=self._shown.has_deposit,
                has_payment=self._shown.has_payment,
                most=PIECE if one.number else AT_ONCE,
            )
            self._look_for(piece.arrived, piece.left)
            if piece.place is None:
                self._shown.keep(replace(one, place=Place(), rows=0, number=one.number + 1))
                return
            one = replace(one, place=piece.place, rows=one.rows + piece.rows)
            self._shown.keep(one)
            if one.number:
                return
            if time.monotonic() >= until:
                raise MoreToSee(f"{one.rows} bookings were looked for, and more wait")

    def booked(self) -> Booked:
        """What the database says, in the transaction that is open."""
        one = self._shown.round()
        return queries.booked(
            since=one.since if one else NEVER,
            has_deposit=self._shown.has_deposit,
            has_payment=self._shown.has_payment,
            most=AT_ONCE,
        )

    def breaks(self, booked: Booked, *, now: datetime) -> list[str]:
        """Where the books say another thing than the chain shows; MoreToSee.

        For what the chain does not have nobody waits, however much is said. After a difference the next look
        begins where this one did, and what was only overlooked the round finds.
        """
        shown = self._shown
        before = shown.deposits + shown.payments
        self._look_for(booked.arrived, booked.left)
        if booked.more and shown.deposits + shown.payments > before:
            raise MoreToSee(
                f"{len(booked.arrived) + len(booked.left)} bookings were looked for, and more wait"
            )
        found = [
            f"The deposit {one.coin} has no entry that credits whose address it came to."
            for one in booked.arrived
            if not one.is_theirs
        ]
        found += breaks(booked, deposits=shown.deposits, payments=shown.payments, fees=shown.fees)
        one = shown.round()
        if one is not None and one.number and not found:
            shown.keep(replace(one, since=now - BACK))
        return found

    def _look_for(self, arrived: Iterable[Deposit], left: Iterable[str]) -> None:
        """Remember those that the chain has."""
        theirs, paid = [one for one in arrived if one.is_theirs], list(left)
        found = self._node.transactions([*(one.txid for one in theirs), *paid])
        payments = [made for txid in paid if self._is_deep(made := found[txid]) and made.spends]
        sources = self._node.transactions([spent.txid for made in payments for spent in made.spends])
        with self._shown.together():
            for deposit in theirs:
                if self._arrived(deposit, found[deposit.txid]):
                    self._shown.add_deposit(deposit.coin)
            for made in payments:
                self._add_payment(made, sources)

    def _is_deep(self, made: Transaction | None) -> TypeGuard[Transaction]:
        return made is not None and made.confirmations >= self._depth

    def _arrived(self, one: Deposit, made: Transaction | None) -> bool:
        """Whether the chain has that output, deep enough, of so many units, to that address, one of ours."""
        script = bytes.fromhex(one.script)
        return (
            self._is_deep(made)
            and script in self._scripts
            and any(
                out.index == one.vout and out.amount.units == one.units and out.script == script
                for out in made.outputs
            )
        )

    def _add_payment(self, made: Transaction, sources: Mapping[str, Transaction | None]) -> None:
        """With its fee, if every coin that it spends was ours."""
        total = 0
        for spent in made.spends:
            source = sources[spent.txid]
            coin = next((out for out in source.outputs if out.index == spent.index), None) if source else None
            if coin is None or coin.script not in self._scripts:
                return
            total += coin.amount.units
        first = f"{made.spends[0].txid}:{made.spends[0].index}"
        fee = total - sum(out.amount.units for out in made.outputs)
        self._shown.add_payment(first, made.txid, fee)
