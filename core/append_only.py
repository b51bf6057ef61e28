"""SQL that makes a table append-only for everybody, table owner's ordinary sessions included.

`ENABLE ALWAYS` keeps the triggers firing under session_replication_role = replica. A superuser can still drop
them; showing that is the task of the sealed audit log and its witnesses.
"""

from __future__ import annotations

from django.db import migrations

FUNCTION = """
CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END $$;
"""


def append_only(table: str) -> migrations.RunSQL:
    """The operation that refuses UPDATE, DELETE and TRUNCATE on `table`."""
    return migrations.RunSQL(
        sql=f"""{FUNCTION}
CREATE TRIGGER {table}_rows BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER {table}_whole BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_rows;
ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_whole;""",
        reverse_sql=f"DROP TRIGGER {table}_rows ON {table}; DROP TRIGGER {table}_whole ON {table};",
    )
