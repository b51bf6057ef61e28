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
                ("log", models.CharField(help_text="the log's name", max_length=200)),
                ("note", models.TextField(help_text="the head that it stands under")),
                ("size", models.BigIntegerField()),
                ("witness", models.CharField(max_length=200)),
                ("line", models.CharField(max_length=400)),
                ("at", models.DateTimeField(help_text="when the witness saw it, by its own clock")),
            ],
            options={
                "db_table": "audit_cosignature",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("log", "witness", "size", "at"), name="audit_cosigned_once"
                    ),
                    models.CheckConstraint(condition=Q(size__gte=0), name="audit_cosigned_size"),
                ],
            },
        ),
        append_only("audit_tile"),
        append_only("audit_cosignature"),
    ]
