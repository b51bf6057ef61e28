from datetime import UTC, datetime

import django.db.models.deletion
from django.db import migrations, models

import core.ids
from core.append_only import append_only
from core.approvals import guards
from core.approvals.domain.founding import FOUNDING
from core.fixed_columns import fixed_columns
from kernel import canonical


def found(apps: object, schema_editor: object) -> None:
    """Version 1, which every deployment begins with."""
    model = apps.get_model("approvals", "ApprovalPolicy")  # type: ignore[attr-defined]
    model.objects.create(
        version=1,
        document=canonical.encode(FOUNDING),
        published_at=datetime(2026, 11, 28, tzinfo=UTC),
    )


class Migration(migrations.Migration):
    dependencies = [
        ("access", "0002_collector_role"),
        ("approvals", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="approvalrequest",
            name="facts",
            field=models.JSONField(default=dict, help_text="as they were judged"),
        ),
        migrations.AddField(
            model_name="approvalrequest",
            name="floor",
            field=models.JSONField(default=dict, help_text="the quorum that the kind itself asks for"),
        ),
        migrations.AddField(
            model_name="approvalrequest",
            name="policy_version",
            field=models.PositiveIntegerField(default=0, help_text="under which it was judged"),
        ),
        migrations.AddField(
            model_name="approvalrequest",
            name="rule",
            field=models.CharField(
                blank=True, help_text="of that policy; empty: the kind's own quorum", max_length=120
            ),
        ),
        migrations.CreateModel(
            name="ApprovalPolicy",
            fields=[
                ("version", models.PositiveIntegerField(primary_key=True, serialize=False)),
                ("document", models.BinaryField()),
                ("published_at", models.DateTimeField()),
                (
                    "request",
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="published_policy",
                        to="approvals.approvalrequest",
                    ),
                ),
            ],
            options={
                "db_table": "approvals_policy",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("version", 1), ("request__isnull", False), _connector="XOR"),
                        name="policy_founded_or_approved",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="PolicyDraft",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=core.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("document", models.BinaryField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("draft", "draft"),
                            ("asked", "asked"),
                            ("published", "published"),
                            ("rejected", "rejected"),
                            ("dropped", "dropped"),
                        ],
                        default="draft",
                        max_length=12,
                    ),
                ),
                ("backtest", models.JSONField(blank=True, null=True)),
                ("changed_at", models.DateTimeField()),
                (
                    "maker",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="access.identity"
                    ),
                ),
                (
                    "request",
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="policy_draft",
                        to="approvals.approvalrequest",
                    ),
                ),
            ],
            options={
                "db_table": "approvals_policy_draft",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("state__in", ["draft", "asked", "published", "rejected", "dropped"])
                        ),
                        name="policy_draft_state_known",
                    )
                ],
            },
        ),
        append_only("approvals_policy"),
        fixed_columns(
            "approvals_policy_draft", free=["document", "state", "backtest", "request_id", "changed_at"]
        ),
        migrations.RunPython(found, migrations.RunPython.noop),
        migrations.RunSQL(
            sql=guards.PUBLISHING, reverse_sql="DROP FUNCTION approvals_policy_published() CASCADE;"
        ),
    ]
