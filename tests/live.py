"""The trader API as traders meet it: uvicorn in a process of its own, over real HTTP."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from django.conf import settings
from django.db import connection

from tests import ports
from tests.venue import Venue

ROOT: Final = Path(__file__).resolve().parents[1]
START_S: Final = 120.0


@contextmanager
def api_served(venue: Venue, log: Path) -> Iterator[str]:
    """The origin of a trader API on this test's database and engine; `log` gets what it says."""
    port = ports.free()
    origin = f"http://127.0.0.1:{port}"
    parameters = connection.get_connection_params()
    database = f"postgresql://{parameters.get('user', '')}@/{connection.settings_dict['NAME']}"
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "backoffice.settings",
        "DATABASE_URL": f"{database}?host={parameters.get('host', '')}",
        "REDIS_URL": settings.REDIS_URL,
        "API_ORIGIN": origin,
        "OPEN_DOORS": "api",
        "ENGINE_TARGET": f"unix:{venue.engine.orders}",
        "ENGINE_TRANSFERS_TARGET": "unix:/nowhere",
        "ENGINE_ADMIN_TARGET": "unix:/nowhere",
    }
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "tests.patient:trader",
        "--port",
        str(port),
        "--log-level",
        "warning",
    ]
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            _wait_for(f"{origin}/api/v5/public/time", process, log)
            yield origin
        finally:
            process.terminate()
            process.wait(60)


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=30):  # noqa: S310 - our own address
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(log.read_text()[-3000:])
