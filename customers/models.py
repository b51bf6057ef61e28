"""Traders: who they are to us, and the keys with which their programs sign."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from core.ids import new_id

TIER_MAX = 4
"""Tiers 0 (view only) to 3, and 4 for institutions."""


class Customer(models.Model):
    """A trader's profile beside their identity.

    `tier` is the effective verification tier. It is written only by `customers.actions.set_tier`, which the
    kyc app calls after its own decision; why it is what it is stands there.
    """

    identity = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.PROTECT, primary_key=True, related_name="customer"
    )
    password = models.CharField(max_length=256)
    country = models.CharField(max_length=2)
    tier = models.PositiveSmallIntegerField(default=0)
    password_asked_at = models.DateTimeField(null=True, help_text="when the link in force was asked for")
    withdrawals_held_until = models.DateTimeField(null=True, help_text="after a password by mail")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "customers_customer"
        constraints = [
            models.CheckConstraint(condition=Q(tier__lte=TIER_MAX), name="customer_tier_known"),
            models.CheckConstraint(condition=Q(country__regex=r"^[A-Z]{2}$"), name="customer_country_iso"),
        ]

    def __str__(self) -> str:
        return f"customer {self.pk}"

    @property
    def display_name(self) -> str:
        """The name that officers see."""
        return self.identity.display_name

    @property
    def email(self) -> str:
        """The address that the customer signed up with."""
        return self.identity.email


class ApiKey(models.Model):
    """A trader's key. HMAC needs the secret back, so it lies encrypted; the passphrase is hashed."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    key = models.CharField(max_length=36, unique=True)
    customer = models.ForeignKey(Customer, models.PROTECT, related_name="api_keys")
    label = models.CharField(max_length=64, blank=True)
    secret = models.BinaryField(help_text="AES-256-GCM under FIELD_KEY, bound to this row")
    passphrase = models.BinaryField(help_text="keyed hash, bound to this row")
    scopes = ArrayField(models.CharField(max_length=8))
    ip_allowlist = ArrayField(models.CharField(max_length=49), default=list, blank=True)
    created_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "customers_api_key"
        constraints = [
            models.CheckConstraint(
                condition=Q(scopes__contained_by=["read", "trade", "withdraw"]) & ~Q(scopes=[]),
                name="api_key_scopes_known",
            )
        ]

    def __str__(self) -> str:
        return self.key
