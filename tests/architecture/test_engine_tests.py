"""Of the engine's tests none is left out …"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Final

import pytest

ENGINE: Final = Path(__file__).resolve().parents[2] / "engine"
CRATES: Final = sorted(
    path.parent for path in ENGINE.glob("*/Cargo.toml") if (path.parent / "tests").is_dir()
)


@pytest.mark.parametrize("crate", CRATES, ids=lambda crate: crate.name)
def test_because_its_file_is_no_module_of_the_crates_program(crate: Path) -> None:
    manifest = tomllib.loads((crate / "Cargo.toml").read_text())
    if manifest["package"].get("autotests", True):
        return  # cargo makes a program of each
    (program,) = manifest["test"]
    text = (crate / program["path"]).read_text()
    modules = set(re.findall(r"^mod (\w+);$", text, re.MULTILINE))
    assert {path.stem for path in (crate / "tests").glob("*.rs")} - {"main"} <= modules


def test_because_its_crate_says_that_it_has_none() -> None:
    silent = [path.parent for path in ENGINE.glob("*/Cargo.toml") if "\ntest = false\n" in path.read_text()]
    assert [
        path for crate in silent for path in crate.glob("src/**/*.rs") if "#[test]" in path.read_text()
    ] == []
