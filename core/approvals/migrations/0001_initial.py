from datetime import timedelta

import django.contrib.postgres.fields
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import core.ids
from core.append_only import append_only
from core.approvals import guards
from core.fixed_columns import fixed_columns


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("access", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="ApprovalRequest",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=core.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("kind", models.CharField(max_length=64)),
                ("deployment", models.CharField(max_length=64)),
                ("payload", models.BinaryField()),
                (
                    "digest",
                    models.GeneratedField(
                        db_persist=True,
                        expression=models.Func(
                            models.F("payload"), arg_joiner=" || ", template="sha256(%(expressions)s)"
                        ),
                        output_field=models.BinaryField(),
                    ),
                ),
                ("nonce", models.BinaryField(unique=True)),
                (
                    "subject",
                    models.CharField(
                        help_text="the row that it is about, e.g. custody.withdrawal/0192…", max_length=128
                    ),
                ),
                ("teams", models.JSONField()),
                ("rejections_needed", models.PositiveSmallIntegerField(default=1)),
                (
                    "agreeing",
                    models.CharField(
                        default="approve",
                        help_text="the verb that counts: release where a signer is to let go",
                        max_length=8,
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("open", "open"),
                            ("approved", "approved"),
                            ("rejected", "rejected"),
                            ("withdrawn", "withdrawn"),
                            ("expired", "expired"),
                            ("consumed", "consumed"),
                        ],
                        default="open",
                        max_length=16,
                    ),
                ),
                ("approve_within", models.DurationField()),
                ("execute_within", models.DurationField()),
                ("opened_at", models.DateTimeField(editable=False, null=True)),
                ("approve_by", models.DateTimeField(editable=False, null=True)),
                ("execute_by", models.DateTimeField(editable=False, null=True)),
                ("moved_at", models.DateTimeField(editable=False, null=True)),
                (
                    "maker",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "db_table": "approvals_request",
            },
        ),
        migrations.CreateModel(
            name="ApprovalSignature",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=core.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("digest", models.BinaryField()),
                (
                    "verb",
                    models.CharField(
                        choices=[("approve", "approve"), ("reject", "reject"), ("release", "release")],
                        max_length=8,
                    ),
                ),
                ("reason", models.CharField(blank=True, max_length=2000)),
                (
                    "teams",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=32), size=None
                    ),
                ),
                ("authenticator_data", models.BinaryField()),
                ("client_data", models.BinaryField()),
                ("signature", models.BinaryField()),
                (
                    "confirmation",
                    models.BinaryField(
                        default=b"", help_text="by the officer's offline decoder, over the same statement"
                    ),
                ),
                (
                    "assertion",
                    models.GeneratedField(
                        db_persist=True,
                        expression=models.Func(
                            models.F("authenticator_data"),
                            models.F("client_data"),
                            models.F("signature"),
                            arg_joiner=" || ",
                            template="sha256(%(expressions)s)",
                        ),
                        output_field=models.BinaryField(),
                        unique=True,
                    ),
                ),
                ("signed_at", models.DateTimeField(editable=False, null=True)),
                (
                    "credential",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="access.officercredential",
                    ),
                ),
                (
                    "maker",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "officer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="approval_signatures",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "request",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="signatures",
                        to="approvals.approvalrequest",
                    ),
                ),
            ],
            options={
                "db_table": "approvals_signature",
            },
        ),
        migrations.AddIndex(
            model_name="approvalrequest",
            index=models.Index(fields=["state", "kind"], name="request_state"),
        ),
        migrations.AddIndex(
            model_name="approvalrequest",
            index=models.Index(fields=["subject"], name="request_subject"),
        ),
        migrations.AddConstraint(
            model_name="approvalrequest",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("state__in", ["open", "approved", "rejected", "withdrawn", "expired", "consumed"])
                ),
                name="request_state_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="approvalrequest",
            constraint=models.CheckConstraint(
                condition=models.Q(("rejections_needed__gte", 1)), name="request_rejectable"
            ),
        ),
        migrations.AddConstraint(
            model_name="approvalrequest",
            constraint=models.CheckConstraint(
                condition=models.Q(("agreeing__in", ("approve", "release"))), name="request_agreeing_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="approvalrequest",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("approve_within__gt", timedelta(0)),
                    ("approve_within__lte", timedelta(days=7)),
                    ("execute_within__gt", timedelta(0)),
                    ("execute_within__lte", timedelta(days=7)),
                ),
                name="request_windows_bounded",
            ),
        ),
        migrations.AddConstraint(
            model_name="approvalrequest",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state", "open")), fields=("subject", "kind"), name="request_open_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="approvalsignature",
            constraint=models.UniqueConstraint(fields=("request", "officer"), name="signature_person_once"),
        ),
        migrations.AddConstraint(
            model_name="approvalsignature",
            constraint=models.UniqueConstraint(fields=("request", "credential"), name="signature_key_once"),
        ),
        migrations.AddConstraint(
            model_name="approvalsignature",
            constraint=models.CheckConstraint(
                condition=models.Q(("officer", models.F("maker")), _negated=True),
                name="signature_never_maker",
            ),
        ),
        migrations.AddConstraint(
            model_name="approvalsignature",
            constraint=models.CheckConstraint(
                condition=models.Q(("verb__in", ["approve", "reject", "release"])),
                name="signature_verb_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="approvalsignature",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("verb", "reject"), _negated=True), ("reason__regex", r"\S"), _connector="OR"
                ),
                name="signature_rejection_reasoned",
            ),
        ),
        fixed_columns("approvals_request", free=["state", "moved_at"], generated=["digest"]),
        append_only("approvals_signature"),
        migrations.RunSQL(
            sql=guards.OPENING
            + guards.COUNTING
            + guards.MOVING
            + guards.SIGNING
            + guards.ANSWERING
            + guards.ANSWERED,
            reverse_sql=guards.REMOVAL,
        ),
    ]
