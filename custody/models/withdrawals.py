"""Withdrawals, and where customers send coins to."""

from __future__ import annotations

from typing import Final

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from core.fields import UnitsField
from core.ids import new_id
from custody.domain import withdrawals
from custody.domain.withdrawals import State
from custody.models.moving import Moving, choices, known
from kernel.money import Amount

LANE_ALONE: Final = [
    "offered",
    *("signed", "broadcast", "confirmed", "conflicted", "settled", "failed"),
]
"""States that the signers' lane brings a withdrawal to without a request."""


class Beneficiary(models.Model):
    """A destination that a customer has named. Until an officer has cleared it, its withdrawals wait on
    hold.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    customer = models.ForeignKey("customers.Customer", models.PROTECT, related_name="beneficiaries")
    asset = models.CharField(max_length=12)
    address = models.CharField(max_length=100)
    label = models.CharField(max_length=80)
    added_at = models.DateTimeField()
    cleared_at = models.DateTimeField(null=True, blank=True)
    cleared_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+"
    )

    class Meta:
        db_table = "custody_beneficiary"
        constraints = [
            models.UniqueConstraint(fields=["customer", "asset", "address"], name="beneficiary_once"),
            models.CheckConstraint(
                condition=Q(cleared_at__isnull=True, cleared_by__isnull=True)
                | Q(cleared_at__isnull=False, cleared_by__isnull=False),
                name="beneficiary_cleared_by",
            ),
        ]

    def __str__(self) -> str:
        return self.label


class Withdrawal(Moving):
    """A customer's order to send coins out. Amount, destination and price never change after the request.

    `price_cents` and `value_cents` are US cents (per coin, and of the amount) at the time of the request.
    `waiver` is the policy's word that no officer need be asked, where the signers' lane was offered it.
    `maker` answers for the request before the checkers: the officer who released it, or automatic
    screening where it had nothing to say.
    """

    STATES = State
    NEXT = withdrawals.NEXT

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    customer = models.ForeignKey("customers.Customer", models.PROTECT, related_name="withdrawals")
    client_id = models.CharField(max_length=32)
    asset = models.CharField(max_length=12)
    units = UnitsField()
    fee_units = UnitsField()
    fee_cap_units = UnitsField()
    destination = models.CharField(max_length=100)
    beneficiary = models.ForeignKey(Beneficiary, models.PROTECT, related_name="withdrawals")
    state = models.CharField(max_length=12, default=State.REQUESTED, choices=choices(State))
    reason = models.CharField(max_length=500, default="", blank=True)
    price_cents = UnitsField()
    priced_at = models.DateTimeField()
    value_cents = UnitsField()
    requested_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True, blank=True)
    maker = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+"
    )
    request = models.OneToOneField(
        "approvals.ApprovalRequest", models.PROTECT, null=True, blank=True, related_name="withdrawal"
    )
    waiver = models.OneToOneField(
        "approvals.Waiver", models.PROTECT, null=True, blank=True, related_name="withdrawal"
    )

    class Meta:
        db_table = "custody_withdrawal"
        constraints = [
            models.UniqueConstraint(fields=["customer", "client_id"], name="withdrawal_client_id_once"),
            known(State, "withdrawal_state"),
            models.CheckConstraint(
                condition=Q(
                    units__gt=0, fee_units__gte=0, fee_cap_units__gt=0, value_cents__gt=0, price_cents__gt=0
                ),
                name="withdrawal_not_empty",
            ),
            models.CheckConstraint(
                condition=Q(expires_at__gt=F("requested_at")), name="withdrawal_expires_later"
            ),
            models.CheckConstraint(
                condition=Q(state__in=["requested", "on_hold", "rejected", "cancelled", "expired"])
                | Q(request__isnull=False, maker__isnull=False)
                | Q(state__in=LANE_ALONE, waiver__isnull=False, maker__isnull=False),
                name="withdrawal_approved_by_request",
            ),
        ]
        indexes = [
            models.Index(fields=["customer", "-requested_at"], name="withdrawal_of_customer"),
            models.Index(fields=["state", "requested_at"], name="withdrawal_queue"),
            models.Index("settled_at", name="withdrawal_settled"),
            models.Index(fields=["-requested_at", "-id"], name="withdrawal_listed"),
        ]

    def __str__(self) -> str:
        return f"withdrawal {self.pk}"

    @property
    def amount(self) -> Amount:
        """What the destination receives."""
        return Amount(self.units, self.asset)

    @property
    def fee(self) -> Amount:
        """What the customer pays for it."""
        return Amount(self.fee_units, self.asset)

    @property
    def fee_cap(self) -> Amount:
        """What the network may cost us at most."""
        return Amount(self.fee_cap_units, self.asset)

    @property
    def destination_label(self) -> str:
        """The customer's name for the destination."""
        return self.beneficiary.label

    @property
    def hold_reference(self) -> str:
        """The name of its hold in the ledger."""
        return f"custody.withdrawal/{self.pk}"
