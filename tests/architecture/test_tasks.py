"""A worker, and the scheduler …"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

HOME: Final = Path(__file__).resolve().parents[2]
ROOMS: Final = ("core", "custody", "kyc", "engine_bridge", "customers", "trader_api", "backoffice")
TASK: Final = re.compile(r'@shared_task\(name="([a-z_.]+)"')
PERIODIC: Final = re.compile(r'add_periodic_task\([^"]*signature\("([a-z_.]+)"')
PROBE: Final = """
import json, django
from backoffice.celery import app
django.setup()
app.loader.import_default_modules()
app.finalize()
print(json.dumps([sorted(app.tasks), sorted(one["task"] for one in app.conf.beat_schedule.values())]))
"""


def named(pattern: re.Pattern[str]) -> set[str]:
    """The names in our code."""
    files = [path for room in ROOMS for path in (HOME / room).rglob("*.py")]
    return {name for path in files for name in pattern.findall(path.read_text(encoding="utf-8"))}


def test_know_every_task_of_ours_wherever_it_stands() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROBE], cwd=HOME, capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stderr
    tasks, scheduled = (set(each) for each in json.loads(done.stdout))
    assert {"custody.tend", "custody.refresh_prices"} <= named(TASK)
    assert named(TASK) - tasks == set()
    assert named(PERIODIC) == scheduled
