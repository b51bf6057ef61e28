"""The console as it is served, and sockets to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from backoffice.console import consumers
from core import hints
from tests import doors
from tests.pages import Opens, opener
from tests.sockets import Server, console_served


@pytest.fixture
def console(real_database: str, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    doors.open_doors(settings, monkeypatch)
    with console_served(settings) as server:
        yield server


@pytest.fixture
def opens(console: Server, settings: Any) -> Iterator[Opens]:
    with opener(console, settings) as made:
        yield made


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> None:
    """No socket is looked at but when something was said."""
    monkeypatch.setattr(consumers, "LOOK_EVERY_S", 3600.0)


@pytest.fixture
def unheard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is said, and sockets are looked at often."""
    monkeypatch.setattr(hints, "committed", lambda name, target: None)
    monkeypatch.setattr(consumers, "LOOK_EVERY_S", 0.1)
