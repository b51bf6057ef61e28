import django.db.models.deletion
import django.db.models.manager
from django.db import migrations, models
from django.db.models import Q

from core.append_only import append_only

# The number is the writing transaction's, then a counter: one index serves as key, as the sealer's order and
# as the tripwire's look-up. A role may neither choose it nor set the counter back.
NUMBERS = """
ALTER TABLE audit_event ALTER COLUMN id DROP IDENTITY;
CREATE SEQUENCE audit_event_counter OWNED BY audit_event.id;
ALTER TABLE audit_event ALTER COLUMN id SET DEFAULT
  (pg_current_xact_id()::text::bigint << 20) | (nextval('audit_event_counter') & 1048575);
"""


class Migration(migrations.Migration):
    initial = True
    dependencies: list[tuple[str, str]] = []
    operations = [
        migrations.CreateModel(
            name="AuditEvent",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("canon", models.TextField()),
                ("act", models.UUIDField(null=True)),
            ],
            options={"db_table": "audit_event", "default_manager_name": "texts"},
            managers=[("texts", django.db.models.manager.Manager())],
        ),
        migrations.CreateModel(
            name="AuditLeaf",
            fields=[
                ("index", models.BigIntegerField(primary_key=True, serialize=False)),
                (
                    "event",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="leaf",
                        to="audit.auditevent",
                    ),
                ),
                ("at", models.DateTimeField(null=True)),
                ("action", models.CharField(db_collation="C", max_length=200)),
                ("target", models.CharField(max_length=300)),
                ("actor", models.CharField(max_length=200)),
                (
                    "person",
                    models.CharField(help_text="of whom personal data was read, else empty", max_length=300),
                ),
                (
                    "under",
                    models.CharField(
                        help_text="the elevations it was done under, else empty", max_length=300
                    ),
                ),
                (
                    "fault",
                    models.CharField(help_text="what the sealer found wrong with the event", max_length=40),
                ),
            ],
            options={
                "db_table": "audit_leaf",
                "indexes": [
                    models.Index(fields=["action", "event"], name="audit_leaf_action"),
                    models.Index(fields=["target", "event"], name="audit_leaf_target"),
                    models.Index(fields=["actor", "event"], name="audit_leaf_actor"),
                    models.Index(
                        fields=["person", "event"], name="audit_leaf_person", condition=~Q(person="")
                    ),
                    models.Index(
                        fields=["actor", "event"], name="audit_leaf_reader", condition=~Q(person="")
                    ),
                    models.Index(fields=["event"], name="audit_leaf_under", condition=~Q(under="")),
                    models.Index(fields=["event"], name="audit_leaf_fault", condition=~Q(fault="")),
                ],
            },
        ),
        migrations.CreateModel(
            name="AuditCheckpoint",
            fields=[
                ("size", models.BigIntegerField(primary_key=True, serialize=False)),
                ("note", models.TextField()),
                ("last_id", models.BigIntegerField()),
                ("frontier", models.JSONField()),
                ("sealed_at", models.DateTimeField()),
            ],
            options={"db_table": "audit_checkpoint"},
        ),
        migrations.RunSQL(sql=NUMBERS, reverse_sql="ALTER TABLE audit_event ALTER COLUMN id DROP DEFAULT;"),
        append_only("audit_event"),
        append_only("audit_leaf"),
        append_only("audit_checkpoint"),
    ]
