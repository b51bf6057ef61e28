"""Refills of the hot wallet."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from core.fields import UnitsField
from core.ids import new_id
from custody.domain import refills
from custody.domain.refills import State
from custody.models.moving import Moving, choices, known
from custody.models.wallets import Wallet
from kernel.money import Amount


class Refill(Moving):
    """Coins from cold to hot. The system proposes it; a treasury maker turns it into a request."""

    STATES = State
    NEXT = refills.NEXT

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    source = models.ForeignKey(Wallet, models.PROTECT, related_name="refills_out")
    target = models.ForeignKey(Wallet, models.PROTECT, related_name="refills_in")
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
        "approvals.ApprovalRequest", models.PROTECT, null=True, blank=True, related_name="refill"
    )

    class Meta:
        db_table = "custody_refill"
        constraints = [
            known(State, "refill_state"),
            models.UniqueConstraint(
                fields=["target"],
                condition=Q(state__in=sorted(str(state) for state in refills.LIVE)),
                name="refill_one_live",
            ),
            models.CheckConstraint(condition=Q(units__gt=0, fee_cap_units__gt=0), name="refill_not_empty"),
            models.CheckConstraint(
                condition=Q(state__in=["proposed", "dismissed"])
                | Q(request__isnull=False, maker__isnull=False),
                name="refill_approved_by_request",
            ),
        ]

    def __str__(self) -> str:
        return f"refill {self.pk}"

    @property
    def amount(self) -> Amount:
        """What the hot wallet receives."""
        return Amount(self.units, self.asset)

    @property
    def fee_cap(self) -> Amount:
        """What the network may cost us at most."""
        return Amount(self.fee_cap_units, self.asset)
