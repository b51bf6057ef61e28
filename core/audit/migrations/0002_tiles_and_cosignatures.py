from django.db import migrations, models
from django.db.models import Q

from core.append_only import append_only


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial")]
    operations = [
        migrations.CreateModel(
            name="AuditTile",
            fields=[
                ("pk", models.CompositePrimaryKey("level", "index", primary_key=True, serialize=False)),
                ("level", models.PositiveSmallIntegerField()),
                ("index", models.BigIntegerField()),
                ("hashes", models.BinaryField()),
            ],
            options={"db_table": "audit_tile"},
        ),
        migrations.CreateModel(
            name="AuditCosignature",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("size", models.BigIntegerField()),
                ("witness", models.CharField(max_length=200)),
                ("line", models.CharField(max_length=400)),
                ("at", models.DateTimeField(help_text="when the witness saw it, by its own clock")),
            ],
            options={
                "db_table": "audit_cosignature",
                "constraints": [
                    models.UniqueConstraint(fields=("witness", "size"), name="audit_cosigned_once"),
                    models.CheckConstraint(condition=Q(size__gt=0), name="audit_cosigned_something"),
                ],
            },
        ),
        append_only("audit_tile"),
        append_only("audit_cosignature"),
    ]
