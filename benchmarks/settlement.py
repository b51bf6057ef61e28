"""Settlement's rows per second beside a function in the database that writes the same rows.

    DATABASE_URL=... python -m benchmarks.settlement [--accounts 200] [--events 2048] [--rounds 6]

In two databases of its own on the server that DATABASE_URL names, which begin alike. Both sides write the
same rows: orders, fills, balances, journal entries, postings, cursor; makers rest and are met in a later
batch. Both commit one transaction with one audit event for a batch, under the same triggers and constraints,
and must come to the same books.

    settlement  decoded events in, as they come from the engine: bookkeeping in Python, then `settle_batch`
    function    plpgsql, the rows worked out beforehand and lying in unlogged tables of the same server

They take turns, so that a busy machine is equally busy for both; the median of the rounds' ratios counts.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import uuid4

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
  INSERT INTO ledger_entry SELECT * FROM bench_entry;
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
    """Two databases that begin alike: settlement writes in one, the function in the other."""

    def __init__(self, ours: str, theirs: str) -> None:
        self.ours = psycopg.connect(ours, autocommit=True)
        self.theirs = psycopg.connect(theirs, autocommit=True)
        self.theirs.execute(FUNCTION)
        for stage, (table, _) in STAGES.items():
            self.theirs.execute(
                sql.SQL("CREATE UNLOGGED TABLE {} AS TABLE {} WITH NO DATA").format(
                    sql.Identifier(stage), sql.Identifier(table)
                )
            )

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
        found = self.ours.execute("SELECT canon, act::text FROM audit_event ORDER BY id DESC LIMIT 1")
        event: tuple[str, str] = found.fetchall()[0]
        return rows, event

    def function(self, batch: Any, event: tuple[str, str]) -> float:
        """Seconds that the function takes for the batch, its commit included."""
        begun = time.perf_counter()
        with self.theirs.transaction():
            self.theirs.execute("SELECT set_config('countersign.act', %s, true)", [event[1]])
            self.theirs.execute("INSERT INTO audit_event (canon, act) VALUES (%s, %s)", event)
            self.theirs.execute(
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


class Trading:
    """Accounts with money, and a tape of what they do: half of the orders rest and are met later."""

    def __init__(self, accounts: int, *, now: datetime) -> None:
        from core.access.models import Identity
        from core.actor import system
        from core.ids import new_id
        from engine_bridge.actions import start_transfer
        from engine_bridge.actions.accounts import open_account
        from engine_bridge.actions.markets import list_market
        from engine_bridge.domain.markets import LISTINGS
        from kernel.money import Amount
        from tests.events import BTC, USDT, Tape
        from tests.venue import give

        self.actor = system("benchmark")
        list_market(listing=LISTINGS[0], actor=self.actor, now=now)
        self.tape = Tape()
        self.tape.open_market()
        self.numbers: list[int] = []
        for index in range(accounts):
            identity = Identity.objects.create(
                id=new_id(), kind="customer", email=f"b{index}@example.com", created_at=now
            )
            self.numbers.append(open_account(customer_id=identity.pk, now=now).pk)
            for asset, number, units in (("BTC", BTC, 10**13), ("USDT", USDT, 10**15)):
                give(identity.pk, str(Amount(units, asset)), asset)
                row = start_transfer(
                    customer_id=identity.pk, amount=Amount(units, asset), into_venue=True,
                    actor=self.actor, now=now,
                )  # fmt: skip
                self.tape.transfer(row.pk, self.numbers[-1], number, units)
        self._resting: list[Any] = []
        self._turn = 0

    def batch(self, events: int) -> Any:
        """The next batch of about so many events."""
        from engine_bridge.domain.orders import Side

        first = len(self.tape.events) + 1
        while len(self.tape.events) - first < events:
            self._turn += 1
            count = len(self.numbers)
            seller, buyer = self.numbers[self._turn % count], self.numbers[(self._turn * 7 + 1) % count]
            if seller == buyer:
                continue
            lots, price = 10 + self._turn % 90, 400_000 + self._turn % 50
            self._resting.append((self.tape.accept(seller, Side.SELL, price, lots), seller))
            if len(self._resting) > events // 8:
                maker, _ = self._resting.pop(0)
                if maker.account_id == buyer:
                    continue
                taker = self.tape.accept(buyer, Side.BUY, maker.price_ticks, maker.qty_lots)
                self.tape.trade(maker, taker, maker.qty_lots, maker_left=0, taker_left=0)
                for spec in (taker, maker):
                    lots = spec.qty_lots
                    self.tape.done(
                        spec, reason="FILLED", lots=lots, ticklots=lots * maker.price_ticks, left=0
                    )
        return self.tape.batch(first)


def main() -> None:
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    reader.add_argument("--accounts", type=int, default=200)
    reader.add_argument("--events", type=int, default=2048)
    reader.add_argument("--rounds", type=int, default=6)
    asked = reader.parse_args()
    url = urlsplit(os.environ["DATABASE_URL"])
    name = f"bench_{uuid4().hex[:8]}"
    with psycopg.connect(url.geturl(), autocommit=True) as owner:
        owner.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        os.environ["DATABASE_URL"] = url._replace(path=f"/{name}").geturl()
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backoffice.settings.test")
        other = f"{name}_function"
        try:
            run(owner, asked, (name, url._replace(path=f"/{name}").geturl()),
                (other, url._replace(path=f"/{other}").geturl()))  # fmt: skip
        finally:
            for made in (name, other):
                owner.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(made)))


def run(owner: Any, asked: argparse.Namespace, ours: tuple[str, str], theirs: tuple[str, str]) -> None:
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection

    from core import ledger
    from core.ledger import AccountKind
    from engine_bridge.actions import settle_batch

    call_command("migrate", verbosity=0)
    now = datetime.now(tz=UTC)
    trading = Trading(asked.accounts, now=now)

    def settle(batch: Any) -> float:
        begun = time.perf_counter()
        settle_batch(batch=batch, notes={}, actor=trading.actor, now=now)
        return time.perf_counter() - begun

    settle(trading.tape.batch())
    for asset in ("BTC", "USDT"):
        ledger.account(AccountKind.ENGINE_FEES, asset)
    connection.close()
    owner.execute(
        sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(theirs[0]), sql.Identifier(ours[0]))
    )
    sides = Sides(ours[1], theirs[1])
    print(f"{'batch':<8}{'events':>8}{'rows':>8}{'settlement':>16}{'function':>16}{'ratio':>8}")
    ratios: list[float] = []
    rates: list[tuple[float, float, float]] = []
    for number in range(asked.rounds + 2):
        batch = trading.batch(asked.events)
        taken = settle(batch)
        rows, event = sides.carry_over(batch)
        base = sides.function(batch, event)
        if number < 2:
            continue  # caches are cold, and the book is still filling
        ratios.append(base / taken)
        rates.append((rows / taken, rows / base, len(batch.events) / taken))
        print(f"{number - 1:<8}{len(batch.events):>8,}{rows:>8,}{rows / taken:>14,.0f}/s"
              f"{rows / base:>14,.0f}/s{base / taken:>8.2f}", flush=True)  # fmt: skip
    sides.checked()
    middle = [statistics.median(column) for column in zip(*rates, strict=True)]
    print(f"settlement {middle[0]:,.0f} rows/s, function {middle[1]:,.0f} rows/s, "
          f"ratio {statistics.median(ratios):.2f} (goal 0.7); {middle[2]:,.0f} events/s")  # fmt: skip
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    version = sides.ours.execute("SHOW server_version").fetchall()[0][0]
    print(f"machine: {os.cpu_count()} CPUs, {platform.machine()}, load {load}; PostgreSQL {version}, "
          f"Python {platform.python_version()}")  # fmt: skip
    print(f"taken {time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC")


if __name__ == "__main__":
    main()
