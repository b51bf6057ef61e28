"""Refills of the hot wallet."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from custody.domain import refills
from custody.domain.refills import State
from custody.models.moves import Move, sound
from custody.models.moving import choices, known
from custody.models.wallets import Wallet


class Refill(Move):
    """Coins from cold to hot."""

    STATES = State
    NEXT = refills.NEXT

    source = models.ForeignKey(Wallet, models.PROTECT, related_name="refills_out")
    target = models.ForeignKey(Wallet, models.PROTECT, related_name="refills_in")
    request = models.OneToOneField(
        "approvals.ApprovalRequest", models.PROTECT, null=True, blank=True, related_name="refill"
    )
    state = models.CharField(max_length=12, default=State.PROPOSED, choices=choices(State))

    class Meta:
        db_table = "custody_refill"
        constraints = [
            known(State, "refill_state"),
            models.UniqueConstraint(
                fields=["target"],
                condition=Q(state__in=sorted(str(state) for state in refills.ALONE)),
                name="refill_one_live",
            ),
            *sound("refill"),
        ]
