"""The venue as PostgreSQL knows it: what is listed, who trades, and mirrors of what the engine did.

Orders, fills and trading balances are written by settlement alone, from the engine's durable events, and
carry the engine's own numbers as keys: a rebuild from the first event gives the same rows.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from core.fields import UnitsField
from core.ids import new_id
from engine_bridge.domain.fees import STANDARD, Rates, rates
from engine_bridge.domain.instruments import Scale
from engine_bridge.domain.markets import STOPS, Band
from engine_bridge.domain.transfers import TransferState


class Instrument(models.Model):
    """One market. The engine keeps its own copy, put there by a journaled command.

    `state` is what the engine says, `wanted_state` what officers last decided; empty where nobody ever had
    to.
    """

    id = models.PositiveIntegerField(primary_key=True)
    symbol = models.CharField(max_length=30, unique=True)
    base = models.CharField(max_length=12)
    quote = models.CharField(max_length=12)
    tick_units = UnitsField()
    lot_units = UnitsField()
    maker_fee_bps = models.PositiveIntegerField()
    taker_fee_bps = models.PositiveIntegerField()
    state = models.CharField(max_length=20, default="unlisted")
    wanted_state = models.CharField(max_length=20, default="", blank=True)
    call_until = models.DateTimeField(null=True)
    """A released market collects orders in a call auction until then, and opens at its one price."""
    release_request = models.UUIDField(null=True)
    """The only request whose approval opens it. A stop empties this: what was asked for before is void."""
    band_ppm = models.PositiveIntegerField(null=True)
    """How far from the last trade's price an order may pay, in millionths; 0 is no band. Empty until it was
    first looked at."""
    band_reference_ticks = models.PositiveBigIntegerField(default=0)
    """The price that came with that band, and counts until the next trade; 0 is none."""
    band_told_at = models.DateTimeField(null=True)
    """When the engine had taken it. Empty while it is to be told."""
    band_request = models.UUIDField(null=True)
    """The only request whose approval sets another one. Whoever narrows the band empties this."""
    listed_at = models.DateTimeField()

    class Meta:
        db_table = "engine_instrument"

    def __str__(self) -> str:
        return self.symbol

    @property
    def scale(self) -> Scale:
        return Scale(self.symbol, self.base, self.quote, self.tick_units, self.lot_units)

    @property
    def band(self) -> Band | None:
        """The price band that officers want; None where nobody has looked at the engine's yet."""
        return None if self.band_ppm is None else Band(self.band_ppm, self.band_reference_ticks)

    @property
    def is_stopped(self) -> bool:
        """Whether officers want it stopped; an engine that was away may not have heard of that yet."""
        return self.wanted_state in STOPS


class EngineAccount(models.Model):
    """The number under which the engine knows a customer; it learns nothing else of the person."""

    id = models.BigAutoField(primary_key=True)
    identity = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="engine_account"
    )
    created_at = models.DateTimeField()

    class Meta:
        db_table = "engine_account"

    def __str__(self) -> str:
        return f"engine account {self.pk}"


class AccountFees(models.Model):
    """What an account is to pay, where officers ever decided about it; everybody else pays the market's fees.

    The key is the engine's number, also of an account that was never opened here, if the engine names one.
    """

    account = models.OneToOneField(
        EngineAccount, on_delete=models.DO_NOTHING, primary_key=True, db_constraint=False, related_name="fees"
    )
    level = models.CharField(max_length=12, default=STANDARD)
    maker_ppm = models.IntegerField(null=True)
    taker_ppm = models.IntegerField(null=True)
    request = models.UUIDField(null=True)
    """The only request whose approval changes this; a later one takes its place."""
    approved_request = models.UUIDField(null=True)
    """The one that made it what it is; the database asks for it whenever it changes."""
    decided_at = models.DateTimeField()
    confirmed_at = models.DateTimeField(null=True)
    """When the engine's events said the same. Empty while it is to be told."""

    class Meta:
        db_table = "engine_account_fees"
        constraints = [
            models.CheckConstraint(
                condition=Q(maker_ppm__isnull=True, taker_ppm__isnull=True)
                | Q(maker_ppm__isnull=False, taker_ppm__isnull=False),
                name="account_fees_both_or_neither",
            )
        ]

    @property
    def own(self) -> Rates | None:
        """The account's own rates; None where it pays the market's."""
        return rates(self.maker_ppm, self.taker_ppm)


class ToldFees(models.Model):
    """Mirror of an account's own fees in the engine, as of its event; none are the market's.

    Without a foreign key: what the engine says of a number that was never opened here is kept as well.
    """

    account_id = models.PositiveBigIntegerField(primary_key=True)
    maker_ppm = models.IntegerField(null=True)
    taker_ppm = models.IntegerField(null=True)
    event_seq = models.PositiveBigIntegerField()

    class Meta:
        db_table = "engine_told_fees"

    @property
    def own(self) -> Rates | None:
        """The account's own rates; None where it pays the market's."""
        return rates(self.maker_ppm, self.taker_ppm)


class EngineCursor(models.Model):
    """How far settlement has come. Moved in the same transaction as the rows that it counts."""

    shard = models.PositiveSmallIntegerField(primary_key=True)
    last_event_seq = models.PositiveBigIntegerField(default=0)
    last_engine_seq = models.PositiveBigIntegerField(default=0)
    last_event_at = models.DateTimeField(null=True)
    """The last event's time: with its command it tells that event from any other under its number."""
    epoch = models.PositiveBigIntegerField(default=0)
    settled_at = models.DateTimeField(null=True)
    halted = models.TextField(default="", blank=True)
    rebuilt_to = models.PositiveBigIntegerField(default=0)
    """How far the mirrors had come when they were last emptied: until then they are being rebuilt."""

    class Meta:
        db_table = "engine_cursor"


class Order(models.Model):
    """Mirror of an order. Prices and sizes are the engine's ticks and lots."""

    id = models.PositiveBigIntegerField(primary_key=True)
    account = models.ForeignKey(EngineAccount, on_delete=models.PROTECT, related_name="orders")
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, related_name="orders")
    side = models.CharField(max_length=4)
    order_type = models.CharField(max_length=12)
    price_ticks = models.BigIntegerField()
    qty_lots = models.PositiveBigIntegerField()
    budget_ticklots = models.PositiveBigIntegerField(default=0)
    client_id = models.CharField(max_length=32, default="", blank=True)
    client_mark = models.BigIntegerField(default=0)
    tag = models.CharField(max_length=16, default="", blank=True)
    stp = models.CharField(max_length=12)
    state = models.CharField(max_length=20)
    cancel_source = models.CharField(max_length=4, default="", blank=True)
    held_units = UnitsField(default=0)
    filled_lots = models.PositiveBigIntegerField(default=0)
    filled_ticklots = UnitsField(default=0)
    fee_units = UnitsField(default=0)
    last_trade_id = models.PositiveBigIntegerField(default=0)
    last_price_ticks = models.BigIntegerField(default=0)
    last_qty_lots = models.PositiveBigIntegerField(default=0)
    last_fill_at = models.DateTimeField(null=True)
    accepted_seq = models.PositiveBigIntegerField()
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "engine_order"
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=["live", "partially_filled", "filled", "canceled"]), name="order_state"
            ),
            models.CheckConstraint(
                condition=Q(qty_lots=0) | Q(filled_lots__lte=F("qty_lots")), name="order_not_overfilled"
            ),
        ]
        indexes = [
            models.Index(
                "account",
                F("id").desc(),
                condition=Q(state__in=["live", "partially_filled"]),
                name="order_open",
            ),
            models.Index(
                "account",
                "client_mark",
                F("id").desc(),
                condition=~Q(client_mark=0),
                name="order_by_client_id",
            ),
            models.Index("account", F("id").desc(), name="order_of_account"),
        ]

    @property
    def fee_asset(self) -> str:
        """Fees are taken from what is received: base by a buyer, quote by a seller."""
        return self.instrument.base if self.side == "buy" else self.instrument.quote


class OrderNote(models.Model):
    """What a client said of an order that the engine does not carry. It outlives a rebuild of the mirrors."""

    order_id = models.PositiveBigIntegerField(primary_key=True)
    account_id = models.PositiveBigIntegerField()
    instrument_id = models.PositiveIntegerField()
    client_id = models.CharField(max_length=32, default="", blank=True)
    tag = models.CharField(max_length=16, default="", blank=True)
    side = models.CharField(max_length=4)
    order_type = models.CharField(max_length=12)
    price_ticks = models.BigIntegerField()
    qty_lots = models.PositiveBigIntegerField()
    budget_ticklots = models.PositiveBigIntegerField()
    stp = models.CharField(max_length=12)

    class Meta:
        db_table = "engine_order_note"


class Fill(models.Model):
    """One side of a trade. The key is twice the trade's number, plus one for the taker: it sorts by time."""

    id = models.PositiveBigIntegerField(primary_key=True)
    trade_id = models.PositiveBigIntegerField()
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="fills")
    account = models.ForeignKey(EngineAccount, on_delete=models.PROTECT, related_name="fills")
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, related_name="fills")
    side = models.CharField(max_length=4)
    taker = models.BooleanField()
    price_ticks = models.BigIntegerField()
    qty_lots = models.PositiveBigIntegerField()
    fee_units = UnitsField()
    fee_asset = models.CharField(max_length=12)
    traded_at = models.DateTimeField()
    auction = models.BooleanField(default=False)
    """Nobody took: both sides stood in a call auction, and both paid their maker's fee."""
    fee_ppm = models.IntegerField(null=True)
    """The account's own rate by which the fee was taken; empty where it was the market's."""

    class Meta:
        db_table = "engine_fill"
        indexes = [
            models.Index("account", F("id").desc(), name="fill_of_account"),
            models.Index("instrument", F("id").desc(), condition=Q(taker=True), name="fill_public"),
        ]


class TradingBalance(models.Model):
    """Mirror of one engine balance: `units` in all, `held` of them behind open orders."""

    account = models.ForeignKey(EngineAccount, on_delete=models.PROTECT, related_name="balances")
    asset = models.CharField(max_length=12)
    units = UnitsField(default=0)
    held = UnitsField(default=0)
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "engine_trading_balance"
        constraints = [
            models.UniqueConstraint(fields=["account", "asset"], name="one_balance_each"),
            models.CheckConstraint(
                condition=Q(held__gte=0, units__gte=F("held")), name="balance_covers_held"
            ),
        ]


class Transfer(models.Model):
    """One move between funding and trading. Its id is the engine's id of it; `event_seq` told its outcome."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    account = models.ForeignKey(EngineAccount, on_delete=models.PROTECT, related_name="transfers")
    asset = models.CharField(max_length=12)
    units = UnitsField()
    into_venue = models.BooleanField()
    state = models.CharField(max_length=10, default=TransferState.PENDING)
    client_id = models.CharField(max_length=32, default="", blank=True)
    reason = models.TextField(default="", blank=True)
    event_seq = models.PositiveBigIntegerField(null=True)
    created_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "engine_transfer"
        constraints = [
            models.CheckConstraint(condition=Q(units__gt=0), name="transfer_not_empty"),
            models.CheckConstraint(
                condition=Q(state__in=[state.value for state in TransferState]), name="transfer_state"
            ),
            models.UniqueConstraint(
                fields=["account", "client_id"], condition=~Q(client_id=""), name="transfer_client_id_once"
            ),
        ]
        indexes = [models.Index("created_at", condition=Q(state="pending"), name="transfer_pending")]
