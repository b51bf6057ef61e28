"""The tripwire: a transaction that changed a guarded table without its audit event cannot commit.

The database keeps it, so it holds for every statement, however it was made: the ORM, bulk writes, raw SQL. A
change queues a deferred check; at commit the check wants an event of an act written by the same transaction.
An act is one transaction of its own, so the database need not be told which; only where acts share one (in
tests that never commit), or where the owner acts, the act is named. The sealer compares the act that an
event's writer told the database with the one in its text. Nothing is stored for the check.

Exempt is only who may truncate the log anyway, and only outside actions: the owner, in migrations and
repairs. (Tests set their scenes as such.) The application's roles are never exempt.
"""

from __future__ import annotations

import hashlib
from typing import Final
from uuid import UUID

from django.db import connection

from core.audit.guarded import GUARDED
from core.privileges import ROLES

# It runs at every commit, once per changed row, so it is written to be cheap: neither SECURITY DEFINER nor a
# SET clause (together they cost more than the look-up), no parameters (so it is planned once per session), no
# WHEN in the trigger (which the server would parse anew with every statement), and few functions, since the
# server makes each of them ready anew with every commit, and those of an index condition twice: the key
# begins with the transaction's number, so one comparison does, and `txid_current` gives it without a detour
# through text. The look-up stands by itself: within an expression the server would make two plan nodes more
# ready, and with INTO move a row. It says nothing of the act, which is asked for afterwards, and at once
# where none was ever named in the session, as in a worker's.
# Every name in it is qualified: nobody can put another table, operator or cast in its way. The roles may read
# the log; one that could not would fail to commit. Who acts is asked of the session, since a function of the
# owner's may make a change for a role. The exemption stands last: only what is about to fail gets there.
# That the first row is enough is not said: ORDER BY and LIMIT cost more to plan, in each new session, and to
# make ready than reading the few events that one transaction has.
# Of a table that was vacuumed while it was empty the planner knows too much: a session that plans then reads
# it through at each commit (0.7 ms at 8,000 events, 0.03 by the index) until the next VACUUM or ANALYZE, with
# autovacuum within a minute, makes every session plan anew. One that never was vacuumed misleads nobody.
LOOKUP: Final = """
FROM public.audit_event
WHERE tx OPERATOR(pg_catalog.=) pg_catalog.txid_current() AND act IS NOT NULL
"""
_ACT: Final = "pg_catalog.current_setting('countersign.act', true)"
_OF_THE_ACT: Final = LOOKUP.replace(
    "IS NOT NULL", f"IS NOT NULL AND act::pg_catalog.text OPERATOR(pg_catalog.=) {_ACT}"
)
FUNCTION: Final = f"""
CREATE OR REPLACE FUNCTION audit_tripwire() RETURNS trigger LANGUAGE plpgsql STABLE AS $$
BEGIN
  PERFORM {LOOKUP};
  IF FOUND AND {_ACT} IS NULL THEN
    RETURN NULL;
  END IF;
  IF coalesce({_ACT}, '') OPERATOR(pg_catalog.<>) '' THEN
    PERFORM {_OF_THE_ACT};
  ELSIF NOT FOUND AND pg_catalog.has_table_privilege(
         CASE WHEN pg_catalog.current_setting('role') OPERATOR(pg_catalog.=) 'none' THEN session_user
              ELSE pg_catalog.current_setting('role')::pg_catalog.name END,
         'public.audit_event', 'TRUNCATE')
  THEN
    RETURN NULL;
  END IF;
  IF FOUND THEN
    RETURN NULL;
  END IF;
  RAISE EXCEPTION 'unaudited: % of % without an audit event in its act', TG_OP, TG_TABLE_NAME
    USING HINT = 'Write it in an @action that calls audit.record.';
END $$
"""

_TRIGGER: Final = """
CREATE CONSTRAINT TRIGGER {table}_audited AFTER INSERT OR DELETE OR UPDATE{columns} ON {table}
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
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


def open_act(act: UUID, *, shared: bool) -> None:
    """Say which act the rest of this transaction belongs to, where the database would not care by itself."""
    if not shared and connection.settings_dict["USER"] in ROLES:
        return  # never exempt, and the transaction is the act: a round trip saved
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('countersign.act', %s, true)", [str(act)])


def close_act() -> None:
    """Check now what commit would check, where an act ends inside somebody else's transaction (a test's)."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
        cursor.execute("SELECT set_config('countersign.act', '', true)")
