"""In which transaction each posting was written, so that who reads the ledger again and again finds what is
new, and misses nothing that was committed late.

No role may write the column (`core.privileges`), so none can pass a posting off as an old one. Postings of
before have nothing in it. The index costs next to nothing to write: rows lie in the order of their writing.
"""

from django.db import migrations

SQL = """
ALTER TABLE ledger_posting ADD COLUMN written_in bigint;
ALTER TABLE ledger_posting ALTER COLUMN written_in SET DEFAULT (pg_current_xact_id()::text)::bigint;
CREATE INDEX ledger_posting_written_in ON ledger_posting USING brin (written_in)
  WITH (pages_per_range = 32, autosummarize = on);
"""
UNDO = "ALTER TABLE ledger_posting DROP COLUMN written_in"


class Migration(migrations.Migration):
    dependencies = [("ledger", "0004_sweeps")]
    operations = [migrations.RunSQL(sql=SQL, reverse_sql=UNDO)]
