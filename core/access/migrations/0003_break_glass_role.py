from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("access", "0002_collector_role"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="rolegrant",
            name="grant_role_known",
        ),
        migrations.AlterField(
            model_name="rolegrant",
            name="role",
            field=models.CharField(
                choices=[
                    ("compliance_officer", "compliance officer"),
                    ("senior_officer", "senior officer"),
                    ("treasury_maker", "treasury maker"),
                    ("treasury_signer", "treasury signer"),
                    ("sre", "SRE"),
                    ("auditor", "auditor"),
                    ("support", "support"),
                    ("collector", "collector"),
                    ("break_glass", "break-glass"),
                ],
                max_length=32,
            ),
        ),
        migrations.AddConstraint(
            model_name="rolegrant",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "role__in",
                        [
                            "compliance_officer",
                            "senior_officer",
                            "treasury_maker",
                            "treasury_signer",
                            "sre",
                            "auditor",
                            "support",
                            "collector",
                            "break_glass",
                        ],
                    )
                ),
                name="grant_role_known",
            ),
        ),
    ]
