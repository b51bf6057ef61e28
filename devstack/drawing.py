"""`python -m devstack.drawing [--check]`: the diagrams and tables of docs/generated, drawn from the code.

With --check nothing is written; the exit code says whether what is committed is what the code gives.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from types import ModuleType
from typing import Final

from core.access.roles import HOLDERS, TEAMS, Role
from devstack.layout import HOME

FOLDER: Final = HOME / "docs" / "generated"
_FRONT: Final = "<!-- Drawn from the code by `make docs`; edits here are lost. -->\n"


def drawn() -> dict[str, str]:
    """File name to content."""
    return {"states.md": states(), "roles.md": roles()}


def machines() -> list[ModuleType]:
    """Every module that holds a state machine: a domain module with a table named NEXT."""
    found = []
    for path in sorted(HOME.glob("**/domain/*.py")):
        parts = path.relative_to(HOME).with_suffix("").parts
        if not parts[0].startswith(".") and "NEXT: " in path.read_text():
            found.append(importlib.import_module(".".join(parts)))
    return found


def states() -> str:
    """One diagram per state machine; the first state of the enumeration is where it begins."""
    lines = [_FRONT, "# State machines\n", "A move that is not drawn here is refused.\n"]
    for module in machines():
        table: Mapping[StrEnum, frozenset[StrEnum]] = module.NEXT
        every = list(type(next(iter(table))))
        app, noun = module.__name__.split(".domain.")
        first = every[0]
        lines += [f"## {noun.replace('_', ' ').capitalize()} (`{app}`)\n"]
        lines += [_first_sentence(module), "", "```mermaid", "stateDiagram-v2", f"    [*] --> {first.value}"]
        for state in every:
            after = sorted(table.get(state, frozenset()), key=every.index)
            lines += [f"    {state.value} --> {target.value}" for target in after]
            lines += [] if after else [f"    {state.value} --> [*]"]
        lines += ["```", ""]
    return "\n".join(lines)


def roles() -> str:
    """Who may do what, and which teams stand in quorums."""
    lines = [_FRONT, "# Roles and permissions\n"]
    lines += ["| permission | " + " | ".join(role.label for role in Role) + " |"]
    lines += ["|---" * (len(Role) + 1) + "|"]
    for permission, holders in HOLDERS.items():
        cells = ["yes" if role in holders else "" for role in Role]
        lines += [f"| `{permission}` | " + " | ".join(cells) + " |"]
    lines += ["", "## Teams\n", "Policies ask teams for a quorum. A person in two teams counts once.\n"]
    for team, members in TEAMS.items():
        lines += [f"- **{team}**: " + ", ".join(sorted(role.label for role in members))]
    return "\n".join(lines) + "\n"


def _first_sentence(module: ModuleType) -> str:
    return (module.__doc__ or "").strip().split("\n\n")[0].replace("\n", " ")


def main(arguments: list[str]) -> int:
    """Write the files, or with --check compare them."""
    wanted = drawn()
    if arguments == ["--check"]:
        stale = [name for name, text in wanted.items() if not _is(FOLDER / name, text)]
        for name in stale:
            print(f"docs/generated/{name} is not what the code gives: run make docs", file=sys.stderr)
        return 1 if stale else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in wanted.items():
        (FOLDER / name).write_text(text)
    return 0


def _is(path: Path, text: str) -> bool:
    return path.exists() and path.read_text() == text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
