"""What customers signed with keys of their own, and which signers have learnt it."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from core.ids import new_id
from custody.domain import statements


class CustomerStatement(models.Model):
    """One statement, whole: the canonical bytes and the proof that the customer's key signed them.

    `subject` is the public key (hex) or the destination that it is about. Signers read the bytes; what the
    row says beside them binds nobody. Append-only.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    customer = models.ForeignKey("customers.Customer", models.PROTECT, related_name="statements")
    kind = models.CharField(max_length=32, choices=[(kind, kind) for kind in statements.KINDS])
    subject = models.CharField(max_length=140)
    payload = models.BinaryField(unique=True)
    proof = models.JSONField()
    said_at = models.DateTimeField(help_text="as the customer says")
    received_at = models.DateTimeField()

    class Meta:
        db_table = "custody_customer_statement"
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=statements.KINDS), name="customer_statement_kind")
        ]
        indexes = [models.Index(fields=["customer", "received_at"], name="customer_statement_order")]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"


class StatementAnswer(models.Model):
    """What one signer said to one statement when it was last brought; without a code it has learnt it."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    statement = models.ForeignKey(CustomerStatement, models.PROTECT, related_name="answers")
    token = models.CharField(max_length=64)
    code = models.CharField(max_length=64, blank=True)
    detail = models.CharField(max_length=400, blank=True)
    alert = models.CharField(max_length=64, blank=True)
    answered_at = models.DateTimeField()

    class Meta:
        db_table = "custody_statement_answer"
        constraints = [
            models.UniqueConstraint(fields=["statement", "token"], name="statement_answered_once_each")
        ]

    def __str__(self) -> str:
        return f"{self.token}: {self.code or 'learnt'}"
