"""While Redis is away …"""

from __future__ import annotations

import logging
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from channels.layers import channel_layers
from django.test import override_settings

from core import hints
from core.access import postures
from core.access.adapters.identities import AGAIN_S, Desk
from core.access.adapters.shelf import Shelf
from core.access.probes import edge_devices
from devstack import redis
from tests import doors
from tests.cast import NOW
from tests.doors import edge
from tests.exchange import Exchange
from tests.forms import answered


@pytest.fixture
def server(
    exchange: Exchange, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[subprocess.Popen[bytes]]:
    """A Redis of the test's own, over which the console's processes share what they hear and tell."""
    with tempfile.TemporaryDirectory() as folder:
        socket = Path(folder) / "redis.sock"
        command = [str(redis._server()), "--port", "0", "--unixsocket", str(socket), "--save", ""]
        with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL) as running:
            while not redis._answers(socket):
                assert running.poll() is None
                time.sleep(0.02)
            url = f"unix://{socket}"
            desk = Desk(edge, shelf=Shelf(url, apart="test"), clock=doors.clock, timeout_s=90)
            monkeypatch.setattr(postures, "desk", lambda _: desk)
            layer = settings.CHANNEL_LAYERS["default"]
            host = {"address": url, "socket_timeout": None}
            layers = {"default": {**layer, "CONFIG": {**layer["CONFIG"], "hosts": [host]}}}
            cache = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": url}
            with override_settings(CHANNEL_LAYERS=layers, CACHES={"default": cache}, REDIS_URL=url):
                channel_layers.backends.clear()
                yield running
            running.kill()
    channel_layers.backends.clear()


def test_people_approve_from_devices_that_the_edge_vouches_for_and_no_others(
    exchange: Exchange, server: subprocess.Popen[bytes]
) -> None:
    staff, request = exchange.staff, exchange.request
    assert answered(staff.ben, request).status_code == 302
    assert edge_devices(NOW).status == "up"
    server.kill()
    server.wait()
    edge.says(staff.cy.identity, managed=False)
    refused = answered(staff.cy, request)
    assert (refused.status_code, b"access.posture_failed" in refused.content) == (403, True)
    assert edge_devices(NOW).status == "degraded"
    edge.says(staff.cy.identity)
    doors.clock.moment += AGAIN_S
    assert answered(staff.cy, request).status_code == 302
    request.refresh_from_db()
    assert request.state == "approved"


def test_nobody_waits_until_consoles_are_told(
    server: subprocess.Popen[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    server.kill()
    server.wait()
    with caplog.at_level(logging.WARNING, hints.log.name):
        hints.committed("approvals.request.signed", "approvals.approvalrequest/1")
        until = time.monotonic() + 60
        while "hints were lost" not in caplog.text and time.monotonic() < until:
            time.sleep(0.02)
    assert "hints were lost" in caplog.text
