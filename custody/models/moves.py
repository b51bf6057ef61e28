"""Coins that change between wallets of our own: what refills and sweeps have in common."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from core.fields import UnitsField
from core.ids import new_id
from custody.models.moving import Moving
from kernel.money import Amount


class Move(Moving):
    """The system proposes it; a treasury maker turns it into a request.

    What it is of, `source`, `target` and `request`, each kind has under names of its own.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    asset = models.CharField(max_length=12)
    units = UnitsField()
    fee_cap_units = UnitsField()
    destination = models.CharField(max_length=100)
    reason = models.CharField(max_length=500, default="", blank=True)
    proposed_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, blank=True)
    settled_at = models.DateTimeField(null=True, blank=True)
    maker = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+"
    )

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self._meta.model_name} {self.pk}"

    @property
    def amount(self) -> Amount:
        """What the target receives."""
        return Amount(self.units, self.asset)

    @property
    def fee_cap(self) -> Amount:
        """What the network may cost us at most."""
        return Amount(self.fee_cap_units, self.asset)


def sound(name: str) -> list[models.BaseConstraint]:
    """Moves something, and nothing without a maker and a request once it is more than a proposal."""
    return [
        models.CheckConstraint(condition=Q(units__gt=0, fee_cap_units__gt=0), name=f"{name}_not_empty"),
        models.CheckConstraint(
            condition=Q(state__in=["proposed", "dismissed"]) | Q(request__isnull=False, maker__isnull=False),
            name=f"{name}_approved_by_request",
        ),
    ]
