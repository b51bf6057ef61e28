"""No generator holds a server's cursor …"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
PARTS: Final = ("core", "customers", "custody", "kyc", "engine_bridge", "trader_api", "backoffice")
YIELDS: Final = (ast.Yield, ast.YieldFrom)


@pytest.mark.parametrize("part", PARTS)
def test_while_it_waits_to_go_on(part: str) -> None:
    """Whoever never goes on leaves it to be closed when memory is cleared up. That may happen while this very
    thread asks this very session something else, and then it waits for itself.
    """
    found = [
        f"{path.relative_to(ROOT)}:{function.name}"
        for path in (ROOT / part).rglob("*.py")
        for function in ast.walk(ast.parse(path.read_text()))
        if isinstance(function, ast.FunctionDef) and _yields(function) and _opens(function)
    ]
    assert found == []


def _yields(function: ast.FunctionDef) -> bool:
    return any(isinstance(node, YIELDS) for node in ast.walk(function))


def _opens(function: ast.FunctionDef) -> bool:
    """Whether it goes through a query row by row, as they come from the server."""
    called = (node.func for node in ast.walk(function) if isinstance(node, ast.Call))
    return any(isinstance(one, ast.Attribute) and one.attr == "iterator" for one in called)
