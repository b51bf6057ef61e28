"""Vectors from outside sources; each file names its own in "source"."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "fixtures" / "vectors"


def load(name: str) -> Any:
    """The content of fixtures/vectors/<name>.json."""
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
