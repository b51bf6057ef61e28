"""Requests for approval, and the signatures given to them.

The database keeps the promises by itself (triggers of the first migration): the payload and the terms never
change, the maker never signs, nobody signs twice, a state is reached only by a listed step with the quorum
recounted, deadlines are measured by the server's clock, and what is over is over.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Func, Q

from core.approvals.domain.drafts import State as DraftState
from core.approvals.domain.requests import State
from core.ids import new_id
from kernel.approval import Verb
from kernel.policy import Policy

AGREEING: Final = (Verb.APPROVE.value, Verb.RELEASE.value)
WINDOW_MAX: Final = timedelta(days=7)


def _sha256(*columns: str) -> Func:
    """SHA-256 over the columns' bytes, one after another."""
    return Func(*map(F, columns), template="sha256(%(expressions)s)", arg_joiner=" || ")


class ApprovalRequest(models.Model):
    """What is to be approved, by whom, until when. `digest` is computed by the database from the payload.

    `opened_at`, `approve_by` and `execute_by` are written by the database from its own clock and the two
    windows; the application cannot choose them.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    kind = models.CharField(max_length=64)
    deployment = models.CharField(max_length=64)
    payload = models.BinaryField()
    digest = models.GeneratedField(
        expression=_sha256("payload"), output_field=models.BinaryField(), db_persist=True
    )
    nonce = models.BinaryField(unique=True)
    maker = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    subject = models.CharField(
        max_length=128, help_text="the row that it is about, e.g. custody.withdrawal/0192…"
    )
    teams = models.JSONField()
    rejections_needed = models.PositiveSmallIntegerField(default=1)
    policy_version = models.PositiveIntegerField(default=0, help_text="under which it was judged")
    rule = models.CharField(
        max_length=120, blank=True, help_text="of that policy; empty: the kind's own quorum"
    )
    floor = models.JSONField(default=dict, help_text="the quorum that the kind itself asks for")
    facts = models.JSONField(default=dict, help_text="as they were judged")
    was_for_lane = models.BooleanField(
        default=False, help_text="the signers' lane could have taken it, had the policy asked nobody"
    )
    agreeing = models.CharField(
        max_length=8,
        default=AGREEING[0],
        help_text="the verb that counts: release where a signer is to let go",
    )
    state = models.CharField(
        max_length=16, default=State.OPEN.value, choices=[(s.value, s.value) for s in State]
    )
    approve_within = models.DurationField()
    execute_within = models.DurationField()
    opened_at = models.DateTimeField(editable=False, null=True)
    approve_by = models.DateTimeField(editable=False, null=True)
    execute_by = models.DateTimeField(editable=False, null=True)
    moved_at = models.DateTimeField(editable=False, null=True)

    class Meta:
        db_table = "approvals_request"
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=[s.value for s in State]), name="request_state_known"
            ),
            models.CheckConstraint(condition=Q(rejections_needed__gte=1), name="request_rejectable"),
            models.CheckConstraint(condition=Q(agreeing__in=AGREEING), name="request_agreeing_known"),
            models.CheckConstraint(
                condition=Q(approve_within__gt=timedelta(0), approve_within__lte=WINDOW_MAX)
                & Q(execute_within__gt=timedelta(0), execute_within__lte=WINDOW_MAX),
                name="request_windows_bounded",
            ),
            models.UniqueConstraint(
                fields=["subject", "kind"], condition=Q(state="open"), name="request_open_once"
            ),
        ]
        indexes = [
            models.Index(fields=["state", "kind"], name="request_state"),
            models.Index(fields=["subject"], name="request_subject"),
            models.Index(fields=["opened_at"], name="request_time"),  # windows look back over hours
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"


class Waiver(models.Model):
    """That the policy asked nobody about an act, with what it judged. Append-only, once for each subject.

    It allows nothing by itself: whoever acts on it (the signers' lane) has limits of its own. `waived_at` is
    written by the database.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    kind = models.CharField(max_length=64)
    deployment = models.CharField(max_length=64)
    payload = models.BinaryField()
    digest = models.GeneratedField(
        expression=_sha256("payload"), output_field=models.BinaryField(), db_persist=True
    )
    subject = models.CharField(max_length=128)
    policy_version = models.PositiveIntegerField()
    rule = models.CharField(max_length=120)
    floor = models.JSONField(default=dict, help_text="the quorum that a request would have asked for")
    facts = models.JSONField()
    waived_at = models.DateTimeField(editable=False, null=True)

    class Meta:
        db_table = "approvals_waiver"
        constraints = [models.UniqueConstraint(fields=["subject", "kind"], name="waiver_once")]
        indexes = [models.Index(fields=["waived_at"], name="waiver_time")]

    def __str__(self) -> str:
        return f"waiver {self.pk}"


class ApprovalPolicy(models.Model):
    """A published version of the policy, for good. A trigger lets in only what its own quorum approved.

    The newest version is in force; requests name the one that they were judged under.
    """

    version = models.PositiveIntegerField(primary_key=True)
    document = models.BinaryField()
    request = models.OneToOneField(
        ApprovalRequest, models.PROTECT, null=True, blank=True, related_name="published_policy"
    )
    published_at = models.DateTimeField()

    class Meta:
        db_table = "approvals_policy"
        constraints = [
            models.CheckConstraint(
                condition=Q(version=1) ^ Q(request__isnull=False), name="policy_founded_or_approved"
            )
        ]

    def __str__(self) -> str:
        return f"policy {self.version}"

    @property
    def parsed(self) -> Policy:
        """The document, read."""
        return Policy.parse(bytes(self.document))


class PolicyDraft(models.Model):
    """A policy that somebody works on: its document under the next version, and how it would have judged."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    document = models.BinaryField()
    maker = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    state = models.CharField(
        max_length=12, default=DraftState.DRAFT.value, choices=[(s.value, s.value) for s in DraftState]
    )
    backtest = models.JSONField(null=True, blank=True)
    request = models.OneToOneField(
        ApprovalRequest, models.PROTECT, null=True, blank=True, related_name="policy_draft"
    )
    changed_at = models.DateTimeField()

    class Meta:
        db_table = "approvals_policy_draft"
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=[s.value for s in DraftState]), name="policy_draft_state_known"
            )
        ]

    def __str__(self) -> str:
        return f"draft {self.pk}"

    @property
    def parsed(self) -> Policy:
        """The document, read."""
        return Policy.parse(bytes(self.document))


class ApprovalSignature(models.Model):
    """One officer's answer, whole: anybody with the public key can check it later. Append-only.

    The maker's own says that they ask, and never counts toward the quorum.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    request = models.ForeignKey(ApprovalRequest, models.PROTECT, related_name="signatures")
    maker = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    digest = models.BinaryField()
    officer = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="approval_signatures")
    credential = models.ForeignKey("access.OfficerCredential", models.PROTECT, related_name="+")
    verb = models.CharField(max_length=8, choices=[(v.value, v.value) for v in Verb])
    reason = models.CharField(max_length=2000, blank=True)
    teams = ArrayField(models.CharField(max_length=32))
    authenticator_data = models.BinaryField()
    client_data = models.BinaryField()
    signature = models.BinaryField()
    confirmation = models.BinaryField(
        default=b"", help_text="by the officer's offline decoder, over the same statement"
    )
    assertion = models.GeneratedField(
        expression=_sha256("authenticator_data", "client_data", "signature"),
        output_field=models.BinaryField(),
        db_persist=True,
        unique=True,
    )
    signed_at = models.DateTimeField(editable=False, null=True)

    class Meta:
        db_table = "approvals_signature"
        constraints = [
            models.UniqueConstraint(fields=["request", "officer"], name="signature_person_once"),
            models.UniqueConstraint(fields=["request", "credential"], name="signature_key_once"),
            models.CheckConstraint(
                condition=Q(officer=F("maker"), verb=Verb.ASK.value)
                | ~Q(officer=F("maker")) & ~Q(verb=Verb.ASK.value),
                name="signature_maker_only_asks",
            ),
            models.CheckConstraint(
                condition=Q(verb__in=[v.value for v in Verb]), name="signature_verb_known"
            ),
            models.CheckConstraint(
                condition=~Q(verb="reject") | Q(reason__regex=r"\S"), name="signature_rejection_reasoned"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.verb} by {self.officer_id}"
