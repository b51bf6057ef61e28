"""Requests per second, what each takes, and of whom: pages and acts at the console, orders at the trader API.

    python -m devstack bench -- benchmarks.requests [--seconds 3] [--rounds 2] [--only words] [--statements]

Both entries stand in this process behind uvicorn, as in production; who asks is a process of its own, with a
connection for each client. Each part is measured by turns with a session with PostgreSQL for each request
("each"), and with sessions that are kept ("kept"), round by round.

    page        the screen of freezes
    act         a freeze is pulled: an audited act, two events for the outbox
    order       an order that is taken and, as nobody is on the other side, cancelled at once, with one client
                and with 16; the same in batches of 20

CPU is this process's and, after the plus sign, the database server's, for each request; by it versions can be
compared where the machine is busy. The engine is what `tests.venue` starts, without flushing to the disk:
what that takes is in bridge.txt. With --statements, the statements of one request of each part instead.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import pytest

from benchmarks.auditing.database import database
from benchmarks.orders.table import Line, counted, machine, told

CLIENTS: Final = 16
BATCH: Final = 20
CSRF: Final = "c" * 32
SESSIONS: Final = {"each": 0, "kept": 24}


def main() -> None:
    """Run as a program."""
    reader = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    reader.add_argument("--seconds", type=float, default=3.0)
    reader.add_argument("--rounds", type=int, default=2)
    reader.add_argument("--only", default="")
    reader.add_argument("--how", default="each,kept")
    reader.add_argument("--statements", action="store_true")
    asked = reader.parse_args()
    with database(), _served() as parts:
        from django.db import connection

        server = int(_said(connection, "SELECT pg_read_file('postmaster.pid')").split()[0])
        wanted = {name: part for name, part in parts.items() if asked.only in name}
        if asked.statements:
            for name, part in wanted.items():
                _statements(name, part)
            return
        columns = "".join(f"{name:>10}" for name in ("p50 us", "p90", "p99", "p99.9", "max"))
        print(f"{'':<22}{'sessions':>12}{'achieved':>14}{columns}  CPU us + the database server's")
        for _ in range(asked.rounds):
            for name, part in wanted.items():
                for how in asked.how.split(","):
                    connection.settings_dict["SESSIONS"] = SESSIONS[how]
                    _turn(name, how, part | {"seconds": asked.seconds}, server)
        machine()


def _turn(name: str, how: str, part: dict[str, Any], server: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.asking.clients"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as client:
        assert client.stdin is not None
        assert client.stdout is not None
        client.stdin.write(json.dumps(part))
        client.stdin.close()
        client.stdout.readline()
        own, its = time.process_time(), _cpu_s(server)
        found = json.loads(client.stdout.readline())
        own, its = time.process_time() - own, _cpu_s(server) - its
    strange = {what: count for what, count in found["told"].items() if what not in ("200", "302", "200 0")}
    count = sum(found["told"].values())
    line = Line(count, found["seconds"], own, counted(latency / 1e6 for latency in found["latencies"]))
    told(name, how, line, f"+ {its / count * 1e6:,.1f}" + (f" {strange}" if strange else ""))


def _statements(name: str, part: dict[str, Any]) -> None:
    from django.db.backends.postgresql import base

    said: list[str] = []
    original = base.Cursor.execute

    def execute(self: Any, query: Any, *args: Any, **how: Any) -> Any:
        said.append(str(query))
        return original(self, query, *args, **how)

    base.Cursor.execute = execute
    try:
        asked = part | {"clients": 1, "seconds": 0.0}
        command = [sys.executable, "-m", "benchmarks.asking.clients"]
        for _ in range(2):  # the first learns what is learnt once
            said.clear()
            subprocess.run(command, input=json.dumps(asked), text=True, check=True, stdout=subprocess.DEVNULL)
    finally:
        base.Cursor.execute = original
    print(f"{name}: {len(said)} statements, and BEGIN and COMMIT where there is a transaction")
    for statement, count in Counter(said).items():
        words = re.sub(r'^SELECT "(\w+)"\.".*? FROM', r"SELECT ... FROM", statement)
        print(f"{count:>4} x {words[:200]}")


def _cpu_s(server: int) -> float:
    """CPU time of the database server: of all its processes, and of those that have ended."""
    total = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if stat.parent.name == str(server):
            total += sum(map(int, fields[11:15]))
        elif fields[1] == str(server):
            total += sum(map(int, fields[11:13]))
    return total / os.sysconf("SC_CLK_TCK")


@contextmanager
def _served() -> Iterator[dict[str, dict[str, Any]]]:
    """Both entries, and what is asked of them."""
    import django

    django.setup()
    logging.disable(logging.WARNING)
    from django.conf import settings

    from core import clock
    from tests import doors
    from tests.officers import enrol
    from tests.sockets import Server
    from tests.trading import maker
    from tests.vaults import serving
    from tests.venue import venue_open
    from trader_api import limits

    with ExitStack() as opened:
        patch = opened.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(limits.Limit, "admitted", property(lambda _: sys.maxsize))
        opened.enter_context(serving(Path(opened.enter_context(tempfile.TemporaryDirectory()))))
        venue = opened.enter_context(venue_open())
        from backoffice import asgi

        console, trader = (_started(opened, Server(entry)) for entry in (asgi.console, asgi.trader))
        settings.CONSOLE_ORIGIN = f"http://console.localhost:{console.port}"
        doors.open_doors(settings, patch)
        ana = doors.at_console(enrol(now=clock.now()).ana.identity)
        assert ana.get("/freezes/").status_code == 200
        yield _console(console.port, ana) | _trader(trader.port, maker(venue))


def _started(opened: ExitStack, server: Any) -> Any:
    server.thread.start()
    while not server.started:
        time.sleep(0.01)
    opened.callback(server.drain)
    return server


def _console(port: int, ana: Any) -> dict[str, dict[str, Any]]:
    from django.conf import settings

    from core.access import doors

    session = ana.cookies[settings.SESSION_COOKIE_NAME].value
    cookies = f"{settings.SESSION_COOKIE_NAME}={session}; {settings.CSRF_COOKIE_NAME}={CSRF}"
    given = {doors.ASSERTION: ana.defaults[_meta(doors.ASSERTION)], "Cookie": cookies}
    page = {
        "port": port,
        "host": f"console.localhost:{port}",
        "method": "GET",
        "path": "/freezes/",
        "body": "",
    }
    page |= {"headers": given, "clients": 1}
    form = urlencode({"csrfmiddlewaretoken": CSRF, "reason": "measured", "scope": "customer:"}) + "{uuid}"
    said = {"Origin": settings.CONSOLE_ORIGIN, "Content-Type": "application/x-www-form-urlencoded"}
    act = page | {"method": "POST", "path": "/freezes/pull", "body": form, "headers": given | said}
    return {"page": page, f"page, {CLIENTS} clients": page | {"clients": CLIENTS}, "act": act}


def _meta(header: str) -> str:
    return f"HTTP_{header.upper().replace('-', '_')}"


def _trader(port: int, tom: Any) -> dict[str, dict[str, Any]]:
    one = {"instId": "BTC-USDT", "tdMode": "cash", "side": "sell", "ordType": "ioc", "px": "90000"}
    order = json.dumps(one | {"sz": "0.00001", "tag": "{tag}"})
    asked = {"port": port, "host": "api.localhost", "method": "POST", "path": "/api/v5/trade/order"}
    asked |= {"headers": {"Content-Type": "application/json"}, "body": order, "clients": 1}
    asked |= {"key": tom.key, "secret": tom.secret, "passphrase": tom.passphrase}
    batch = asked | {"path": "/api/v5/trade/batch-orders", "body": f"[{', '.join([order] * BATCH)}]"}
    return {
        "order": asked,
        f"order, {CLIENTS} clients": asked | {"clients": CLIENTS},
        f"orders, {BATCH} a call": batch,
        f"orders, {BATCH}, {CLIENTS} clients": batch | {"clients": CLIENTS},
    }


def _said(connection: Any, statement: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return str(cursor.fetchone()[0])


if __name__ == "__main__":
    main()
