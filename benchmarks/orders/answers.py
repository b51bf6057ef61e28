"""What every answer of a run must be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine_bridge.domain.results import Result, ResultCode


def must_be_ok(answers: Sequence[Any]) -> None:
    """End the run where one is not."""
    for answer in answers:
        if not isinstance(answer, Result) or answer.code is not ResultCode.OK:
            raise SystemExit(f"a command was answered {answer}: this run counts for nothing")
