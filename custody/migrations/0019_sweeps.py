import django.db.models.deletion
from django.db import migrations, models

import core.fields
import core.ids
import custody.domain.sweeps
from core.fixed_columns import fixed_columns

# The state table of the domain once more, for everybody who writes SQL; a test compares the two.
MOVES = """{
    "proposed": ["dismissed", "requested"],
    "requested": ["approved", "expired", "rejected"],
    "approved": ["built", "expired", "rejected"],
    "built": ["failed", "signing"],
    "signing": ["confirmed", "lapsed", "refused", "signed"],
    "refused": ["confirmed", "lapsed", "signing"],
    "signed": ["broadcast", "confirmed", "conflicted"],
    "broadcast": ["confirmed", "conflicted"],
    "confirmed": ["broadcast", "settled"],
    "conflicted": ["confirmed", "failed"],
    "lapsed": ["confirmed"],
    "settled": [],
    "dismissed": [],
    "rejected": [],
    "expired": [],
    "failed": []
}"""
STEPS = f"""
CREATE TRIGGER custody_sweep_moves BEFORE UPDATE ON custody_sweep
  FOR EACH ROW EXECUTE FUNCTION custody_step('{MOVES}');
ALTER TABLE custody_sweep ENABLE ALWAYS TRIGGER custody_sweep_moves;
"""
ROAD = ["state", "reason", "expires_at", "settled_at", "maker_id", "request_id"]


class Migration(migrations.Migration):
    dependencies = [
        ("access", "0006_own_accounts"),
        ("approvals", "0011_sweeps"),
        ("custody", "0018_found_by_what_is_rare"),
    ]

    operations = [
        migrations.CreateModel(
            name="Sweep",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=core.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("asset", models.CharField(max_length=12)),
                ("units", core.fields.UnitsField()),
                ("fee_cap_units", core.fields.UnitsField()),
                ("destination", models.CharField(max_length=100)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("proposed", "proposed"),
                            ("requested", "requested"),
                            ("approved", "approved"),
                            ("built", "built"),
                            ("signing", "signing"),
                            ("refused", "refused"),
                            ("signed", "signed"),
                            ("broadcast", "broadcast"),
                            ("confirmed", "confirmed"),
                            ("conflicted", "conflicted"),
                            ("settled", "settled"),
                            ("dismissed", "dismissed"),
                            ("rejected", "rejected"),
                            ("expired", "expired"),
                            ("lapsed", "lapsed"),
                            ("failed", "failed"),
                        ],
                        default=custody.domain.sweeps.State["PROPOSED"],
                        max_length=12,
                    ),
                ),
                ("reason", models.CharField(blank=True, default="", max_length=500)),
                ("proposed_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField(blank=True, null=True)),
                ("settled_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "db_table": "custody_sweep",
            },
        ),
        migrations.RemoveConstraint(
            model_name="payment",
            name="payment_one_owner",
        ),
        migrations.AddField(
            model_name="sweep",
            name="maker",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="access.identity",
            ),
        ),
        migrations.AddField(
            model_name="sweep",
            name="request",
            field=models.OneToOneField(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="sweep",
                to="approvals.approvalrequest",
            ),
        ),
        migrations.AddField(
            model_name="sweep",
            name="source",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="sweeps_out", to="custody.wallet"
            ),
        ),
        migrations.AddField(
            model_name="sweep",
            name="target",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="sweeps_in", to="custody.wallet"
            ),
        ),
        migrations.AddField(
            model_name="payment",
            name="sweep",
            field=models.OneToOneField(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="payment",
                to="custody.sweep",
            ),
        ),
        migrations.AddConstraint(
            model_name="payment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("refill__isnull", True), ("sweep__isnull", True), ("withdrawal__isnull", False)
                    ),
                    models.Q(
                        ("refill__isnull", False), ("sweep__isnull", True), ("withdrawal__isnull", True)
                    ),
                    models.Q(
                        ("refill__isnull", True), ("sweep__isnull", False), ("withdrawal__isnull", True)
                    ),
                    _connector="OR",
                ),
                name="payment_one_owner",
            ),
        ),
        migrations.AddConstraint(
            model_name="sweep",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "state__in",
                        [
                            "approved",
                            "broadcast",
                            "built",
                            "confirmed",
                            "conflicted",
                            "dismissed",
                            "expired",
                            "failed",
                            "lapsed",
                            "proposed",
                            "refused",
                            "rejected",
                            "requested",
                            "settled",
                            "signed",
                            "signing",
                        ],
                    )
                ),
                name="sweep_state",
            ),
        ),
        migrations.AddConstraint(
            model_name="sweep",
            constraint=models.UniqueConstraint(
                condition=models.Q(
                    (
                        "state__in",
                        [
                            "approved",
                            "broadcast",
                            "built",
                            "confirmed",
                            "conflicted",
                            "proposed",
                            "refused",
                            "requested",
                            "signed",
                            "signing",
                        ],
                    )
                ),
                fields=("source",),
                name="sweep_one_live",
            ),
        ),
        migrations.AddConstraint(
            model_name="sweep",
            constraint=models.CheckConstraint(
                condition=models.Q(("fee_cap_units__gt", 0), ("units__gt", 0)), name="sweep_not_empty"
            ),
        ),
        migrations.AddConstraint(
            model_name="sweep",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("state__in", ["proposed", "dismissed"]),
                    models.Q(("maker__isnull", False), ("request__isnull", False)),
                    _connector="OR",
                ),
                name="sweep_approved_by_request",
            ),
        ),
        fixed_columns("custody_sweep", free=ROAD),
        migrations.RunSQL(sql=STEPS, reverse_sql="DROP TRIGGER custody_sweep_moves ON custody_sweep;"),
    ]
