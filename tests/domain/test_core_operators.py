"""Whoever types a command …"""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from core import operators
from core.operators import operator

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("kept", "said"), [("0\n", "root (0) as {me}"), ("4294967295\n", "{me}"), ("", "{me}"), (None, "{me}")]
)
def test_is_known_by_who_came_in_on_the_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: str | None, said: str
) -> None:
    monkeypatch.setattr(operators, "_LOGIN", tmp_path / "loginuid")
    if kept is not None:
        operators._LOGIN.write_text(kept)
    me = operators._name(os.getuid())
    actor = operator("load-registry")
    assert (actor.identity, actor.kind, actor.label) == (None, "system", "load-registry")
    assert actor.subject == f"{said.format(me=me)} on {socket.gethostname()}"


def test_is_named_by_every_command_that_acts() -> None:
    """A command that called itself the actor would hide who ran it."""
    found = [path for path in ROOT.glob("*/**/management/commands/*.py") if ".venv" not in path.parts]
    acting = {path.name for path in found if "operator(" in path.read_text()}
    assert {"load_registry.py", "export_audit.py", "found_staff.py"} <= acting
    assert not [path for path in found if "system(" in path.read_text()]
