"""`python -m devstack test -- <pytest arguments>` and `bench -- <module> ...`: the suite, or a benchmark, on
embedded services that live as long as it runs.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

from devstack import postgres, redis, users
from devstack.layout import HOME
from devstack.supervisor import Supervisor

_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 0x1


def bring_loopback_up() -> None:
    """In a fresh network namespace even 127.0.0.1 is down; elsewhere nothing changes."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        request = struct.pack("16sH14x", b"lo", 0)
        (flags,) = struct.unpack_from("H", fcntl.ioctl(handle, _SIOCGIFFLAGS, request), 16)
        if not flags & _IFF_UP:
            fcntl.ioctl(handle, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | _IFF_UP))


def run(arguments: list[str]) -> int:
    """Start PostgreSQL and Redis, run pytest on them, and leave nothing behind; pytest's exit code."""
    return _run(["pytest", *arguments], is_durable=False)


def measure(arguments: list[str]) -> int:
    """The same for a benchmark, on a database whose commits are durable and whose programs are in PATH."""
    return _run(arguments, is_durable=True)


def _run(module: list[str], *, is_durable: bool) -> int:
    if os.geteuid() == 0:
        bring_loopback_up()
    accounts = users.prepare()
    base = Path(tempfile.mkdtemp(prefix="countersign-test-", dir="/tmp"))
    base.chmod(0o755)
    is_mounted = not is_durable and _into_memory(base)
    try:
        return _run_in(base, accounts, module, is_durable=is_durable)
    finally:
        if is_mounted:
            subprocess.run(["umount", "--lazy", str(base)], check=True)
        shutil.rmtree(base, ignore_errors=True)


def _into_memory(folder: Path) -> bool:
    """A file system in memory at that folder, where one may be mounted.

    A test with commits of its own copies a database, which is 800 files: 0.16 s on a disk, 0.03 in memory.
    """
    mount = ["mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", str(folder)]
    return os.geteuid() == 0 and subprocess.run(mount, check=False, capture_output=True).returncode == 0


def _run_in(base: Path, accounts: users.Accounts, module: list[str], *, is_durable: bool) -> int:
    (base / "log").mkdir()
    values = dict(os.environ) | {"DJANGO_SETTINGS_MODULE": "backoffice.settings.test"}
    with Supervisor(log_folder=base / "log", echo=False) as supervisor:
        wanted = []
        if "DATABASE_URL" not in os.environ:
            cluster = postgres.Postgres(
                data=accounts.of("cs-db").own(base / "postgres", mode=0o700),
                sockets=accounts.of("cs-db").own(base / "run", mode=0o755),
                account=accounts.of("cs-db"),
                accounts=accounts,
                is_for_tests=not is_durable,
            )
            cluster.initialise()
            wanted.append(cluster.process())
            values["DATABASE_URL"] = cluster.url("postgres", "postgres")
            values["PATH"] = f"{postgres.programs()}:{values.get('PATH', '')}"
        if "REDIS_URL" not in os.environ:
            folder = accounts.of("cs-redis").own(base / "redis", mode=0o755)
            wanted.append(
                redis.process(data=folder, socket=folder / "redis.sock", account=accounts.of("cs-redis"))
            )
            values["REDIS_URL"] = f"unix://{folder}/redis.sock"
        supervisor.start(*wanted)
        done = subprocess.run([sys.executable, "-m", *module], check=False, cwd=HOME, env=values)
        supervisor.check()  # a service that went down explains failures better than they do
        return done.returncode
