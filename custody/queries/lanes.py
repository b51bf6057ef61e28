"""The unattended lane as its screen shows it: the registry's limits, and what each signer says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.access import rights
from core.access.models import Identity
from custody.models import Lane, Reconciliation, SignerHealth
from custody.permissions import Permission
from custody.queries.reconciliations import is_stale, reconciliations
from kernel.intent import time
from kernel.money import Amount


@dataclass(frozen=True, slots=True)
class LaneSaid:
    """One signer's own count: what it let through in its window, out of its share of the limit.

    `outstanding` is the part of it that the signer has not seen final; `waiting` and `oldest_at` are what its
    journal says of that.
    """

    token: str
    used: Amount
    share: Amount
    outstanding: Amount
    waiting: int
    oldest_at: datetime | None
    known: int
    attested_at: datetime | None
    is_frozen: bool
    is_broken: bool

    @property
    def used_bps(self) -> int:
        """How much of its share is used."""
        return self.used.units * 10_000 // self.share.units if self.share.units else 0


@dataclass(frozen=True, slots=True)
class LaneStanding:
    """One lane: the registry's section, the last comparison with the books, and each signer's count."""

    lane: Lane
    reconciliation: Reconciliation | None
    is_stale: bool
    signers: tuple[LaneSaid, ...]

    @property
    def is_shut(self) -> bool:
        """Whether no fresh comparison agreed, so that signers take nothing, or soon will."""
        return self.reconciliation is None or not self.reconciliation.agrees or self.is_stale

    @property
    def used(self) -> Amount:
        """The most that left within the window: each payment was counted by `threshold` signers at least."""
        counted = sum(one.used.units for one in self.signers)
        return Amount(-(-counted // self.lane.wallet.threshold), self.lane.wallet.asset)


def lanes_for(*, identity: Identity | None, now: datetime) -> list[LaneStanding]:
    """Every lane, for an officer who may see the signers; none for everybody else."""
    if not rights.allowed(identity, Permission.SEE_SIGNERS, now):
        return []
    known = SignerHealth.objects.in_bulk()
    return [
        LaneStanding(
            lane=lane,
            reconciliation=row,
            is_stale=row is not None and is_stale(lane, row, now=now),
            signers=tuple(
                _said(known[token], lane)
                for token in lane.wallet.tokens
                if token in known and lane.wallet.name in known[token].lanes
            ),
        )
        for lane, row in reconciliations()
    ]


def _said(health: SignerHealth, lane: Lane) -> LaneSaid:
    name, asset = lane.wallet.name, lane.wallet.asset
    said: Mapping[str, Any] = health.lanes[name]
    waits = [one for one in health.outstanding.values() if one["wallet"] == name]
    attested = str(said.get("attested", ""))
    return LaneSaid(
        token=health.token,
        used=Amount(int(said.get("used", 0)), asset),
        share=Amount(int(said.get("share", 0)), asset),
        outstanding=Amount(int(said.get("outstanding", 0)), asset),
        waiting=len(waits),
        oldest_at=min((datetime.fromisoformat(one["at"]) for one in waits), default=None),
        known=int(said.get("known", 0)),
        attested_at=time(attested) if attested else None,
        is_frozen=not health.frozen.keys().isdisjoint({"*", name, f"{name}/lane"}),
        is_broken=bool(said.get("broken")),
    )
