"""Sweeps of the hot wallet."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from custody.domain import sweeps
from custody.domain.sweeps import State
from custody.models.moves import Move, sound
from custody.models.moving import choices, known
from custody.models.wallets import Wallet


class Sweep(Move):
    """Coins from hot to cold."""

    STATES = State
    NEXT = sweeps.NEXT

    source = models.ForeignKey(Wallet, models.PROTECT, related_name="sweeps_out")
    target = models.ForeignKey(Wallet, models.PROTECT, related_name="sweeps_in")
    request = models.OneToOneField(
        "approvals.ApprovalRequest", models.PROTECT, null=True, blank=True, related_name="sweep"
    )
    state = models.CharField(max_length=12, default=State.PROPOSED, choices=choices(State))

    class Meta:
        db_table = "custody_sweep"
        constraints = [
            known(State, "sweep_state"),
            models.UniqueConstraint(
                fields=["source"],
                condition=Q(state__in=sorted(str(state) for state in sweeps.ALONE)),
                name="sweep_one_live",
            ),
            *sound("sweep"),
        ]
