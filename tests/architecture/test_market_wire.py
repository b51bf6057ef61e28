"""The generated code of the engine's contract ..."""

from __future__ import annotations

from engine_bridge import generate


def test_is_what_the_contract_gives() -> None:
    assert generate.differing() == []
