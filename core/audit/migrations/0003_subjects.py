from django.db import migrations, models
from django.db.models import Q

from core.fixed_columns import fixed_columns


class Migration(migrations.Migration):
    dependencies = [("audit", "0002_tiles_and_cosignatures")]
    operations = [
        migrations.CreateModel(
            name="AuditSubject",
            fields=[
                ("subject", models.CharField(max_length=120, primary_key=True, serialize=False)),
                ("public", models.BinaryField(help_text="what seals for the person")),
                (
                    "wrapped",
                    models.BinaryField(help_text="what opens, sealed to the vault and bound to the subject"),
                ),
                ("destroyed_at", models.DateTimeField(null=True)),
            ],
            options={
                "db_table": "audit_subject",
                "constraints": [
                    models.CheckConstraint(
                        condition=Q(destroyed_at=None) ^ Q(wrapped=b""), name="audit_subject_gone_or_not"
                    )
                ],
            },
        ),
        fixed_columns("audit_subject", free=["wrapped", "destroyed_at"]),
    ]
