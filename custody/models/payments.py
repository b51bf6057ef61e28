"""Transactions of ours: what was built, which coins it takes, who signed it, and where it is."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from core.fields import UnitsField
from core.ids import new_id
from custody.models.refills import Refill
from custody.models.sweeps import Sweep
from custody.models.wallets import Utxo, Wallet
from custody.models.withdrawals import Withdrawal
from kernel.money import Amount

Owner = Withdrawal | Refill | Sweep
"""What a transaction of ours pays."""


class Payment(models.Model):
    """One transaction, for one withdrawal, refill or sweep; the owner's state says how far it has come.

    `psbt` and `txid` are final before anybody signs. `asked_at` is set before the first signer is asked with
    officers' approvals, `offered_at` before the first is asked without them. An abandoned one has let go of
    its coins. `raw` is stored before it is sent, and sent again as it is. `handed_at` is set before a node is
    first given it, `sent_at` once one took it: in between nobody knows whether the network has it.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    wallet = models.ForeignKey(Wallet, models.PROTECT, related_name="payments")
    withdrawal = models.OneToOneField(Withdrawal, models.PROTECT, null=True, related_name="payment")
    refill = models.OneToOneField(Refill, models.PROTECT, null=True, related_name="payment")
    sweep = models.OneToOneField(Sweep, models.PROTECT, null=True, related_name="payment")
    txid = models.CharField(max_length=64)
    psbt = models.TextField()
    fee_units = UnitsField()
    vsize = models.PositiveIntegerField()
    change_units = UnitsField()
    raw = models.TextField(default="", blank=True)
    built_at = models.DateTimeField()
    asked_at = models.DateTimeField(null=True)
    offered_at = models.DateTimeField(null=True)
    signed_at = models.DateTimeField(null=True)
    handed_at = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    height = models.PositiveIntegerField(null=True)
    abandoned_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "custody_payment"
        constraints = [
            models.UniqueConstraint(
                fields=["txid"], condition=Q(abandoned_at__isnull=True), name="payment_txid_once"
            ),
            models.CheckConstraint(
                condition=Q(withdrawal__isnull=False, refill__isnull=True, sweep__isnull=True)
                | Q(withdrawal__isnull=True, refill__isnull=False, sweep__isnull=True)
                | Q(withdrawal__isnull=True, refill__isnull=True, sweep__isnull=False),
                name="payment_one_owner",
            ),
            models.CheckConstraint(condition=Q(fee_units__gt=0, change_units__gte=0), name="payment_fee"),
            models.CheckConstraint(
                condition=Q(raw="", signed_at__isnull=True, handed_at__isnull=True, sent_at__isnull=True)
                | ~Q(raw="") & Q(signed_at__isnull=False),
                name="payment_stored_before_sent",
            ),
        ]
        indexes = [models.Index("id", condition=Q(height=None), name="payment_in_no_block")]

    def __str__(self) -> str:
        return f"payment {self.txid}"

    @property
    def owner(self) -> Owner:
        """What is being paid."""
        found = self.withdrawal or self.refill or self.sweep
        if found is None:
            raise ValueError(f"{self} pays for nothing")
        return found

    @property
    def fee(self) -> Amount:
        """What the network takes."""
        return Amount(self.fee_units, self.wallet.asset)


class UtxoLock(models.Model):
    """A payment's claim on a coin. A coin has at most one that is not released: the database sees to that."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    utxo = models.ForeignKey(Utxo, models.PROTECT, related_name="locks")
    payment = models.ForeignKey(Payment, models.PROTECT, related_name="locks")
    locked_at = models.DateTimeField()
    released_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "custody_utxo_lock"
        constraints = [
            models.UniqueConstraint(
                fields=["utxo"], condition=Q(released_at__isnull=True), name="utxo_locked_once"
            )
        ]


class TokenSigned(models.Model):
    """What one token signed of one transaction, all inputs together. Append-only."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    token = models.CharField(max_length=64)
    signatures = models.JSONField()
    received_at = models.DateTimeField()

    class Meta:
        abstract = True


class TokenRefused(models.Model):
    """That one token refused one transaction, with the signer's code. Append-only."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    token = models.CharField(max_length=64)
    code = models.CharField(max_length=64)
    detail = models.CharField(max_length=500, blank=True)
    refused_at = models.DateTimeField()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.token}: {self.code}"


class TokenSignature(TokenSigned):
    """Of a payment as it was built."""

    payment = models.ForeignKey(Payment, models.PROTECT, related_name="signatures")

    class Meta:
        db_table = "custody_token_signature"
        constraints = [models.UniqueConstraint(fields=["payment", "token"], name="token_signs_once")]

    def __str__(self) -> str:
        return f"{self.token} on {self.payment_id}"


class TokenRefusal(TokenRefused):
    """Of a payment as it was built."""

    payment = models.ForeignKey(Payment, models.PROTECT, related_name="refusals")

    class Meta:
        db_table = "custody_token_refusal"
