"""Traders: who they are to us, their second factor, and the keys with which their programs sign."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from core.factors.models import AppCode
from core.ids import new_id
from customers.domain.authenticators import State

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
    withdrawals_held_until = models.DateTimeField(
        null=True, help_text="after a password by mail, or a change of the second factor"
    )
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


class Authenticator(AppCode):
    """The customer's authenticator app; at most one is active. Its codes are taken by `check_code` alone."""

    doublings_max: ClassVar[int] = 12
    """The longest wait after wrong codes is about an hour: whoever has the password can make it last, and
    keeps its owner from using the app, but not from using a recovery code.
    """

    class Meta:
        db_table = "customers_authenticator"
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=[state.value for state in State]), name="authenticator_state_known"
            ),
            models.CheckConstraint(
                condition=~Q(state=State.ACTIVE.value) | Q(last_step__gte=0), name="authenticator_was_shown"
            ),
            models.UniqueConstraint(
                fields=["user"], condition=Q(state=State.ACTIVE.value), name="authenticator_one_active"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.state} authenticator of {self.user_id}"


class RecoveryCode(models.Model):
    """One of the codes on paper that came with an authenticator; each stands in for the app once."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    authenticator = models.ForeignKey(Authenticator, models.PROTECT, related_name="recovery_codes")
    hashed = models.BinaryField(help_text="keyed hash, bound to the authenticator")
    used_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "customers_recovery_code"
        constraints = [models.UniqueConstraint(fields=["authenticator", "hashed"], name="recovery_code_once")]

    def __str__(self) -> str:
        return f"recovery code {self.pk}"
