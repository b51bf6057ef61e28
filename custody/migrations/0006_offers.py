import django.db.models.deletion
from django.db import migrations, models

import custody.domain.withdrawals

# The state table of the domain, which has a state more; a test compares the two.
MOVES = """{
    "requested": ["cancelled", "expired", "offered", "on_hold", "screened"],
    "on_hold": ["cancelled", "expired", "rejected", "screened"],
    "offered": ["on_hold", "screened", "signed"],
    "screened": ["approved", "cancelled", "expired", "rejected"],
    "approved": ["built", "expired", "rejected"],
    "built": ["failed", "signing"],
    "signing": ["refused", "signed"],
    "refused": ["failed", "signing"],
    "signed": ["broadcast", "confirmed", "conflicted"],
    "broadcast": ["confirmed", "conflicted"],
    "confirmed": ["broadcast", "settled"],
    "conflicted": ["confirmed", "failed"],
    "settled": [],
    "rejected": [],
    "cancelled": [],
    "expired": [],
    "failed": []
}"""
FREE = {
    "custody_withdrawal": "state reason expires_at settled_at maker_id request_id waiver_id",
    "custody_payment": "raw asked_at offered_at signed_at sent_at height abandoned_at",
}


def replaced(table: str, trigger: str, function: str) -> migrations.RunSQL:
    """The operation that gives a trigger before updates another function call."""
    return migrations.RunSQL(
        sql=f"DROP TRIGGER {trigger} ON {table}; CREATE TRIGGER {trigger} BEFORE UPDATE ON {table} "
        f"FOR EACH ROW EXECUTE FUNCTION {function}; ALTER TABLE {table} ENABLE ALWAYS TRIGGER {trigger};",
        reverse_sql=migrations.RunSQL.noop,
    )


def freed(table: str) -> migrations.RunSQL:
    """The operation that lets one more column of a table change."""
    names = ", ".join(f"'{column}'" for column in FREE[table].split())
    return replaced(table, f"{table}_columns", f"keep_columns({names})")


class Migration(migrations.Migration):
    dependencies = [
        ("access", "0004_sessions"),
        ("approvals", "0004_waiver"),
        ("custody", "0005_lane"),
        ("customers", "0001_initial"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="withdrawal",
            name="withdrawal_state",
        ),
        migrations.RemoveConstraint(
            model_name="withdrawal",
            name="withdrawal_approved_by_request",
        ),
        migrations.AddField(
            model_name="payment",
            name="offered_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="withdrawal",
            name="waiver",
            field=models.OneToOneField(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="withdrawal",
                to="approvals.waiver",
            ),
        ),
        migrations.AlterField(
            model_name="withdrawal",
            name="state",
            field=models.CharField(
                choices=[
                    ("requested", "requested"),
                    ("on_hold", "on hold"),
                    ("offered", "offered"),
                    ("screened", "screened"),
                    ("approved", "approved"),
                    ("built", "built"),
                    ("signing", "signing"),
                    ("refused", "refused"),
                    ("signed", "signed"),
                    ("broadcast", "broadcast"),
                    ("confirmed", "confirmed"),
                    ("conflicted", "conflicted"),
                    ("settled", "settled"),
                    ("rejected", "rejected"),
                    ("cancelled", "cancelled"),
                    ("expired", "expired"),
                    ("failed", "failed"),
                ],
                default=custody.domain.withdrawals.State["REQUESTED"],
                max_length=12,
            ),
        ),
        migrations.AddConstraint(
            model_name="withdrawal",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "state__in",
                        [
                            "approved",
                            "broadcast",
                            "built",
                            "cancelled",
                            "confirmed",
                            "conflicted",
                            "expired",
                            "failed",
                            "offered",
                            "on_hold",
                            "refused",
                            "rejected",
                            "requested",
                            "screened",
                            "settled",
                            "signed",
                            "signing",
                        ],
                    )
                ),
                name="withdrawal_state",
            ),
        ),
        migrations.AddConstraint(
            model_name="withdrawal",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("state__in", ["requested", "on_hold", "rejected", "cancelled", "expired"]),
                    models.Q(("maker__isnull", False), ("request__isnull", False)),
                    models.Q(
                        ("maker__isnull", False),
                        (
                            "state__in",
                            [
                                "offered",
                                "signed",
                                "broadcast",
                                "confirmed",
                                "conflicted",
                                "settled",
                                "failed",
                            ],
                        ),
                        ("waiver__isnull", False),
                    ),
                    _connector="OR",
                ),
                name="withdrawal_approved_by_request",
            ),
        ),
        replaced("custody_withdrawal", "custody_withdrawal_moves", f"custody_step('{MOVES}')"),
        *map(freed, FREE),
    ]
