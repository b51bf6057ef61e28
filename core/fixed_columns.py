"""SQL that lets only named columns of a table ever change, and no row disappear.

For rows that live on (a person, a grant, a request) but whose meaning must not be rewritten. Beside it stands
`core.append_only` for tables in which nothing changes at all.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.db import migrations

FUNCTIONS = """
CREATE OR REPLACE FUNCTION keep_columns() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (to_jsonb(OLD) - TG_ARGV) IS DISTINCT FROM (to_jsonb(NEW) - TG_ARGV) THEN
    RAISE EXCEPTION '% keeps every column but %', TG_TABLE_NAME, TG_ARGV USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE OR REPLACE FUNCTION keep_rows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% keeps its rows: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END $$;
"""


def fixed_columns(table: str, *, free: Sequence[str], generated: Sequence[str] = ()) -> migrations.RunSQL:
    """The operation that fixes all columns of `table` but the `free` ones, and refuses DELETE and TRUNCATE.

    `generated` names stored generated columns: they follow the others, and read as NULL in a BEFORE trigger.
    """
    names = ", ".join(f"'{column}'" for column in [*free, *generated])
    return migrations.RunSQL(
        sql=f"""{FUNCTIONS}
CREATE TRIGGER {table}_columns BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION keep_columns({names});
CREATE TRIGGER {table}_rows BEFORE DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION keep_rows();
CREATE TRIGGER {table}_whole BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION keep_rows();
ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_columns;
ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_rows;
ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_whole;""",
        reverse_sql=f"DROP TRIGGER {table}_columns ON {table}; DROP TRIGGER {table}_rows ON {table}; "
        f"DROP TRIGGER {table}_whole ON {table};",
    )
