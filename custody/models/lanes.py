"""The unattended lane as the registry describes it; signers hold the same in their pinned copy."""

from __future__ import annotations

from datetime import timedelta

from django.db import models

from core.fields import UnitsField
from custody.models.wallets import Wallet
from kernel import lane
from kernel.customer import Site
from kernel.money import Amount


class Lane(models.Model):
    """What one wallet pays without officers: limits in its asset's units, times in seconds.

    `rp_id` and `origin` are the site on which customers' passkeys count; empty where they do not.
    """

    wallet = models.OneToOneField(Wallet, models.PROTECT, primary_key=True, related_name="lane")
    transaction_units_max = UnitsField()
    destination_units_max = UnitsField()
    window_units_max = UnitsField()
    window_s = models.PositiveIntegerField()
    cooling_off_s = models.PositiveIntegerField()
    attestation_age_s_max = models.PositiveIntegerField()
    rp_id = models.CharField(max_length=253, blank=True)
    origin = models.CharField(max_length=300, blank=True)
    registry_version = models.PositiveIntegerField()

    class Meta:
        db_table = "custody_lane"

    def __str__(self) -> str:
        return f"lane of {self.wallet}"

    @property
    def cooling_off(self) -> timedelta:
        """How long a key, and then a destination, must have been known."""
        return timedelta(seconds=self.cooling_off_s)

    @property
    def site(self) -> Site | None:
        """Where customers use their passkeys."""
        return Site(self.rp_id, self.origin) if self.origin else None

    @property
    def window_max(self) -> Amount:
        """What the lane pays within one window, by all signers together."""
        return Amount(self.window_units_max, self.wallet.asset)

    @property
    def transaction_max(self) -> Amount:
        """What one transaction takes, its fee included."""
        return Amount(self.transaction_units_max, self.wallet.asset)

    @property
    def destination_max(self) -> Amount:
        """What one destination gets within one window."""
        return Amount(self.destination_units_max, self.wallet.asset)

    @property
    def worst_loss(self) -> Amount:
        """What whoever owns web tier and database can make the signers pay within one window."""
        tokens, threshold = len(self.wallet.tokens), self.wallet.threshold
        lost = lane.worst_loss(self.window_units_max, threshold=threshold, tokens=tokens)
        return Amount(lost, self.wallet.asset)
