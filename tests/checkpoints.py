"""A signer whose journal begins a new file after a few lines, for tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import pytest

from tests.softtoken import Desk

DAY: Final = 86_400
LINES: Final = 6


def soon(monkeypatch: pytest.MonkeyPatch, lines: int = LINES) -> None:
    """A new file begins after so many lines, when somebody asks how it is."""
    monkeypatch.setattr("custody.signer.journal.FILE_LINES", lines)


def pieces(desk: Desk) -> list[Path]:
    """The files of its journal, the oldest first."""
    older = desk.state.glob("journal-*.jsonl")
    return [*sorted(older, key=lambda path: int(path.name.split("-")[1])), desk.file]


def events(desk: Desk) -> list[str]:
    """What it still knows, line by line."""
    return [entry.event for entry in desk.journal.weighty]


def shorten(desk: Desk, times: int = 1) -> None:
    """It begins a new file, so often; lines that count for nothing come before."""
    for _ in range(times):
        begun = desk.file.stat().st_ino
        for _ in range(10 * LINES):
            if desk.file.stat().st_ino != begun:
                break
            desk.signer.remember("started", {"nonce": "a test"})
            assert desk.health
        assert desk.file.stat().st_ino != begun
        assert json.loads(desk.file.read_bytes().splitlines()[0])["event"] == "checkpoint"


def later(desk: Desk, days: float) -> None:
    """So much later, by a clock that everybody believes, and all that is over by then is forgotten."""
    desk.now += days * DAY
    shorten(desk, 3)
