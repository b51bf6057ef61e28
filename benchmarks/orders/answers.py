"""What every answer of a run must be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine_bridge.domain.results import Result, ResultCode


def are_ok(answers: Sequence[Any]) -> bool:
    """Whether every one is."""
    return all(isinstance(answer, Result) and answer.code is ResultCode.OK for answer in answers)


def must_be_ok(answers: Sequence[Any]) -> None:
    """End the run where one is not."""
    if not are_ok(answers):
        raise SystemExit(f"not every command was answered OK, so this run counts for nothing: {answers[:3]}")
