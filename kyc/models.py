"""Verifications of customers, what providers delivered and said about them, and cases.

Deliveries, provider documents, names, tokens and webhook secrets are sealed (kyc.vault). Snapshots,
transitions and case events are append-only by trigger.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from core.ids import new_id
from kyc.domain import cases, erasures, tiers, verifications


class Provider(models.TextChoices):
    """Who checks identities for us."""

    SUMSUB = "sumsub", "Sumsub"
    ONFIDO = "onfido", "Onfido"


class WebhookEndpoint(models.Model):
    """One address at which a provider delivers. Two secrets at once let a secret be changed without a gap."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    provider = models.CharField(max_length=16, choices=Provider.choices)
    secrets = models.BinaryField(help_text="sealed JSON list of the active secrets")
    is_active = models.BooleanField(default=True)
    declared_at = models.DateTimeField()

    class Meta:
        db_table = "kyc_webhook_endpoint"

    def __str__(self) -> str:
        return f"{self.provider} webhook {self.pk}"


class KycProfile(models.Model):
    """A customer's standing with us. `person` is what the provider read from the documents, sealed JSON."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    customer = models.OneToOneField("customers.Customer", models.PROTECT, related_name="kyc_profile")
    officers_rank = models.PositiveSmallIntegerField(default=0, help_text="the tier that officers granted")
    tier = models.PositiveSmallIntegerField(
        default=0, help_text="the effective tier as last told to customers"
    )
    person = models.BinaryField(null=True)
    created_at = models.DateTimeField()

    class Meta:
        db_table = "kyc_profile"
        constraints = [
            models.CheckConstraint(
                condition=Q(tier__lte=tiers.RANK_MAX, officers_rank__lte=tiers.RANK_MAX),
                name="profile_tier_known",
            )
        ]


class ProviderApplicant(models.Model):
    """A customer as one provider knows them, and how far our reading of it has come.

    `requested_seq` counts reasons to read, `applied_seq` the last one answered; an answer whose fetch began
    before `last_snapshot_started_at` is older than what we hold.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    profile = models.ForeignKey(KycProfile, models.PROTECT, related_name="applicants")
    provider = models.CharField(max_length=16, choices=Provider.choices)
    applicant_id = models.CharField(max_length=64, blank=True)
    level = models.CharField(max_length=64)
    requested_seq = models.PositiveBigIntegerField(default=0)
    applied_seq = models.PositiveBigIntegerField(default=0)
    last_snapshot_started_at = models.DateTimeField(null=True)
    fingerprint = models.CharField(max_length=64, blank=True, help_text="of the last answer that was applied")
    sdk_token = models.BinaryField(null=True)
    sdk_token_level = models.CharField(max_length=64, blank=True)
    sdk_token_until = models.DateTimeField(null=True)
    trouble = models.CharField(max_length=100, blank=True, help_text="why the provider could not be asked")

    class Meta:
        db_table = "kyc_provider_applicant"
        constraints = [
            models.UniqueConstraint(fields=["profile", "provider"], name="applicant_once_per_provider"),
            models.UniqueConstraint(
                fields=["provider", "applicant_id"], condition=~Q(applicant_id=""), name="applicant_id_once"
            ),
            models.CheckConstraint(
                condition=Q(applied_seq__lte=F("requested_seq")), name="applicant_seq_order"
            ),
        ]

    @property
    def external_user_id(self) -> str:
        """Our name for the applicant at the provider: opaque and stable."""
        return str(self.pk)


class WebhookDelivery(models.Model):
    """A delivery whose signature held. Equal bytes at one endpoint are one row, however often they come."""

    class State(models.TextChoices):
        NEW = "new"
        DONE = "done"
        IGNORED = "ignored"
        POISON = "poison"
        ORPHAN = "orphan"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    endpoint = models.ForeignKey(WebhookEndpoint, models.PROTECT, related_name="deliveries")
    body_sha256 = models.CharField(max_length=64)
    body = models.BinaryField(help_text="sealed, to the person once it is known about whom it is")
    key = models.BinaryField(default=b"", help_text="until then, the body's own key, sealed to the vault")
    received_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    times_seen = models.PositiveIntegerField(default=1)
    state = models.CharField(max_length=8, choices=State.choices, default=State.NEW)
    event = models.CharField(max_length=64, blank=True)
    applicant = models.ForeignKey(ProviderApplicant, models.PROTECT, null=True, related_name="deliveries")
    why = models.CharField(max_length=200, blank=True)

    class Meta:
        db_table = "kyc_webhook_delivery"
        constraints = [models.UniqueConstraint(fields=["endpoint", "body_sha256"], name="delivery_once")]
        indexes = [models.Index(fields=["state", "received_at"], name="delivery_state")]


class UnverifiedDelivery(models.Model):
    """That deliveries came whose signature did not hold: at most one row per endpoint and minute.

    Nothing of such a body is kept but its digest and size. The bound keeps strangers from filling the table.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    endpoint = models.ForeignKey(WebhookEndpoint, models.PROTECT, related_name="unverified")
    minute = models.DateTimeField()
    body_sha256 = models.CharField(max_length=64)
    body_bytes = models.PositiveIntegerField()
    ip = models.CharField(max_length=45, blank=True)

    class Meta:
        db_table = "kyc_unverified_delivery"
        constraints = [
            models.UniqueConstraint(fields=["endpoint", "minute"], name="unverified_once_a_minute")
        ]


class ProviderSnapshot(models.Model):
    """What the provider's API said at one moment, whole and sealed. Append-only."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    applicant = models.ForeignKey(ProviderApplicant, models.PROTECT, related_name="snapshots")
    seq = models.PositiveBigIntegerField()
    started_at = models.DateTimeField()
    body = models.BinaryField()
    body_sha256 = models.CharField(max_length=64, help_text="of the sealed bytes")

    class Meta:
        db_table = "kyc_provider_snapshot"


class Verification(models.Model):
    """One customer at one level of one provider."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    profile = models.ForeignKey(KycProfile, models.PROTECT, related_name="verifications")
    provider = models.CharField(max_length=16, choices=Provider.choices)
    level = models.CharField(max_length=64)
    state = models.CharField(
        max_length=16,
        choices=[(state.value, state.value) for state in verifications.State],
        default=verifications.State.NOT_STARTED.value,
    )
    attempt = models.PositiveIntegerField(default=1)
    labels = models.JSONField(default=list)
    message = models.TextField(blank=True, help_text="the provider's words for the customer")
    comment = models.BinaryField(null=True, help_text="the provider's words for us only, sealed")
    expires_at = models.DateTimeField(null=True)
    moved_at = models.DateTimeField()

    class Meta:
        db_table = "kyc_verification"
        constraints = [
            models.UniqueConstraint(fields=["profile", "provider", "level"], name="verification_once"),
            models.CheckConstraint(
                condition=Q(state__in=[state.value for state in verifications.State]),
                name="verification_state_known",
            ),
        ]


class VerificationTransition(models.Model):
    """One step of a verification and what caused it. Append-only."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    verification = models.ForeignKey(Verification, models.PROTECT, related_name="transitions")
    before = models.CharField(max_length=16)
    after = models.CharField(max_length=16)
    attempt = models.PositiveIntegerField()
    cause = models.CharField(max_length=16, help_text="snapshot, delivery, officer, officers or expiry")
    why = models.CharField(max_length=200, blank=True)
    snapshot = models.ForeignKey(ProviderSnapshot, models.PROTECT, null=True, related_name="transitions")
    delivery = models.ForeignKey(WebhookDelivery, models.PROTECT, null=True, related_name="transitions")
    actor = models.CharField(max_length=120)
    at = models.DateTimeField()

    class Meta:
        db_table = "kyc_verification_transition"


class Case(models.Model):
    """Something that people must look at. The officer who asks and the one who agrees are never the same."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    profile = models.ForeignKey(KycProfile, models.PROTECT, related_name="cases")
    verification = models.ForeignKey(Verification, models.PROTECT, null=True, related_name="cases")
    kind = models.CharField(max_length=20, choices=[(kind.value, kind.value) for kind in cases.Kind])
    state = models.CharField(
        max_length=12,
        choices=[(state.value, state.value) for state in cases.State],
        default=cases.State.QUEUED.value,
    )
    outcome = models.CharField(max_length=16, blank=True)
    assignee = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    maker = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    checker = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    request = models.UUIDField(null=True, help_text="the approval of the tier decision")
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "kyc_case"
        constraints = [
            models.UniqueConstraint(
                fields=["profile", "kind"], condition=Q(closed_at=None), name="case_open_once"
            ),
            models.CheckConstraint(condition=~Q(checker=F("maker")), name="case_checker_never_maker"),
            models.CheckConstraint(
                condition=Q(state="resolved", closed_at__isnull=False) & ~Q(outcome="")
                | ~Q(state="resolved") & Q(closed_at=None, outcome=""),
                name="case_closed_with_outcome",
            ),
            models.CheckConstraint(
                condition=~Q(outcome="approve_tier")
                | Q(maker__isnull=False, checker__isnull=False, request__isnull=False),
                name="case_tier_needs_two",
            ),
        ]
        indexes = [models.Index(fields=["state", "opened_at"], name="case_queue")]

    def __str__(self) -> str:
        return f"{self.kind} case {self.pk}"


class CaseEvent(models.Model):
    """One entry of a case's history; `note` is sealed, since people write about people. Append-only."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    case = models.ForeignKey(Case, models.PROTECT, related_name="events")
    kind = models.CharField(max_length=20)
    note = models.BinaryField()
    actor = models.CharField(max_length=120)
    at = models.DateTimeField()

    class Meta:
        db_table = "kyc_case_event"


class Erasure(models.Model):
    """A request to erase a customer, and what became of it. `reason` says nothing of the person: it stays."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    customer = models.ForeignKey("customers.Customer", models.PROTECT, related_name="erasures")
    state = models.CharField(
        max_length=12,
        choices=[(state.value, state.value) for state in erasures.State],
        default=erasures.State.REQUESTED.value,
    )
    basis = models.CharField(max_length=20, choices=[(basis.value, basis.label) for basis in erasures.Basis])
    reason = models.TextField()
    maker = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    request = models.OneToOneField("approvals.ApprovalRequest", models.PROTECT, related_name="erasure")
    requested_at = models.DateTimeField()
    erased_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "kyc_erasure"
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=sorted(state.value for state in erasures.State)),
                name="erasure_state_known",
            ),
            models.CheckConstraint(
                condition=Q(state="erased") ^ Q(erased_at=None), name="erasure_when_erased"
            ),
            models.UniqueConstraint(
                fields=["customer"],
                condition=Q(state__in=sorted({state.value for state in erasures.OPEN} | {"erased"})),
                name="erasure_one_open",
            ),
        ]

    def __str__(self) -> str:
        return f"erasure {self.pk}"
