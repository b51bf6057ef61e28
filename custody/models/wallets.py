"""Wallets, their addresses and the coins on them."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from core.fields import UnitsField
from core.ids import new_id
from kernel.money import Amount


class Wallet(models.Model):
    """A multisig wallet as the registry describes it: `threshold` of `tokens`.

    Only a hot wallet has `refill_below` and `target`; they say when and how far it is filled up. A target
    of zero is never filled up to. Its signers take no order of officers that is good for longer than
    `order_life_s` more, and sign no fee above `fee_units_max` or `feerate_max` (where those are known).
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=32, unique=True)
    asset = models.CharField(max_length=12, default="BTC")
    tier = models.CharField(max_length=8, choices=[("hot", "hot"), ("cold", "cold")])
    network = models.CharField(max_length=16)
    threshold = models.PositiveSmallIntegerField()
    tokens = ArrayField(models.CharField(max_length=64))
    registry_version = models.PositiveIntegerField()
    order_life_s = models.PositiveIntegerField(default=86_400)
    fee_units_max = models.PositiveBigIntegerField(null=True)
    feerate_max = models.PositiveBigIntegerField(null=True)
    refill_below = UnitsField(default=0)
    target = UnitsField(default=0)

    class Meta:
        db_table = "custody_wallet"
        constraints = [
            models.CheckConstraint(condition=Q(tier__in=["hot", "cold"]), name="wallet_tier"),
            models.CheckConstraint(
                condition=Q(tokens__len__gte=F("threshold"), threshold__gte=1), name="wallet_threshold"
            ),
            models.CheckConstraint(
                condition=Q(refill_below=0, target=0)
                | Q(tier="hot", refill_below__gte=0, target__gte=F("refill_below")),
                name="wallet_target",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Address(models.Model):
    """Address `index` of a wallet, made of key `index` of each token. Nothing but its owner ever changes."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    wallet = models.ForeignKey(Wallet, models.PROTECT, related_name="addresses")
    index = models.PositiveIntegerField()
    address = models.CharField(max_length=100, unique=True)
    script = models.CharField(max_length=100, unique=True)
    witness_script = models.CharField(max_length=1200)
    keys = ArrayField(models.CharField(max_length=66), help_text="in the order of the wallet's tokens")
    customer = models.ForeignKey(
        "customers.Customer", models.PROTECT, null=True, blank=True, related_name="addresses"
    )
    assigned_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "custody_address"
        constraints = [
            models.UniqueConstraint(fields=["wallet", "index"], name="address_index_once"),
            models.UniqueConstraint(
                fields=["customer"], condition=Q(customer__isnull=False), name="address_one_each"
            ),
            models.CheckConstraint(
                condition=~Q(index=0) | Q(customer__isnull=True), name="address_change_is_ours"
            ),
            models.CheckConstraint(
                condition=Q(customer__isnull=True, assigned_at__isnull=True)
                | Q(customer__isnull=False, assigned_at__isnull=False),
                name="address_assigned_when",
            ),
        ]

    def __str__(self) -> str:
        return self.address


class Utxo(models.Model):
    """A coin on one of our addresses. `height` is empty while its block is not on the chain.

    `spent_in` is the height of the block that spent it; what is neither spent nor locked can be chosen.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    wallet = models.ForeignKey(Wallet, models.PROTECT, related_name="coins")
    address = models.ForeignKey(Address, models.PROTECT, related_name="coins")
    txid = models.CharField(max_length=64)
    vout = models.PositiveIntegerField()
    units = UnitsField()
    coinbase = models.BooleanField(default=False)
    height = models.PositiveIntegerField(null=True)
    spent_in = models.PositiveIntegerField(null=True)
    spent_by = models.CharField(max_length=64, default="", blank=True)

    class Meta:
        db_table = "custody_utxo"
        constraints = [
            models.UniqueConstraint(fields=["txid", "vout"], name="utxo_outpoint_once"),
            models.CheckConstraint(condition=Q(units__gt=0), name="utxo_not_empty"),
            models.CheckConstraint(
                condition=Q(spent_in__isnull=True, spent_by="") | Q(spent_in__isnull=False) & ~Q(spent_by=""),
                name="utxo_spent_by",
            ),
        ]
        indexes = [
            # The largest first, as payments take them; what a wallet holds is summed from the index.
            models.Index(
                fields=["wallet", "-units", "txid", "vout"],
                condition=Q(spent_in=None),
                name="utxo_unspent",
            ),
            models.Index("id", condition=Q(height=None), name="utxo_in_no_block"),
            models.Index("id", condition=Q(coinbase=True), name="utxo_mined"),
        ]

    def __str__(self) -> str:
        return f"{self.txid}:{self.vout}"

    @property
    def amount(self) -> Amount:
        """What the coin holds."""
        return Amount(self.units, self.wallet.asset)
