"""Audited changes per second against a plain insert, and events verified per second and core.

    python -m devstack bench -- benchmarks.audit [--writers 8] [--seconds 6] [--rounds 5] [--fresh]

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
daemon, which keeps its session. With --fresh each transaction has a session of its own, and nothing prepared,
as in a request of the web's or a task of the worker's.

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
import os
import platform
import random
import statistics
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from benchmarks.auditing.database import database, server_cpu_s
from benchmarks.auditing.sealer import catch_up, sealer_alone, sealing, sealing_interval_s
from benchmarks.auditing.verifier import verified
from benchmarks.auditing.writers import VARIANTS, rate


@dataclass(frozen=True)
class Turn:
    """Transactions per second, and microseconds of CPU for each: the server's, and the sealer's."""

    per_second: float
    cpu_us: float


def turn(variant: str, reach: list[str], *, writers: int, seconds: int, fresh: bool) -> Turn:
    """One turn; where the sealer runs in it, the sealer's cost is in it."""
    if variant != "sealed":
        per_second, count, cpu_s = rate(variant, reach, writers=writers, seconds=seconds, fresh=fresh)
        return Turn(per_second, 1e6 * cpu_s / count)
    catch_up()
    before_s, own_s = server_cpu_s(reach), time.process_time()
    with sealing():
        per_second, count, _ = rate(variant, reach, writers=writers, seconds=seconds, fresh=fresh)
    own_s = time.process_time() - own_s
    return Turn(per_second, 1e6 * (server_cpu_s(reach) - before_s + own_s) / count)


def main() -> None:
    """Run as a program."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--writers", type=int, default=8)
    parser.add_argument("--seconds", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--fresh", action="store_true", help="a session for each transaction")
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
            asked = {"writers": options.writers, "seconds": options.seconds, "fresh": options.fresh}
            turns[variant].append(turn(variant, reach, **asked))
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
