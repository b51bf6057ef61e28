"""Audited changes per second against a plain insert, and events verified per second and core.

    DATABASE_URL=... python -m benchmarks.audit [--writers 8] [--seconds 6] [--rounds 5]

Each transaction changes one business row and writes one event of about 700 bytes, by pgbench with prepared
statements, in a database of its own on the server that DATABASE_URL names, with that server's settings: a
commit is durable where the server's are. The variants:

    plain       the baseline, what a back office without an audit log of ours would do: the same change of the
                same kind of row, and the same text into an ordinary table with nothing but a key, by the same
                role, in the same four statements. No trigger, no index and no wait is added to it
    log         the row, and the event with its act into the log: as the application's role, append-only
    tripwire    the same, with the row's table guarded: what an action does
    sealed      the same, while the sealer seals at its own pace, makes what is searched for, and signs

A turn lasts long enough for what a session learns once (plans, what a trigger calls) to weigh little, as in a
worker, which keeps its session.

The machine may be busy with other work, so each turn of a variant stands between two short turns of `plain`
and is divided by their mean, the variants change places from round to round, and the median of the rounds'
ratios counts. Beside it stands how much CPU time each transaction took, which a busy machine disturbs less:
the server's, and in `sealed` also all that the sealer used, its process and its session in the server.

The sealer alone: what one event costs it, as CPU time of its process and of its session in the server, in
looks at so many events as wait at the rate of `tripwire`. No writer is in it, so versions can be compared
where the machine is busy, too: the best of its looks counts.

The verifier reads its export from memory; its rate is by CPU time.
"""

from __future__ import annotations

import argparse
import io
import os
import platform
import random
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from unittest import mock
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
SERVER: Final = "SELECT pg_read_file('postmaster.pid')"
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


@dataclass(frozen=True)
class Turn:
    """Transactions per second, and microseconds of CPU for each: the server's, and the sealer's."""

    per_second: float
    cpu_us: float


def turn(variant: str, reach: list[str], *, writers: int, seconds: int) -> Turn:
    """One turn; where the sealer runs in it, the sealer's cost is in it."""
    if variant != "sealed":
        per_second, count, cpu_s = rate(variant, reach, writers=writers, seconds=seconds)
        return Turn(per_second, 1e6 * cpu_s / count)
    catch_up()
    before_s, own_s = server_cpu_s(reach), time.process_time()
    with sealing():
        per_second, count, _ = rate(variant, reach, writers=writers, seconds=seconds)
    own_s = time.process_time() - own_s
    return Turn(per_second, 1e6 * (server_cpu_s(reach) - before_s + own_s) / count)


def rate(
    variant: str, reach: list[str], *, writers: int, seconds: int, count: int = 0
) -> tuple[float, int, float]:
    """Transactions per second, their number, and the CPU seconds of the server's sessions; where `count` is
    given, so many by each writer instead of what fits into `seconds`.
    """
    length = ["-t", str(count)] if count else ["-T", str(seconds)]
    before = server_cpu_s(reach)
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(VARIANTS[variant])
        file.flush()
        *where, name = reach
        done = subprocess.run(
            [
                *("pgbench", *where, "-n", "-M", "prepared", "-c", str(writers), "-j", "2"),
                *(*length, "-f", file.name, name),
            ],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"PGOPTIONS": f"-c role={ROLE}"},
        )
    found = re.search(r"tps = ([0-9.]+)", done.stdout)
    made = re.search(r"actually processed: ([0-9]+)", done.stdout)
    assert found, done.stdout + done.stderr
    assert made, done.stdout + done.stderr
    return float(found[1]), int(made[1]), server_cpu_s(reach) - before


def sealer_alone(reach: list[str], *, look: int, looks: int = 40) -> tuple[float, float]:
    """Microseconds of CPU for each event, in looks at so many: of the sealer's process, of its session."""
    from django.db import connection

    from core.audit import sealing as sealer

    seal = a_seal()
    rate("tripwire", reach, writers=8, seconds=0, count=look * looks // 8)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        session = int(cursor.fetchone()[0])
    costs = []
    with mock.patch.object(sealer, "BATCH", look):
        while True:
            own, server = time.process_time_ns(), on_cpu_ns(session)
            if sealer.seal_next(seal, now=datetime.now(UTC)) < look:
                break
            costs.append((time.process_time_ns() - own, on_cpu_ns(session) - server))
    connection.close()
    own, server = (min(found) / look / 1000 for found in zip(*costs, strict=True))
    return own, server


def on_cpu_ns(pid: int) -> int:
    """Nanoseconds for which a process of one thread was on a CPU."""
    return int(Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[0])


def a_seal() -> Callable[[int, bytes, object], str]:
    """A notary's signature without the notary."""
    key = Ed25519PrivateKey.generate()
    by = note.Verifier("countersign/bench/audit", key.public_key().public_bytes_raw())

    def seal(size: int, root: bytes, _: object) -> str:
        return note.sign(note.Checkpoint(by.name, size, root).text(), by=by, signer=key.sign)

    return seal


@contextmanager
def sealing() -> Iterator[None]:
    """The sealer at work in this process."""
    from core.audit import sealing as sealer

    seal, stop = a_seal(), threading.Event()

    def run() -> None:
        from django.db import connection

        while not stop.is_set():
            if sealer.seal_next(seal, now=datetime.now(UTC)) < sealer.BATCH:
                stop.wait(sealer.INTERVAL_S)
        connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def sealing_interval_s() -> float:
    """How long events wait for a look."""
    from core.audit.sealing import INTERVAL_S

    return INTERVAL_S


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
    parser.add_argument("--seconds", type=int, default=6)
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
        ratios: dict[str, list[float]] = {name: [] for name in VARIANTS}
        turns: dict[str, list[Turn]] = {name: [] for name in VARIANTS}
        others, by = [name for name in VARIANTS if name != "plain"], random.Random(1)

        def take(variant: str) -> Turn:
            turns[variant].append(turn(variant, reach, writers=options.writers, seconds=options.seconds))
            return turns[variant][-1]

        for number in range(options.rounds):
            before = take("plain")
            line = [f"plain {before.per_second:,.0f}/s"]
            for variant in by.sample(others, len(others)):
                found, after = take(variant), take("plain")
                ratios[variant].append(2 * found.per_second / (before.per_second + after.per_second))
                line.append(f"{variant} {found.per_second:,.0f}/s")
                before = after
            print(f"round {number + 1}: " + "  ".join(line), flush=True)
        catch_up()
        look = int(sealing_interval_s() * statistics.median(one.per_second for one in turns["tripwire"]))
        own, server = sealer_alone(reach, look=look)
        connection.close()
    ratios["plain"] = [1.0]
    for variant in VARIANTS:
        middle = statistics.median(found.per_second for found in turns[variant])
        cpu = statistics.median(found.cpu_us for found in turns[variant])
        ratio = statistics.median(ratios[variant])
        print(f"{variant:9} {middle:8,.0f}/s  {ratio:.2f} of plain, {cpu:.0f} us of CPU each")
    print(f"sealer alone: {own:.1f} us of CPU for each event, and its session {server:.1f}, {look} in a look")
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(
        f"machine: {os.cpu_count()} CPUs, {platform.machine()}, load {load}; {options.writers} writers, "
        f"{options.seconds} s a turn, {options.rounds} rounds; Python {platform.python_version()}"
    )
    print(f"taken {datetime.now(UTC):%Y-%m-%d %H:%M} UTC")


if __name__ == "__main__":
    main()
