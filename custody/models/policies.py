"""Who must approve what, as the registry says it."""

from __future__ import annotations

from django.db import models

from core.fields import UnitsField
from core.ids import new_id


class PaymentPolicy(models.Model):
    """The quorum of one kind of payment; signers hold the same in their pinned registry."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    kind = models.CharField(max_length=64, unique=True)
    version = models.PositiveIntegerField()
    teams = models.JSONField()
    source = models.CharField(max_length=32)
    confirm_above = UnitsField(null=True, blank=True)  # type: ignore[misc]
    registry_version = models.PositiveIntegerField()

    class Meta:
        db_table = "custody_payment_policy"

    def __str__(self) -> str:
        return f"{self.kind} {self.version}"


class DecoderKey(models.Model):
    """The public key of an officer's offline decoder; signers hold the same in their pinned registry."""

    officer = models.UUIDField(primary_key=True)
    public_key = models.CharField(max_length=64)
    registry_version = models.PositiveIntegerField()

    class Meta:
        db_table = "custody_decoder_key"

    def __str__(self) -> str:
        return f"decoder of {self.officer}"


class Asker(models.Model):
    """An officer whose asking signers take, by the registry that was loaded here; signers go by their own.

    It is there to tell people in time, and decides nothing.
    """

    officer = models.UUIDField(primary_key=True)
    name = models.TextField()
    registry_version = models.PositiveIntegerField()

    class Meta:
        db_table = "custody_asker"

    def __str__(self) -> str:
        return f"{self.name} may ask"
