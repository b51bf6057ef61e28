"""A process of a production deployment …"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRODUCTION = {
    "DEPLOYMENT_KIND": "production",
    "DEPLOYMENT": "countersign-eu",
    "SECRET_KEY": "k" * 25 + "0" * 25,
    "FIELD_KEY": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    "ACCESS_TEAM_URL": "https://countersign.cloudflareaccess.com",
    "ACCESS_CONSOLE_AUD": "9f8e7d6c" * 8,
    "ACCESS_SERVICE_AUD": "0123abcd" * 8,
    "POSTURE_MANAGED_RULES": "5f3b0c1e-0000-4000-8000-000000000001 5f3b0c1e-0000-4000-8000-000000000002",
    "POSTURE_DISK_RULES": "5f3b0c1e-0000-4000-8000-000000000003",
    **{
        f"{door}_ORIGIN": f"https://{door.lower()}.countersign.example"
        for door in ("CONSOLE", "SERVICE", "API", "HOOKS")
    },
    "APPROVER_ORIGIN": "https://approver.countersign.example",
    "APPROVER_RP_ID": "approver.countersign.example",
    "DATABASE_URL": "postgresql:///nowhere?host=/nonexistent",
}


def start(**changes: str) -> subprocess.CompletedProcess[str]:
    """Load the console's ASGI entry as its server would."""
    environment = {"PATH": os.environ["PATH"], "DJANGO_SETTINGS_MODULE": "backoffice.settings"}
    return subprocess.run(
        [sys.executable, "-c", "import backoffice.asgi"],
        cwd=ROOT,
        env=environment | PRODUCTION | changes,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_starts_behind_the_real_edge() -> None:
    done = start()
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"ACCESS_TEAM_URL": "http://127.0.0.1:8000"}, "access.E010"),
        ({"CONSOLE_ORIGIN": "http://console.localhost:8000"}, "access.E012"),
        ({"DEPLOYMENT_KIND": "development"}, "access.E006"),
        ({"POSTURE_DISK_RULES": ""}, "access.E016"),
        ({"DEPLOYMENT_KIND": "staging", "ACCESS_TEAM_URL": "http://127.0.0.1:8000"}, "access.E001"),
    ],
    ids=["stand-in's issuer", "plain http", "forgotten kind", "no posture rules", "unknown kind"],
)
def test_does_not_start_on_developments_edge(changes: dict[str, str], code: str) -> None:
    done = start(**changes)
    assert done.returncode != 0
    assert code in done.stderr
