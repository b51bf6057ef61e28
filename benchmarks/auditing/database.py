"""A database of the benchmark's own, and what its server says of itself."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

from core import privileges

ROWS: Final = 100_000
ROLE: Final = "cs_worker"
SETUP: Final = f"""
CREATE TABLE bench_plain (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, canon text NOT NULL);
CREATE TABLE bench_free (id bigint PRIMARY KEY, n bigint NOT NULL);
CREATE TABLE bench_guarded (id bigint PRIMARY KEY, n bigint NOT NULL);
INSERT INTO bench_free SELECT i, 0 FROM generate_series(1, {ROWS}) i;
INSERT INTO bench_guarded SELECT i, 0 FROM generate_series(1, {ROWS}) i;
GRANT SELECT, INSERT, UPDATE ON bench_plain, bench_free, bench_guarded TO {ROLE};
"""
SERVER: Final = "SELECT pg_read_file('postmaster.pid')"


@contextmanager
def database() -> Iterator[list[str]]:
    """A migrated database of our own; pgbench's arguments that reach it."""
    url = os.environ["DATABASE_URL"]
    parts, name = urlsplit(url), f"bench_audit_{os.getpid()}"
    query = parse_qs(parts.query)
    host = query.get("host", [parts.hostname or ""])[0]
    reach = ["-h", host, "-U", parts.username or query.get("user", ["postgres"])[0]]
    reach += ["-p", str(parts.port)] if parts.port else []
    subprocess.run(["psql", *reach, "-qc", f"CREATE DATABASE {name}", "postgres"], check=True)
    os.environ["DATABASE_URL"] = parts._replace(path=f"/{name}").geturl()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backoffice.settings")
    try:
        subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], check=True)
        for role in (*privileges.ROLES, *privileges.READERS):
            make = f"CREATE ROLE {role} NOLOGIN"
            subprocess.run(["psql", *reach, "-qc", make, name], check=False, stderr=subprocess.DEVNULL)
        subprocess.run([sys.executable, "manage.py", "grant_roles"], check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["psql", *reach, "-q", name], input=SETUP, text=True, check=True)
        yield [*reach, name]
    finally:
        subprocess.run(["psql", *reach, "-qc", f"DROP DATABASE {name} WITH (FORCE)", "postgres"], check=True)


def said(reach: list[str], query: str) -> str:
    """What the server answers."""
    asked = subprocess.run(["psql", *reach, "-Atc", query], capture_output=True, text=True, check=True)
    return asked.stdout.strip()


def server_cpu_s(reach: list[str]) -> float:
    """CPU time of the server's sessions that have ended, once all of pgbench's have."""
    while said(reach, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgbench'") != "0":
        time.sleep(0.05)
    time.sleep(0.1)  # from a session's end until the server has taken note of its time
    fields = Path(f"/proc/{said(reach, SERVER).split()[0]}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")
