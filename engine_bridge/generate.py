"""`python -m engine_bridge.generate` rewrites `wire/` from `proto/`; `--check` only says whether they
differ.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
PROTO: Final = ROOT / "proto"
WIRE: Final = Path(__file__).resolve().parent / "wire"
PACKAGE: Final = "exchange/engine/v1"
FRONT: Final = '"""Generated from proto/ by `python -m engine_bridge.generate`; do not edit."""\n'

_IMPORT: Final = re.compile(r"^from exchange\.engine\.v1 import ", re.MULTILINE)


def generated() -> dict[str, str]:
    """File name to content of everything that `wire/` should hold."""
    import grpc_tools
    from grpc_tools import protoc

    sources = sorted(str(path.relative_to(PROTO)) for path in (PROTO / PACKAGE).glob("*.proto"))
    bundled = Path(grpc_tools.__file__).parent / "_proto"
    with tempfile.TemporaryDirectory() as folder:
        arguments = [
            "protoc", f"-I{PROTO}", f"-I{bundled}", f"--python_out={folder}", f"--pyi_out={folder}",
            f"--grpc_python_out={folder}", *sources,
        ]  # fmt: skip
        if protoc.main(arguments):
            raise SystemExit("protoc refused proto/")
        made = Path(folder) / PACKAGE
        files = {path.name: _relocated(path.read_text()) for path in sorted(made.iterdir())}
    return {"__init__.py": FRONT} | {
        name: text for name, text in files.items() if not _is_empty_stub(name, text)
    }


def _relocated(text: str) -> str:
    """The module as it must read in our package."""
    return _IMPORT.sub("from engine_bridge.wire import ", text)


def _is_empty_stub(name: str, text: str) -> bool:
    """A service module of a file without services; protoc writes one all the same."""
    return name.endswith("_pb2_grpc.py") and "class " not in text


def differing() -> list[str]:
    """The names under `wire/` that are missing, stale or too many."""
    wanted = generated()
    present = {path.name: path.read_text() for path in WIRE.iterdir() if path.suffix in {".py", ".pyi"}}
    return sorted(name for name in wanted.keys() | present.keys() if wanted.get(name) != present.get(name))


def main(arguments: list[str]) -> int:
    """Regenerate, or with --check compare; 1 where something differs."""
    if arguments == ["--check"]:
        stale = differing()
        for name in stale:
            sys.stderr.write(f"engine_bridge/wire/{name} differs from proto/: run make proto\n")
        return 1 if stale else 0
    WIRE.mkdir(exist_ok=True)
    wanted = generated()
    for path in WIRE.iterdir():
        if path.suffix in {".py", ".pyi"} and path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        (WIRE / name).write_text(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
