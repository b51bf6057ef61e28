import django.db.models.deletion
import django.db.models.functions.comparison
from django.db import migrations, models

from core.append_only import append_only


class Migration(migrations.Migration):
    initial = True
    dependencies: list[tuple[str, str]] = []
    operations = [
        migrations.CreateModel(
            name="AuditEvent",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("canon", models.TextField()),
                (
                    "doc",
                    models.GeneratedField(
                        db_persist=True,
                        expression=django.db.models.functions.comparison.Cast(
                            models.F("canon"), models.JSONField()
                        ),
                        output_field=models.JSONField(),
                    ),
                ),
            ],
            options={"db_table": "audit_event"},
        ),
        migrations.CreateModel(
            name="AuditLeaf",
            fields=[
                ("index", models.BigIntegerField(primary_key=True, serialize=False)),
                (
                    "event",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="leaf",
                        to="audit.auditevent",
                    ),
                ),
            ],
            options={"db_table": "audit_leaf"},
        ),
        migrations.CreateModel(
            name="AuditCheckpoint",
            fields=[
                ("size", models.BigIntegerField(primary_key=True, serialize=False)),
                ("note", models.TextField()),
                ("last_txid", models.CharField(max_length=20)),
                ("last_id", models.BigIntegerField()),
                ("frontier", models.JSONField()),
                ("sealed_at", models.DateTimeField()),
            ],
            options={"db_table": "audit_checkpoint"},
        ),
        migrations.RunSQL(
            sql="""
ALTER TABLE audit_event ADD COLUMN txid xid8 NOT NULL DEFAULT pg_current_xact_id();
CREATE INDEX audit_event_order ON audit_event (txid, id);
CREATE INDEX audit_event_action ON audit_event ((doc->>'action'), id);
CREATE INDEX audit_event_target ON audit_event ((doc->>'target'), id);
""",
            reverse_sql="ALTER TABLE audit_event DROP COLUMN txid;",
        ),
        append_only("audit_event"),
        append_only("audit_leaf"),
        append_only("audit_checkpoint"),
    ]
