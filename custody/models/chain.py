"""What was read from the chain, and what coins are worth."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from core.fields import UnitsField
from core.ids import new_id
from custody.domain import deposits
from custody.domain.deposits import State
from custody.models.moving import Moving, choices, known
from custody.models.wallets import Address, Utxo
from kernel.money import Amount


class Block(models.Model):
    """A block that was read and is still believed to be on the chain; the highest is the watcher's cursor."""

    height = models.PositiveIntegerField(primary_key=True)
    hash = models.CharField(max_length=64, unique=True)
    previous = models.CharField(max_length=64)
    read_at = models.DateTimeField()

    class Meta:
        db_table = "custody_block"

    def __str__(self) -> str:
        return f"block {self.height}"


class Deposit(Moving):
    """Coins that arrived and that no payment of ours explains. Without a customer they go into suspense."""

    STATES = State
    NEXT = deposits.NEXT

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    coin = models.OneToOneField(Utxo, models.PROTECT, related_name="deposit")
    address = models.ForeignKey(Address, models.PROTECT, related_name="deposits")
    customer = models.ForeignKey("customers.Customer", models.PROTECT, null=True, related_name="deposits")
    asset = models.CharField(max_length=12)
    units = UnitsField()
    txid = models.CharField(max_length=64)
    vout = models.PositiveIntegerField()
    height = models.PositiveIntegerField(null=True)
    state = models.CharField(max_length=12, default=State.SEEN, choices=choices(State))
    seen_at = models.DateTimeField()
    credited_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "custody_deposit"
        constraints = [
            models.UniqueConstraint(fields=["txid", "vout"], name="deposit_outpoint_once"),
            known(State, "deposit_state"),
            models.CheckConstraint(condition=Q(units__gt=0), name="deposit_not_empty"),
            models.CheckConstraint(
                condition=~Q(state="credited") | Q(customer__isnull=False),
                name="deposit_credited_to_somebody",
            ),
        ]
        indexes = [
            models.Index(fields=["customer", "-seen_at"], name="deposit_of_customer"),
            models.Index("height", condition=Q(state="seen"), name="deposit_due"),
            models.Index("id", condition=Q(state="missing"), name="deposit_missing"),
            models.Index("credited_at", name="deposit_credited"),
            models.Index(fields=["-seen_at", "-id"], name="deposit_listed"),
        ]

    def __str__(self) -> str:
        return f"deposit {self.txid}:{self.vout}"

    @property
    def amount(self) -> Amount:
        """What arrived."""
        return Amount(self.units, self.asset)


class Price(models.Model):
    """What one coin cost in US cents at a moment, as the price feed said it. Append-only."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    asset = models.CharField(max_length=12)
    cents = UnitsField()
    quoted_at = models.DateTimeField()
    fetched_at = models.DateTimeField()
    source = models.CharField(max_length=200)

    class Meta:
        db_table = "custody_price"
        constraints = [
            models.UniqueConstraint(fields=["asset", "source", "quoted_at"], name="price_once"),
            models.CheckConstraint(condition=Q(cents__gt=0), name="price_positive"),
        ]
        indexes = [models.Index(fields=["asset", "-quoted_at"], name="price_latest")]

    def __str__(self) -> str:
        return f"{self.asset} {self.cents}"
