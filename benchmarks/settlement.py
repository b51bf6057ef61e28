"""Settlement's rows per second beside a function in the database that writes the same rows.

    python -m devstack bench -- benchmarks.settlement [--accounts 200] [--events 4096] [--rounds 12]

In two databases of its own on the server that DATABASE_URL names (as a superuser), which begin alike. Both
sides write the same rows: orders, fills, balances, journal entries, postings, cursor; makers rest and are met
in a later batch. Both commit one transaction with one audit event for a batch, in the worker's role, under
the same triggers and constraints, and must come to the same books.

    settlement  decoded events in, as they come from the engine: bookkeeping in Python, then `settle_batch`
    function    plpgsql, the rows worked out beforehand and lying in unlogged tables of the same server

They take turns, so that a busy machine is equally busy for both; the median of the rounds' ratios counts.
CPU is this process's, and the part of settlement's time that is not spent waiting for the server.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from io import StringIO
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
from psycopg import sql

from benchmarks.orders.table import machine
from benchmarks.settling.function import Sides
from benchmarks.settling.trading import Trading
from engine_bridge.adapters.feed import GATHERED_MAX

ROLE: Final = "cs_worker"
COLD: Final = 2
"""Rounds that do not count: caches are cold, and the book is still filling."""


@dataclass(frozen=True)
class Round:
    """One batch on both sides: seconds of each, and of this process's CPU within settlement's."""

    events: int
    rows: int
    settlement_s: float
    cpu_s: float
    function_s: float

    @property
    def ratio(self) -> float:
        return self.function_s / self.settlement_s


def main() -> None:
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    reader.add_argument("--accounts", type=int, default=200)
    reader.add_argument("--events", type=int, default=GATHERED_MAX)
    reader.add_argument("--rounds", type=int, default=12)
    reader.add_argument("--role", default=ROLE, help="in which both sides write")
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

    from core import ledger, privileges
    from core.ledger import AccountKind
    from core.postgres import sessions
    from engine_bridge.actions import settle_batch
    from engine_bridge.daemons.settlement import calm_collector

    call_command("migrate", verbosity=0)
    known = {row[0] for row in owner.execute("SELECT rolname FROM pg_roles")}
    for role in {*privileges.ROLES, *privileges.READERS} - known:
        owner.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(role)))
    call_command("grant_roles", stdout=StringIO())
    now = datetime.now(tz=UTC)
    trading = Trading(asked.accounts, now=now)

    def settle(batch: Any) -> tuple[float, float]:
        begun, spent = time.perf_counter(), time.process_time()
        settle_batch(batch=batch, notes={}, actor=trading.actor, now=now)
        return time.perf_counter() - begun, time.process_time() - spent

    settle(trading.tape.batch())
    for asset in ("BTC", "USDT"):
        ledger.account(AccountKind.ENGINE_FEES, asset)
    connection.close()
    sessions.end_resting()
    owner.execute(
        sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(theirs[0]), sql.Identifier(ours[0]))
    )
    connection.settings_dict["OPTIONS"]["options"] += f" -c role={asked.role}"
    sides = Sides(ours[1], theirs[1], role=asked.role)
    print(f"{'batch':<8}{'events':>8}{'rows':>8}{'settlement':>16}{'CPU':>10}{'function':>16}{'ratio':>8}")
    rounds: list[Round] = []
    for number in range(asked.rounds + COLD):
        batch = trading.batch(asked.events)
        gc.collect()
        calm_collector()  # as the daemon does; the tape, which it does not keep, is left out too
        taken, spent = settle(batch)
        rows, event = sides.carry_over(batch)
        done = Round(len(batch.events), rows, taken, spent, sides.function(batch, event))
        if number < COLD:
            continue
        rounds.append(done)
        print(f"{number - 1:<8}{done.events:>8,}{rows:>8,}{rows / taken:>14,.0f}/s{spent * 1000:>7.1f} ms"
              f"{rows / done.function_s:>14,.0f}/s{done.ratio:>8.2f}", flush=True)  # fmt: skip
    sides.checked()
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user, current_setting('server_version'), current_setting('fsync')")
        user, version, fsync = cursor.fetchall()[0]
    told(rounds)
    print(f"role {user}; PostgreSQL {version}, fsync {fsync}")
    machine()


def told(rounds: list[Round]) -> None:
    """The medians, and the least and the greatest ratio."""

    def median(values: list[float]) -> float:
        return statistics.median(values)

    ratios = [one.ratio for one in rounds]
    print(f"settlement {median([one.rows / one.settlement_s for one in rounds]):,.0f} rows/s, "
          f"function {median([one.rows / one.function_s for one in rounds]):,.0f} rows/s, "
          f"ratio {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}; goal 0.7); "
          f"{median([one.events / one.settlement_s for one in rounds]):,.0f} events/s, "
          f"CPU {median([one.cpu_s / one.events for one in rounds]) * 1e6:.1f} us/event")  # fmt: skip


if __name__ == "__main__":
    main()
