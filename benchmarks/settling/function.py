"""The same rows, written by a function in the database from tables in which they lie worked out."""

from __future__ import annotations

import time
from typing import Any, Final

import psycopg
from psycopg import sql

FUNCTION: Final = """
CREATE FUNCTION bench_settle(before bigint, after bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  UPDATE engine_cursor SET last_event_seq = after WHERE shard = 1 AND last_event_seq = before AND epoch <= 1;
  IF NOT FOUND THEN RAISE EXCEPTION 'another consumer settled in the meantime'; END IF;
  INSERT INTO engine_order SELECT * FROM bench_opened;
  UPDATE engine_order o SET
      price_ticks = n.price_ticks, qty_lots = n.qty_lots, state = n.state, cancel_source = n.cancel_source,
      held_units = n.held_units, filled_lots = n.filled_lots, filled_ticklots = n.filled_ticklots,
      fee_units = n.fee_units, last_trade_id = n.last_trade_id, last_price_ticks = n.last_price_ticks,
      last_qty_lots = n.last_qty_lots, last_fill_at = n.last_fill_at, updated_at = n.updated_at
    FROM bench_changed n WHERE o.id = n.id;
  INSERT INTO engine_fill SELECT * FROM bench_fill;
  PERFORM FROM engine_trading_balance
    WHERE account_id IN (SELECT account_id FROM bench_balance) ORDER BY id FOR UPDATE;
  INSERT INTO engine_trading_balance (account_id, asset, units, held, updated_at)
    SELECT account_id, asset, units, held, updated_at FROM bench_balance
    ON CONFLICT (account_id, asset) DO UPDATE
      SET units = excluded.units, held = excluded.held, updated_at = excluded.updated_at;
  PERFORM FROM ledger_account
    WHERE id IN (SELECT account_id FROM bench_posting) ORDER BY id FOR UPDATE;
  INSERT INTO ledger_entry (id, kind, reference, posted_at)
    SELECT id, kind, reference, posted_at FROM bench_entry;
  INSERT INTO ledger_posting (entry_id, account_id, asset, units)
    SELECT entry_id, account_id, asset, units FROM bench_posting;
END $$;
"""

STAGES: Final = {
    "bench_opened": ("engine_order", "accepted_seq BETWEEN {first} AND {last}"),
    "bench_changed": ("engine_order", "updated_at BETWEEN {begin} AND {end} AND accepted_seq < {first}"),
    "bench_fill": ("engine_fill", "trade_id BETWEEN {first} AND {last}"),
    "bench_balance": ("engine_trading_balance", "updated_at BETWEEN {begin} AND {end}"),
    "bench_entry": ("ledger_entry", "kind = 'engine.trade' AND posted_at BETWEEN {begin} AND {end}"),
    "bench_posting": (
        "ledger_posting",
        """entry_id IN (SELECT id FROM ledger_entry
                        WHERE kind = 'engine.trade' AND posted_at BETWEEN {begin} AND {end})""",
    ),
}
"""What a batch wrote, found again: copied into the other database it is the function's work."""


class Sides:
    """Two databases that begin alike: settlement writes in one, the function in the other, in one role."""

    def __init__(self, ours: str, theirs: str, *, role: str) -> None:
        self.ours = psycopg.connect(ours, autocommit=True)
        self.theirs = psycopg.connect(theirs, autocommit=True)
        self.theirs.execute(FUNCTION)
        for stage, (table, _) in STAGES.items():
            names = {
                "stage": sql.Identifier(stage),
                "table": sql.Identifier(table),
                "role": sql.Identifier(role),
            }
            for made in ("CREATE UNLOGGED TABLE {stage} AS TABLE {table} WITH NO DATA",
                         "GRANT SELECT ON {stage} TO {role}"):  # fmt: skip
                self.theirs.execute(sql.SQL(made).format(**names))
        self.caller = psycopg.connect(theirs, autocommit=True, options=f"-c role={role}")

    def carry_over(self, batch: Any) -> tuple[int, tuple[str, str]]:
        """Lay what settlement wrote for the batch before the function: rows, and the audit event."""
        limits = {
            "first": batch.first_event_seq,
            "last": batch.last_event_seq,
            "begin": batch.events[0].at,
            "end": batch.events[-1].at,
        }
        rows = 1
        for stage, (table, condition) in STAGES.items():
            where = sql.SQL(condition).format(**{name: sql.Literal(value) for name, value in limits.items()})
            read = sql.SQL("COPY (SELECT * FROM {} WHERE {}) TO STDOUT").format(sql.Identifier(table), where)
            write = sql.SQL("COPY {} FROM STDIN").format(sql.Identifier(stage))
            self.theirs.execute(sql.SQL("TRUNCATE {}").format(sql.Identifier(stage)))
            with (
                self.ours.cursor() as source,
                self.theirs.cursor() as target,
                source.copy(read) as out,
                target.copy(write) as into,
            ):
                for piece in out:
                    into.write(piece)
            self.theirs.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(stage)))
            found = self.theirs.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(stage)))
            rows += found.fetchall()[0][0]
        found = self.ours.execute("SELECT canon, act::text FROM audit_event ORDER BY tx DESC, n DESC LIMIT 1")
        event: tuple[str, str] = found.fetchall()[0]
        return rows, event

    def function(self, batch: Any, event: tuple[str, str]) -> float:
        """Seconds that the function takes for the batch, its commit included."""
        begun = time.perf_counter()
        with self.caller.transaction():
            self.caller.execute("SELECT set_config('countersign.act', %s, true)", [event[1]])
            self.caller.execute("INSERT INTO audit_event (canon, act) VALUES (%s, %s)", event)
            self.caller.execute(
                "SELECT bench_settle(%s, %s)", [batch.first_event_seq - 1, batch.last_event_seq]
            )
        return time.perf_counter() - begun

    def checked(self) -> None:
        """Both must have come to the same books."""
        books = [
            side.execute("SELECT kind, asset, owner, units FROM ledger_account ORDER BY 1, 2, 3").fetchall()
            for side in (self.ours, self.theirs)
        ]
        if books[0] != books[1]:
            raise SystemExit("the two sides came to different books: this run counts for nothing")
