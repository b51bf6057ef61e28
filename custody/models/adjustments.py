"""Corrections of customers' balances."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from core.fields import UnitsField
from core.ids import new_id
from custody.domain import adjustments
from custody.domain.adjustments import State
from custody.models.moving import Moving, choices, known
from kernel.money import Amount


class Adjustment(Moving):
    """A credit that one officer asks for and others approve. It is posted with the last approval."""

    STATES = State
    NEXT = adjustments.NEXT

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    customer = models.ForeignKey("customers.Customer", models.PROTECT, related_name="adjustments")
    asset = models.CharField(max_length=12)
    units = UnitsField()
    reason = models.CharField(max_length=500)
    reference = models.CharField(max_length=64, unique=True)
    state = models.CharField(max_length=12, default=State.REQUESTED, choices=choices(State))
    maker = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    request = models.OneToOneField(
        "approvals.ApprovalRequest", models.PROTECT, null=True, blank=True, related_name="adjustment"
    )
    requested_at = models.DateTimeField()
    posted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "custody_adjustment"
        constraints = [
            known(State, "adjustment_state"),
            models.CheckConstraint(condition=Q(units__gt=0), name="adjustment_not_empty"),
            models.CheckConstraint(condition=~Q(reason=""), name="adjustment_reasoned"),
        ]

    def __str__(self) -> str:
        return f"adjustment {self.pk}"

    @property
    def amount(self) -> Amount:
        """What the customer is credited with."""
        return Amount(self.units, self.asset)
