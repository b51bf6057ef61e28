"""Who must approve what, as the registry says it."""

from __future__ import annotations

from django.db import models

from core.ids import new_id


class PaymentPolicy(models.Model):
    """The quorum of one kind of payment; signers hold the same in their pinned registry."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    kind = models.CharField(max_length=64, unique=True)
    version = models.PositiveIntegerField()
    teams = models.JSONField()
    source = models.CharField(max_length=32)
    registry_version = models.PositiveIntegerField()

    class Meta:
        db_table = "custody_payment_policy"

    def __str__(self) -> str:
        return f"{self.kind} {self.version}"
