"""Numbers for orders ..."""

from __future__ import annotations

import pytest

from engine_bridge import numbering


def test_are_those_of_the_blocks_that_were_reserved_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next block is another process's."""
    begins = iter((7_000, 9_000))
    monkeypatch.setattr(numbering, "_reserve", lambda: next(begins))
    block = numbering._Block()
    assert block.take(1) + block.take(numbering.BLOCK) == [*range(7_000, 8_000), 9_000]
