"""`python -m devstack run | witnesses | verify | code NAME | test -- <arguments> | bench -- <module> …`."""

from __future__ import annotations

import sys
from collections.abc import Callable

from devstack import (
    codes,
    kept,
    layout,
    leftovers,
    ports,
    stack,
    supervisor,
    testing,
    tokens,
    users,
    verify,
    witnessing,
)
from devstack.postgres import CannotInitialise

EXPECTED = (
    layout.AlreadyRunning,
    leftovers.StillEnding,
    kept.WrongPort,
    ports.PortTaken,
    ports.NoPort,
    supervisor.StartFailed,
    supervisor.Died,
    tokens.CannotProvision,
    users.CannotMakeUsers,
    CannotInitialise,
)


def run() -> int:
    """Everything up until Ctrl-C."""
    try:
        with stack.running() as up:
            values = up.environment.values
            print(
                f"\n{codes.hint(values['CONSOLE_ORIGIN'])}\nThe trader API is at {values['API_ORIGIN']}",
                flush=True,
            )
            print("Ctrl-C stops everything; the state stays in " + up.environment.layout.shown(), flush=True)
            up.wait()
    except KeyboardInterrupt:
        print("stopped", flush=True)
    except EXPECTED as error:
        print(f"\n{error}", file=sys.stderr, flush=True)
        return 1
    return 0


def _on_services(run: Callable[[list[str]], int], arguments: list[str]) -> int:
    try:
        return run(arguments)
    except EXPECTED as error:
        print(f"\n{error}", file=sys.stderr, flush=True)
        return 1


def main() -> int:
    match sys.argv[1:]:
        case ["run"]:
            return run()
        case ["witnesses"]:
            return witnessing.run()
        case ["verify"]:
            return verify.run()
        case ["code", name]:
            return codes.run(name)
        case ["test", "--", *arguments]:
            return _on_services(testing.run, arguments)
        case ["bench", "--", *arguments]:
            return _on_services(testing.measure, arguments)
        case _:
            print(__doc__, file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.exit(main())
