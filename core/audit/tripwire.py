"""The tripwire: a transaction that changed a guarded table without its audit event cannot commit.

The database keeps it, so it holds for every statement, however it was made: the ORM, bulk writes, raw SQL. A
change queues a deferred check; at commit the check wants an event written by the same transaction and, where
an action is open, by the same act. Nothing is stored for it.

Exempt is only who may truncate the log anyway, and only outside actions: the owner, in migrations and
repairs. (Tests set their scenes as such.) The application's roles are never exempt.
"""

from __future__ import annotations

import hashlib
from typing import Final
from uuid import UUID

from django.db import connection

from core.audit.guarded import GUARDED

# Qualified names and a fixed search path: the function runs as the owner, so that a role needs no right to
# read the log, and nobody can put another table in its way.
FUNCTION: Final = """
CREATE OR REPLACE FUNCTION audit_tripwire() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  act text := coalesce(current_setting('countersign.act', true), '');
BEGIN
  IF NOT EXISTS (
    SELECT FROM public.audit_event
    WHERE txid = pg_current_xact_id() AND (act = '' OR doc->>'act' = act)
  ) THEN
    RAISE EXCEPTION 'unaudited: % of % without an audit event in its act', TG_OP, TG_TABLE_NAME
      USING HINT = 'Write it in an @action that calls audit.record.';
  END IF;
  RETURN NULL;
END $$
"""

# A constraint trigger judges its WHEN at once, not at commit: who writes, and inside what, is what counts.
_TRIGGER: Final = """
CREATE CONSTRAINT TRIGGER {table}_audited AFTER INSERT OR DELETE OR UPDATE{columns} ON {table}
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
WHEN (coalesce(current_setting('countersign.act', true), '') <> ''
      OR NOT has_table_privilege('audit_event', 'TRUNCATE'))
EXECUTE FUNCTION audit_tripwire()
"""


def install() -> None:
    """Guard every listed table that exists. What stands already is left alone, so nothing waits for it."""
    with connection.cursor() as cursor:
        cursor.execute(FUNCTION)
        tables = set(connection.introspection.table_names(cursor))
        stands = _standing()
        for table, columns in GUARDED.items():
            made = trigger(table, columns)
            mark = hashlib.sha256(made.encode()).hexdigest()[:16]
            if table not in tables or stands.get(table) == mark:
                continue
            cursor.execute(f"DROP TRIGGER IF EXISTS {table}_audited ON {table}")
            cursor.execute(made)
            cursor.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_audited")
            cursor.execute(f"COMMENT ON TRIGGER {table}_audited ON {table} IS '{mark}'")


def trigger(table: str, columns: str = "") -> str:
    """The SQL that puts the tripwire on a table; `columns` names those whose UPDATE counts, if not all."""
    return _TRIGGER.format(table=table, columns=f" OF {columns}" if columns else "")


def guarded() -> set[str]:
    """The tables that the database guards now, whatever session setting is in force."""
    return set(_standing())


def _standing() -> dict[str, str]:
    """Each guarded table, and by which wording of the trigger."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tgrelid::regclass::text, coalesce(obj_description(oid, 'pg_trigger'), '')"
            " FROM pg_trigger WHERE tgname = tgrelid::regclass::text || '_audited' AND tgenabled = 'A'"
        )
        return dict(cursor.fetchall())


def open_act(act: UUID) -> None:
    """Say which act the rest of this transaction belongs to."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('countersign.act', %s, true)", [str(act)])


def close_act() -> None:
    """Check now what commit would check, where an act ends inside somebody else's transaction (a test's)."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
        cursor.execute("SELECT set_config('countersign.act', '', true)")
