"""A call whose answers are not all there ..."""

from __future__ import annotations

import pytest

from engine_bridge.adapters.channel import EngineAway
from engine_bridge.adapters.client import Answer, _answers, _told
from engine_bridge.domain.results import Result, ResultCode


def result(code: ResultCode) -> Result:
    return Result(code, 0, 1, 0, 0, False, 0)


OK, DRAINING, FORGOTTEN = map(result, (ResultCode.OK, ResultCode.DRAINING, ResultCode.FORGOTTEN))


def known(answers: list[Answer]) -> list[Result | None]:
    return [answer if isinstance(answer, Result) else None for answer in answers]


def test_is_not_taken_only_where_that_is_certain_of_every_command() -> None:
    for found, unsent in (([None, None], {0, 1}), ([DRAINING, None], {1}), ([DRAINING, DRAINING], set())):
        with pytest.raises(EngineAway):
            _answers(found, unsent)
    assert known(_answers([None, None], {1})) == [None, None]
    assert known(_answers([None, DRAINING], set())) == [None, None]
    assert known(_answers([OK, None], {1})) == [OK, None]


def test_is_unknown_where_the_engine_remembers_no_more() -> None:
    assert known(_told([FORGOTTEN])) == known(_answers([FORGOTTEN], set())) == [None]
    assert known(_told([OK, FORGOTTEN])) == [OK, None]
