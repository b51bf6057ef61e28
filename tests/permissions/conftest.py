"""The exchange behind its doors."""

from __future__ import annotations

from typing import Any

import pytest

from core import clock
from tests import doors
from tests.exchange import Exchange, stock


@pytest.fixture
def exchange(db: None, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Exchange:
    """One of everything, as of this moment."""
    doors.open_doors(settings, monkeypatch)
    return stock(clock.now())
