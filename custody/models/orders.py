"""Officers' orders to the signers, the signers' answers, and how each signer was when last asked."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from core.ids import new_id
from custody.domain import orders
from custody.domain.orders import Kind, State
from custody.models.moving import Moving, choices, known


class SignerOrder(Moving):
    """One order, as the canonical bytes that officers sign.

    A freeze or a veto carries its one officer's assertion itself, a recovery the list of its officers', whom
    `recovery` names as the registry in force does; the other kinds have an approval request.
    What the row says binds nobody: signers read the signatures.
    """

    STATES = State
    NEXT = orders.NEXT

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    kind = models.CharField(max_length=32, choices=choices(Kind))
    subject = models.CharField(max_length=80, help_text="a wallet or *, a token, or a registry's digest")
    reason = models.CharField(max_length=500)
    payload = models.BinaryField()
    nonce = models.BinaryField(unique=True)
    tokens = ArrayField(models.CharField(max_length=64), help_text="the signers that it is sent to")
    state = models.CharField(max_length=12, default=State.SIGNING, choices=choices(State))
    maker = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    request = models.OneToOneField(
        "approvals.ApprovalRequest", models.PROTECT, null=True, blank=True, related_name="signer_order"
    )
    assertion = models.JSONField(null=True, blank=True)
    recovery = models.JSONField(null=True, blank=True, help_text="officers, quorum and delay of a recovery")
    made_at = models.DateTimeField()
    expires_at = models.DateTimeField()

    class Meta:
        db_table = "custody_signer_order"
        constraints = [
            known(State, "signer_order_state"),
            models.CheckConstraint(condition=Q(kind__in=sorted(map(str, Kind))), name="signer_order_kind"),
            models.CheckConstraint(condition=~Q(reason=""), name="signer_order_reasoned"),
            models.CheckConstraint(
                condition=Q(kind=Kind.RECOVERY.value, recovery__isnull=False, request__isnull=True)
                | ~Q(kind=Kind.RECOVERY.value) & Q(recovery__isnull=True),
                name="signer_order_recovery",
            ),
            models.CheckConstraint(
                condition=Q(request__isnull=True) | Q(assertion__isnull=True),
                name="signer_order_signed_one_way",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["signed", "obeyed", "refused"])
                | Q(request__isnull=False)
                | Q(assertion__isnull=False),
                name="signer_order_signed_by_one",
            ),
        ]
        indexes = [models.Index(fields=["state"], name="signer_order_by_state")]

    def __str__(self) -> str:
        return f"order {self.pk}"


class OrderAnswer(models.Model):
    """What one signer said to one order, once and for all."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    order = models.ForeignKey(SignerOrder, models.PROTECT, related_name="answers")
    token = models.CharField(max_length=64)
    obeyed = models.BooleanField()
    code = models.CharField(max_length=64, blank=True)
    detail = models.CharField(max_length=400, blank=True)
    answered_at = models.DateTimeField()

    class Meta:
        db_table = "custody_order_answer"
        constraints = [
            models.UniqueConstraint(fields=["order", "token"], name="signer_order_answered_once"),
            models.CheckConstraint(condition=Q(obeyed=True) ^ ~Q(code=""), name="signer_order_answer_code"),
        ]

    def __str__(self) -> str:
        return f"{self.token}: {self.code or 'obeyed'}"


class SignerHealth(models.Model):
    """A signer as it described itself when it last answered; `asked_at` is later where it no longer does.

    `announced` and `vetoed` are what its journal says of registries, by digest, `outstanding` what it says of
    transactions that its lane signed, by their ids (`domain.journals`). `uncounted` are the officers whose
    release of each thing that is `frozen` it does not count. `warned` names registries of which
    people were warned because of it.
    """

    token = models.CharField(max_length=64, primary_key=True)
    state = models.CharField(max_length=64)
    why = models.CharField(max_length=400, blank=True)
    standing = models.CharField(max_length=64, blank=True)
    registry_version = models.PositiveIntegerField(default=0)
    registry_digest = models.CharField(max_length=64, blank=True)
    journal_lines = models.PositiveIntegerField(default=0, help_text="so many of them were read")
    journal_last = models.CharField(max_length=64, blank=True, help_text="the hash of the last one read")
    announced = models.JSONField(default=dict)
    vetoed = models.JSONField(default=dict)
    outstanding = models.JSONField(default=dict)
    warned = models.JSONField(default=list)
    frozen = models.JSONField(default=dict)
    uncounted = models.JSONField(default=dict)
    used = models.JSONField(default=dict)
    lanes = models.JSONField(default=dict)
    answered_at = models.DateTimeField(null=True, blank=True)
    asked_at = models.DateTimeField()

    class Meta:
        db_table = "custody_signer_health"

    def __str__(self) -> str:
        return f"{self.token} {self.state}"

    @property
    def is_silent(self) -> bool:
        """Whether the last question was not answered."""
        return self.answered_at is None or self.answered_at < self.asked_at
