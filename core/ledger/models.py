"""The ledger's tables. Balances are kept by database triggers from postings and holds, never by Python."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from core.fields import UnitsField
from core.ids import new_id
from core.ledger.kinds import NEVER_NEGATIVE, AccountKind


class Account(models.Model):
    """`units` is the sum of the account's postings, `held` that of its pending holds; triggers write both."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    kind = models.CharField(max_length=30, choices=[(kind.value, kind.value) for kind in AccountKind])
    asset = models.CharField(max_length=12)
    owner = models.UUIDField(null=True)
    units = UnitsField(default=0)
    held = UnitsField(default=0)

    class Meta:
        db_table = "ledger_account"
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "asset", "owner"], name="one_account_each", nulls_distinct=False
            ),
            models.UniqueConstraint(fields=["id", "asset"], name="account_with_asset"),
            models.CheckConstraint(condition=Q(held__gte=0), name="held_not_negative"),
            # A second account of the hot wallet would be one that nobody compares with the chain.
            models.CheckConstraint(
                condition=Q(kind__in=sorted(kind.value for kind in NEVER_NEGATIVE)) ^ Q(owner__isnull=True),
                name="account_of_whom",
            ),
            models.CheckConstraint(
                condition=~Q(kind__in=sorted(kind.value for kind in NEVER_NEGATIVE))
                | Q(units__gte=F("held")),
                name="never_overdrawn",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.asset}" + (f" of {self.owner}" if self.owner else "")


class JournalEntry(models.Model):
    """One balanced set of postings. (kind, reference) is the idempotency key. Append-only."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    kind = models.CharField(max_length=60)
    reference = models.CharField(max_length=120)
    posted_at = models.DateTimeField()

    class Meta:
        db_table = "ledger_entry"
        constraints = [models.UniqueConstraint(fields=["kind", "reference"], name="entry_once")]


class Posting(models.Model):
    """One leg. Triggers add it to its account and refuse legs that do not balance, or that no entry of its
    kind has (`rules`). Append-only.
    """

    id = models.BigAutoField(primary_key=True)
    entry = models.ForeignKey(JournalEntry, on_delete=models.PROTECT, related_name="postings")
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="postings")
    asset = models.CharField(max_length=12)
    units = UnitsField()

    class Meta:
        db_table = "ledger_posting"
        constraints = [models.CheckConstraint(condition=~Q(units=0), name="posting_not_empty")]


class Hold(models.Model):
    """Reserved units of an account: pending, then posted, voided or expired, once."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="holds")
    reference = models.CharField(max_length=120, unique=True)
    units = UnitsField()
    state = models.CharField(max_length=10, default="pending")
    created_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "ledger_hold"
        constraints = [
            models.CheckConstraint(condition=Q(units__gt=0), name="hold_not_empty"),
            models.CheckConstraint(
                condition=Q(state__in=["pending", "posted", "voided", "expired"]), name="hold_state"
            ),
        ]
