"""Audited changes per second against a plain insert, and events verified per second and core.

    DATABASE_URL=... python -m benchmarks.audit [--writers 8] [--seconds 4] [--rounds 5]

Each transaction changes one business row and writes one event of about 700 bytes, by pgbench with prepared
statements, in a database of its own on the server that DATABASE_URL names. Four variants take turns within
each round, so that a busy machine is equally busy for all; the median of the rounds' ratios counts:

    plain       the row, and the text into a table with nothing but a key
    log         the row, and the event with its act into the log: as the application's role, append-only
    tripwire    the same, with the row's table guarded: what an action does
    sealed      the same, while the sealer seals every 200 ms, makes what is searched for, and signs

Beside transactions per second it says how much CPU time the server spent on each, which a busy machine
disturbs less; the sealer's own process is not in it.

The verifier reads its export from memory; its rate is by CPU time.
"""

from __future__ import annotations

import argparse
import io
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from core import privileges
from kernel import canonical, merkle, note

ROWS: Final = 100_000
PADDING: Final = "x" * 520
ROLE: Final = "cs_worker"
ACT: Final = "01939d5e-0000-7000-8000-000000000001"
EVENT: Final = (
    f"""'{{"act":"{ACT}","action":"bench.done","actor":{{"label":"bench"}},"at":"2026-01-01T00:00:00Z","""
    f""""reason":"{PADDING}","target":"row/' || :id || '"}}'"""
)
SETUP: Final = f"""
CREATE TABLE bench_plain (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, canon text NOT NULL);
CREATE TABLE bench_free (id bigint PRIMARY KEY, n bigint NOT NULL);
CREATE TABLE bench_guarded (id bigint PRIMARY KEY, n bigint NOT NULL);
INSERT INTO bench_free SELECT i, 0 FROM generate_series(1, {ROWS}) i;
INSERT INTO bench_guarded SELECT i, 0 FROM generate_series(1, {ROWS}) i;
GRANT SELECT, INSERT, UPDATE ON bench_plain, bench_free, bench_guarded TO {ROLE};
"""
HEAD: Final = f"\\set id random(1, {ROWS})\nBEGIN;\n"


def script(rows: str, insert: str) -> str:
    """A pgbench script of one transaction."""
    return f"{HEAD}UPDATE {rows} SET n = n + 1 WHERE id = :id;\n{insert};\nCOMMIT;\n"


PLAIN: Final = f"INSERT INTO bench_plain (canon) VALUES ({EVENT})"
LOGGED: Final = f"INSERT INTO audit_event (canon, act) VALUES ({EVENT}, '{ACT}')"

VARIANTS: Final = {
    "plain": script("bench_free", PLAIN),
    "log": script("bench_free", LOGGED),
    "tripwire": script("bench_guarded", LOGGED),
    "sealed": script("bench_guarded", LOGGED),
}


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


def server_cpu_s(reach: list[str]) -> float:
    """CPU time of the server's sessions that have ended."""
    asked = subprocess.run(
        ["psql", *reach, "-Atc", "SELECT pg_read_file('postmaster.pid')"],
        capture_output=True,
        text=True,
        check=True,
    )
    fields = Path(f"/proc/{asked.stdout.split()[0]}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")


def rate(variant: str, reach: list[str], *, writers: int, seconds: int) -> tuple[float, float]:
    """Transactions per second of one turn, and the server's microseconds of CPU for each."""
    before = server_cpu_s(reach)
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(VARIANTS[variant])
        file.flush()
        *where, name = reach
        done = subprocess.run(
            [
                *("pgbench", *where, "-n", "-M", "prepared", "-c", str(writers), "-j", "2"),
                *("-T", str(seconds), "-f", file.name, name),
            ],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"PGOPTIONS": f"-c role={ROLE}"},
        )
    found = re.search(r"tps = ([0-9.]+)", done.stdout)
    count = re.search(r"actually processed: ([0-9]+)", done.stdout)
    assert found, done.stdout + done.stderr
    assert count, done.stdout + done.stderr
    return float(found[1]), 1e6 * (server_cpu_s(reach) - before) / int(count[1])


@contextmanager
def sealing() -> Iterator[None]:
    """The sealer at work in this process."""
    from core.audit import sealing as sealer

    key = Ed25519PrivateKey.generate()
    by = note.Verifier("countersign/bench/audit", key.public_key().public_bytes_raw())
    stop = threading.Event()

    def seal(size: int, root: bytes, _: object) -> str:
        return note.sign(note.Checkpoint(by.name, size, root).text(), by=by, signer=key.sign)

    def run() -> None:
        from django.db import connection

        while not stop.is_set():
            if sealer.seal_next(seal, now=datetime.now(UTC)) < sealer.BATCH:
                stop.wait(0.2)
        connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def catch_up() -> int:
    """Seal what other variants left behind; how many leaves there are."""
    from core.audit.models import AuditEvent

    with sealing():
        while AuditEvent.texts.filter(leaf=None).exists():
            time.sleep(0.5)
    return AuditEvent.texts.count()


def verified(count: int = 100_000) -> tuple[float, int]:
    """Events that the verifier checks per second of CPU, and their average length."""
    from core.audit import verifier

    key = Ed25519PrivateKey.generate()
    by = note.Verifier("countersign/bench/audit", key.public_key().public_bytes_raw())
    lines = [
        canonical.encode({"v": 1, "n": number, "action": "bench.done", "reason": PADDING}) + b"\n"
        for number in range(count)
    ]
    tree, heads = merkle.Frontier(), []
    for start in range(0, count, 500):
        tree = tree.extended(merkle.leaf(line[:-1]) for line in lines[start : start + 500])
        heads.append(
            note.sign(note.Checkpoint(by.name, tree.size, tree.root()).text(), by=by, signer=key.sign)
        )
    data, notes, best = b"".join(lines), "\n".join(heads), 0.0
    for _ in range(3):
        start_s = time.process_time()
        verifier.verify(io.BytesIO(data), checkpoints=notes, key=by)
        best = max(best, count / (time.process_time() - start_s))
    return best, len(data) // count


def main() -> None:
    """Run as a program."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--writers", type=int, default=8)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    per_second, length = verified()
    print(
        f"verifier: {per_second:,.0f} events/s per core, {length} bytes each, a checkpoint per 500",
        flush=True,
    )
    with database() as reach:
        import django

        django.setup()
        from django.db import connection

        from core.audit import tripwire

        with connection.cursor() as cursor:
            cursor.execute(tripwire.trigger("bench_guarded"))
        rounds: list[dict[str, tuple[float, float]]] = []
        for number in range(options.rounds):
            found: dict[str, tuple[float, float]] = {}
            for variant in VARIANTS:
                if variant == "sealed":
                    catch_up()
                    with sealing():
                        found[variant] = rate(
                            variant, reach, writers=options.writers, seconds=options.seconds
                        )
                else:
                    found[variant] = rate(variant, reach, writers=options.writers, seconds=options.seconds)
            rounds.append(found)
            print(
                f"round {number + 1}: " + "  ".join(f"{k} {v[0]:,.0f}/s" for k, v in found.items()),
                flush=True,
            )
        connection.close()
    for variant in VARIANTS:
        ratio = statistics.median(found[variant][0] / found["plain"][0] for found in rounds)
        middle = statistics.median(found[variant][0] for found in rounds)
        cpu = statistics.median(found[variant][1] for found in rounds)
        print(f"{variant:9} {middle:8,.0f}/s  {ratio:.2f} of plain, {cpu:.0f} us of server CPU each")
    alone = statistics.median(found["tripwire"][0] / found["log"][0] for found in rounds)
    print(f"tripwire alone: {alone:.2f} of the log without it")
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(
        f"machine: {os.cpu_count()} CPUs, {platform.machine()}, load {load}; {options.writers} writers, "
        f"{options.seconds} s a turn, {options.rounds} rounds; Python {platform.python_version()}"
    )
    print(f"taken {datetime.now(UTC):%Y-%m-%d %H:%M} UTC")


if __name__ == "__main__":
    main()
