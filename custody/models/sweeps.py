"""Sweeps of the hot wallet."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from core.fields import UnitsField
from core.ids import new_id
from custody.domain import sweeps
from custody.domain.sweeps import State
from custody.models.moving import Moving, choices, known
from custody.models.wallets import Wallet
from kernel.money import Amount


class Sweep(Moving):
    """Coins from hot to cold. The system proposes it; a treasury maker turns it into a request."""

    STATES = State
    NEXT = sweeps.NEXT

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    source = models.ForeignKey(Wallet, models.PROTECT, related_name="sweeps_out")
    target = models.ForeignKey(Wallet, models.PROTECT, related_name="sweeps_in")
    asset = models.CharField(max_length=12)
    units = UnitsField()
    fee_cap_units = UnitsField()
    destination = models.CharField(max_length=100)
    state = models.CharField(max_length=12, default=State.PROPOSED, choices=choices(State))
    reason = models.CharField(max_length=500, default="", blank=True)
    proposed_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, blank=True)
    settled_at = models.DateTimeField(null=True, blank=True)
    maker = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+"
    )
    request = models.OneToOneField(
        "approvals.ApprovalRequest", models.PROTECT, null=True, blank=True, related_name="sweep"
    )

    class Meta:
        db_table = "custody_sweep"
        constraints = [
            known(State, "sweep_state"),
            models.UniqueConstraint(
                fields=["source"],
                condition=Q(state__in=sorted(str(state) for state in sweeps.LIVE)),
                name="sweep_one_live",
            ),
            models.CheckConstraint(condition=Q(units__gt=0, fee_cap_units__gt=0), name="sweep_not_empty"),
            models.CheckConstraint(
                condition=Q(state__in=["proposed", "dismissed"])
                | Q(request__isnull=False, maker__isnull=False),
                name="sweep_approved_by_request",
            ),
        ]

    def __str__(self) -> str:
        return f"sweep {self.pk}"

    @property
    def amount(self) -> Amount:
        """What the cold wallet receives."""
        return Amount(self.units, self.asset)

    @property
    def fee_cap(self) -> Amount:
        """What the network may cost us at most."""
        return Amount(self.fee_cap_units, self.asset)
