"""Versions of a payment: the first as it was built, and those that were laid over it with a higher fee."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from core.fields import UnitsField
from core.ids import new_id
from custody.models.payments import Payment, TokenRefused, TokenSigned
from kernel.money import Amount


class PaymentVersion(models.Model):
    """One version of a payment whose fee was raised: the first transaction with other change, nothing else.

    The database reckons `txid` from the payment's own PSBT and `change_units`, so nothing foreign is ever a
    version: each spends the very same coins, so one of them is confirmed and no other. Number 1 is the first,
    as the payment had it. `raw`, `handed_at` and `sent_at` mean what they mean on a payment; that one's own
    columns are those of the version that a node took last, or that a block has. `asked_at` is when signers
    began to be asked, the last time; `booked_at` when the ledger took its fee.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    payment = models.ForeignKey(Payment, models.PROTECT, related_name="versions")
    number = models.PositiveSmallIntegerField()
    txid = models.CharField(max_length=64, unique=True)
    fee_units = UnitsField()
    vsize = models.PositiveIntegerField()
    change_units = UnitsField()
    reason = models.CharField(max_length=500)
    built_at = models.DateTimeField()
    asked_at = models.DateTimeField()
    raw = models.TextField(default="", blank=True)
    signed_at = models.DateTimeField(null=True)
    handed_at = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    booked_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "custody_payment_version"
        constraints = [
            models.UniqueConstraint(fields=["payment", "number"], name="version_numbered_once"),
            models.CheckConstraint(
                condition=Q(raw="", signed_at__isnull=True, handed_at__isnull=True, sent_at__isnull=True)
                | ~Q(raw="") & Q(signed_at__isnull=False),
                name="version_stored_before_sent",
            ),
        ]

    def __str__(self) -> str:
        return f"version {self.number} of payment {self.payment_id}"

    @property
    def fee(self) -> Amount:
        """What the network takes."""
        return Amount(self.fee_units, self.payment.wallet.asset)


class VersionSignature(TokenSigned):
    """Of one version."""

    version = models.ForeignKey(PaymentVersion, models.PROTECT, related_name="signatures")

    class Meta:
        db_table = "custody_version_signature"
        constraints = [models.UniqueConstraint(fields=["version", "token"], name="token_signs_version_once")]

    def __str__(self) -> str:
        return f"{self.token} on {self.version_id}"


class VersionRefusal(TokenRefused):
    """Of one version."""

    version = models.ForeignKey(PaymentVersion, models.PROTECT, related_name="refusals")

    class Meta:
        db_table = "custody_version_refusal"
