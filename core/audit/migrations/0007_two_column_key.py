from django.db import migrations, models

from core.audit import tripwire

# The writing transaction's number stands by itself: asking at every commit whether a transaction wrote an
# event then takes one comparison and no arithmetic, and neither does numbering an event. What was numbered
# before keeps its number, so what was sealed, told and exported stays what it is. The column is filled by the
# rewriting that adds it, past the triggers that refuse every UPDATE. A block of counts per session costs
# less; that a count begins anew does no harm, since only events of one transaction are told apart by it.
APART = """
ALTER TABLE audit_event
  ADD COLUMN tx bigint GENERATED ALWAYS AS (id >> 20) STORED,
  ADD COLUMN n integer GENERATED ALWAYS AS ((id & 1048575)::integer) STORED;
ALTER TABLE audit_event
  ALTER COLUMN tx DROP EXPRESSION, ALTER COLUMN tx SET NOT NULL, ALTER COLUMN tx SET DEFAULT txid_current(),
  ALTER COLUMN n DROP EXPRESSION, ALTER COLUMN n SET NOT NULL,
  ALTER COLUMN n ADD GENERATED ALWAYS AS IDENTITY (MINVALUE 0 MAXVALUE 1048575 CACHE 32 CYCLE),
  DROP COLUMN id,
  ADD CONSTRAINT audit_event_pkey PRIMARY KEY (tx, n);
"""
TOGETHER = """
ALTER TABLE audit_event ADD COLUMN id bigint GENERATED ALWAYS AS (tx << 20 | n) STORED;
CREATE SEQUENCE audit_event_counter MINVALUE 0 MAXVALUE 1048575 CYCLE OWNED BY audit_event.id;
ALTER TABLE audit_event ALTER COLUMN id DROP EXPRESSION;
ALTER TABLE audit_event
  DROP COLUMN tx, DROP COLUMN n, ALTER COLUMN id SET NOT NULL,
  ALTER COLUMN id SET DEFAULT (txid_current() << 20) | nextval('audit_event_counter'),
  ADD CONSTRAINT audit_event_pkey PRIMARY KEY (id);
"""


class Migration(migrations.Migration):
    dependencies = [("audit", "0006_mentions")]
    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(sql=APART, reverse_sql=TOGETHER),
                # Migrations that follow may change guarded tables before the tripwire is installed anew.
                migrations.RunSQL(sql=tripwire.FUNCTION, reverse_sql=migrations.RunSQL.noop),
            ],
            state_operations=[
                migrations.RemoveField("auditevent", "id"),
                migrations.AddField(
                    "auditevent", "tx", models.BigIntegerField(help_text="the writing transaction")
                ),
                migrations.AddField(
                    "auditevent", "n", models.IntegerField(help_text="a count; its events are in this order")
                ),
                migrations.AddField(
                    "auditevent",
                    "pk",
                    models.CompositePrimaryKey(
                        "tx", "n", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
            ],
        ),
    ]
