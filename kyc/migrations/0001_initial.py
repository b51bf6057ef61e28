import django.db.models.deletion
from django.db import migrations, models

import core.ids
from core.append_only import append_only


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("access", "0001_initial"),
        ("customers", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="WebhookEndpoint",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=core.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "provider",
                    models.CharField(choices=[("sumsub", "Sumsub"), ("onfido", "Onfido")], max_length=16),
                ),
                ("secrets", models.BinaryField(help_text="sealed JSON list of the active secrets")),
                ("is_active", models.BooleanField(default=True)),
                ("declared_at", models.DateTimeField()),
            ],
            options={
                "db_table": "kyc_webhook_endpoint",
            },
        ),
        migrations.CreateModel(
            name="Case",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=core.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("review", "review"),
                            ("fraud", "fraud"),
                            ("officer_block", "officer_block"),
                            ("mismatch", "mismatch"),
                            ("country", "country"),
                            ("late_rejection", "late_rejection"),
                            ("contradiction", "contradiction"),
                            ("tier_decision", "tier_decision"),
                        ],
                        max_length=20,
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("queued", "queued"),
                            ("in_review", "in_review"),
                            ("proposed", "proposed"),
                            ("resolved", "resolved"),
                        ],
                        default="queued",
                        max_length=12,
                    ),
                ),
                ("outcome", models.CharField(blank=True, max_length=16)),
                ("request", models.UUIDField(help_text="the approval of the tier decision", null=True)),
                ("opened_at", models.DateTimeField()),
                ("closed_at", models.DateTimeField(null=True)),
                (
                    "assignee",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="access.identity",
                    ),
                ),
                (
                    "checker",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="access.identity",
                    ),
                ),
                (
                    "maker",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="access.identity",
                    ),
                ),
            ],
            options={
                "db_table": "kyc_case",
            },
        ),
        migrations.CreateModel(
            name="CaseEvent",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=core.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("kind", models.CharField(max_length=20)),
                ("note", models.BinaryField()),
                ("actor", models.CharField(max_length=120)),
                ("at", models.DateTimeField()),
                (
                    "case",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="events", to="kyc.case"
                    ),
                ),
            ],
            options={
                "db_table": "kyc_case_event",
            },
        ),
        migrations.CreateModel(
            name="KycProfile",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=core.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "officers_rank",
                    models.PositiveSmallIntegerField(default=0, help_text="the tier that officers granted"),
                ),
                (
                    "tier",
                    models.PositiveSmallIntegerField(
                        default=0, help_text="the effective tier as last told to customers"
                    ),
                ),
                ("person", models.BinaryField(null=True)),
                ("created_at", models.DateTimeField()),
                (
                    "customer",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="kyc_profile",
                        to="customers.customer",
                    ),
                ),
            ],
            options={
                "db_table": "kyc_profile",
            },
        ),
        migrations.AddField(
            model_name="case",
            name="profile",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="cases", to="kyc.kycprofile"
            ),
        ),
        migrations.CreateModel(
            name="ProviderApplicant",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=core.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "provider",
                    models.CharField(choices=[("sumsub", "Sumsub"), ("onfido", "Onfido")], max_length=16),
                ),
                ("applicant_id", models.CharField(blank=True, max_length=64)),
                ("level", models.CharField(max_length=64)),
                ("requested_seq", models.PositiveBigIntegerField(default=0)),
                ("applied_seq", models.PositiveBigIntegerField(default=0)),
                ("last_snapshot_started_at", models.DateTimeField(null=True)),
                (
                    "fingerprint",
                    models.CharField(
                        blank=True, help_text="of the last answer that was applied", max_length=64
                    ),
                ),
                ("sdk_token", models.BinaryField(null=True)),
                ("sdk_token_level", models.CharField(blank=True, max_length=64)),
                ("sdk_token_until", models.DateTimeField(null=True)),
                (
                    "trouble",
                    models.CharField(
                        blank=True, help_text="why the provider could not be asked", max_length=100
                    ),
                ),
                (
                    "profile",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="applicants",
                        to="kyc.kycprofile",
                    ),
                ),
            ],
            options={
                "db_table": "kyc_provider_applicant",
            },
        ),
        migrations.CreateModel(
            name="ProviderSnapshot",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=core.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("seq", models.PositiveBigIntegerField()),
                ("started_at", models.DateTimeField()),
                ("body", models.BinaryField()),
                ("body_sha256", models.CharField(help_text="of the sealed bytes", max_length=64)),
                (
                    "applicant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="snapshots",
                        to="kyc.providerapplicant",
                    ),
                ),
            ],
            options={
                "db_table": "kyc_provider_snapshot",
            },
        ),
        migrations.CreateModel(
            name="Verification",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=core.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "provider",
                    models.CharField(choices=[("sumsub", "Sumsub"), ("onfido", "Onfido")], max_length=16),
                ),
                ("level", models.CharField(max_length=64)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("not_started", "not_started"),
                            ("in_progress", "in_progress"),
                            ("submitted", "submitted"),
                            ("on_hold", "on_hold"),
                            ("approved", "approved"),
                            ("retry_required", "retry_required"),
                            ("rejected_final", "rejected_final"),
                            ("expired", "expired"),
                            ("suspended", "suspended"),
                            ("erased", "erased"),
                        ],
                        default="not_started",
                        max_length=16,
                    ),
                ),
                ("attempt", models.PositiveIntegerField(default=1)),
                ("labels", models.JSONField(default=list)),
                ("message", models.TextField(blank=True, help_text="the provider's words for the customer")),
                (
                    "comment",
                    models.BinaryField(help_text="the provider's words for us only, sealed", null=True),
                ),
                ("expires_at", models.DateTimeField(null=True)),
                ("moved_at", models.DateTimeField()),
                (
                    "profile",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="verifications",
                        to="kyc.kycprofile",
                    ),
                ),
            ],
            options={
                "db_table": "kyc_verification",
            },
        ),
        migrations.AddField(
            model_name="case",
            name="verification",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="cases",
                to="kyc.verification",
            ),
        ),
        migrations.CreateModel(
            name="WebhookDelivery",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=core.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("body_sha256", models.CharField(max_length=64)),
                ("body", models.BinaryField(help_text="sealed")),
                ("received_at", models.DateTimeField()),
                ("last_seen_at", models.DateTimeField()),
                ("times_seen", models.PositiveIntegerField(default=1)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("new", "New"),
                            ("done", "Done"),
                            ("ignored", "Ignored"),
                            ("poison", "Poison"),
                            ("orphan", "Orphan"),
                        ],
                        default="new",
                        max_length=8,
                    ),
                ),
                ("event", models.CharField(blank=True, max_length=64)),
                ("why", models.CharField(blank=True, max_length=200)),
                (
                    "applicant",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="deliveries",
                        to="kyc.providerapplicant",
                    ),
                ),
                (
                    "endpoint",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="deliveries",
                        to="kyc.webhookendpoint",
                    ),
                ),
            ],
            options={
                "db_table": "kyc_webhook_delivery",
            },
        ),
        migrations.CreateModel(
            name="VerificationTransition",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=core.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("before", models.CharField(max_length=16)),
                ("after", models.CharField(max_length=16)),
                ("attempt", models.PositiveIntegerField()),
                (
                    "cause",
                    models.CharField(
                        help_text="snapshot, delivery, officer, officers or expiry", max_length=16
                    ),
                ),
                ("why", models.CharField(blank=True, max_length=200)),
                ("actor", models.CharField(max_length=120)),
                ("at", models.DateTimeField()),
                (
                    "snapshot",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="transitions",
                        to="kyc.providersnapshot",
                    ),
                ),
                (
                    "verification",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="transitions",
                        to="kyc.verification",
                    ),
                ),
                (
                    "delivery",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="transitions",
                        to="kyc.webhookdelivery",
                    ),
                ),
            ],
            options={
                "db_table": "kyc_verification_transition",
            },
        ),
        migrations.CreateModel(
            name="UnverifiedDelivery",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=core.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("minute", models.DateTimeField()),
                ("body_sha256", models.CharField(max_length=64)),
                ("body_bytes", models.PositiveIntegerField()),
                ("ip", models.CharField(blank=True, max_length=45)),
                (
                    "endpoint",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="unverified",
                        to="kyc.webhookendpoint",
                    ),
                ),
            ],
            options={
                "db_table": "kyc_unverified_delivery",
            },
        ),
        migrations.AddConstraint(
            model_name="kycprofile",
            constraint=models.CheckConstraint(
                condition=models.Q(("officers_rank__lte", 4), ("tier__lte", 4)), name="profile_tier_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="providerapplicant",
            constraint=models.UniqueConstraint(
                fields=("profile", "provider"), name="applicant_once_per_provider"
            ),
        ),
        migrations.AddConstraint(
            model_name="providerapplicant",
            constraint=models.UniqueConstraint(
                condition=models.Q(("applicant_id", ""), _negated=True),
                fields=("provider", "applicant_id"),
                name="applicant_id_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="providerapplicant",
            constraint=models.CheckConstraint(
                condition=models.Q(("applied_seq__lte", models.F("requested_seq"))),
                name="applicant_seq_order",
            ),
        ),
        migrations.AddConstraint(
            model_name="verification",
            constraint=models.UniqueConstraint(
                fields=("profile", "provider", "level"), name="verification_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="verification",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "state__in",
                        [
                            "not_started",
                            "in_progress",
                            "submitted",
                            "on_hold",
                            "approved",
                            "retry_required",
                            "rejected_final",
                            "expired",
                            "suspended",
                            "erased",
                        ],
                    )
                ),
                name="verification_state_known",
            ),
        ),
        migrations.AddIndex(
            model_name="case",
            index=models.Index(fields=["state", "opened_at"], name="case_queue"),
        ),
        migrations.AddConstraint(
            model_name="case",
            constraint=models.UniqueConstraint(
                condition=models.Q(("closed_at", None)), fields=("profile", "kind"), name="case_open_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="case",
            constraint=models.CheckConstraint(
                condition=models.Q(("checker", models.F("maker")), _negated=True),
                name="case_checker_never_maker",
            ),
        ),
        migrations.AddConstraint(
            model_name="case",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("closed_at__isnull", False),
                        ("state", "resolved"),
                        models.Q(("outcome", ""), _negated=True),
                    ),
                    models.Q(
                        models.Q(("state", "resolved"), _negated=True), ("closed_at", None), ("outcome", "")
                    ),
                    _connector="OR",
                ),
                name="case_closed_with_outcome",
            ),
        ),
        migrations.AddConstraint(
            model_name="case",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("outcome", "approve_tier"), _negated=True),
                    models.Q(
                        ("checker__isnull", False), ("maker__isnull", False), ("request__isnull", False)
                    ),
                    _connector="OR",
                ),
                name="case_tier_needs_two",
            ),
        ),
        migrations.AddIndex(
            model_name="webhookdelivery",
            index=models.Index(fields=["state", "received_at"], name="delivery_state"),
        ),
        migrations.AddConstraint(
            model_name="webhookdelivery",
            constraint=models.UniqueConstraint(fields=("endpoint", "body_sha256"), name="delivery_once"),
        ),
        migrations.AddConstraint(
            model_name="unverifieddelivery",
            constraint=models.UniqueConstraint(
                fields=("endpoint", "minute"), name="unverified_once_a_minute"
            ),
        ),
        append_only("kyc_provider_snapshot"),
        append_only("kyc_verification_transition"),
        append_only("kyc_case_event"),
    ]
