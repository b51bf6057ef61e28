from django.db import migrations, models

from core.append_only import append_only

# Every commit writes an event's number and every guarded change looks for it: `txid_current` gives the number
# without a detour through text, and a sequence that begins anew by itself needs no mask.
NUMBERS = """
ALTER SEQUENCE audit_event_counter MINVALUE 0 MAXVALUE 1048575 CYCLE RESTART;
ALTER TABLE audit_event ALTER COLUMN id SET DEFAULT (txid_current() << 20) | nextval('audit_event_counter');
"""

# Neither numbers in order nor hashes are worth compressing.
PLAIN = "ALTER TABLE audit_mention ALTER COLUMN events SET STORAGE EXTERNAL"

# What was sealed before is found and placed as it was.
CARRIED_OVER = """
INSERT INTO audit_mention (term, last_id, events)
SELECT named.term, batch.last_id, string_agg(int8send(leaf.event_id), ''::bytea ORDER BY leaf.index)
FROM (SELECT size, last_id, lag(size, 1, 0::bigint) OVER (ORDER BY size) AS first FROM audit_checkpoint) batch
JOIN audit_leaf leaf ON leaf.index >= batch.first AND leaf.index < batch.size
CROSS JOIN LATERAL (
  SELECT '' UNION ALL
  SELECT 'action:' || leaf.action UNION ALL
  SELECT 'target:' || leaf.target WHERE leaf.target <> '' UNION ALL
  SELECT 'actor:' || leaf.actor WHERE leaf.actor <> '' UNION ALL
  SELECT 'reads' WHERE leaf.person <> '' UNION ALL
  SELECT 'person:' || leaf.person WHERE leaf.person <> '' UNION ALL
  SELECT 'reader:' || leaf.actor WHERE leaf.person <> '' UNION ALL
  (SELECT DISTINCT 'under:' || one FROM regexp_split_to_table(leaf.under, ' ') one WHERE one <> '') UNION ALL
  SELECT 'faults' WHERE leaf.fault <> ''
) AS named(term)
GROUP BY named.term, batch.last_id;
"""


class Migration(migrations.Migration):
    dependencies = [("audit", "0005_tile_roots")]
    operations = [
        migrations.RunSQL(sql=NUMBERS, reverse_sql=migrations.RunSQL.noop),
        migrations.AddIndex(
            model_name="auditcheckpoint",
            index=models.Index(fields=["last_id"], name="audit_checkpoint_last"),
        ),
        migrations.CreateModel(
            name="AuditMention",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey("term", "last_id", primary_key=True, serialize=False),
                ),
                ("term", models.CharField(db_collation="C", max_length=320)),
                ("last_id", models.BigIntegerField(help_text="the batch: the last event of it")),
                ("events", models.BinaryField(help_text="their numbers in order, eight bytes each")),
            ],
            options={"db_table": "audit_mention"},
        ),
        migrations.RunSQL(sql=PLAIN, reverse_sql=migrations.RunSQL.noop),
        migrations.RunSQL(sql=CARRIED_OVER, reverse_sql=migrations.RunSQL.noop),
        append_only("audit_mention"),
        migrations.DeleteModel(name="AuditLeaf"),
    ]
