"""`python -m devstack.demo`: the whole journey on a fresh state, then the console until Ctrl-C.

EXIT=1 in the environment ends after the journey; the exit code is 0 only if every step held, and 130 where
somebody stopped it before that.
"""

from __future__ import annotations

import os
import shutil
import sys
from functools import partial
from typing import Final

from devstack import codes, kept, layout, leftovers, ports, stack
from devstack.__main__ import EXPECTED
from devstack.demo import journey
from devstack.demo.scene import Scene
from devstack.demo.story import StepFailed, Story

INTERRUPTED: Final = 130


def main() -> int:
    story, held = Story(), False
    try:
        _begin_anew(layout.layout())
        story.step("Services come up on embedded defaults")
        with stack.running(echo=False, began=lambda stage: story.says("begins", stage)) as up:
            for process in up.supervisor.names():
                story.says("up", process)
            values = up.environment.values
            story.proof("deployment", values["DEPLOYMENT"])
            story.watch = up.supervisor.check
            journey.run(story, Scene.on(up))
            up.supervisor.check()
            held = True
            print("\nEvery step held.", flush=True)
            if os.environ.get("EXIT"):
                return 0
            _show(values, up.environment.layout)
            up.wait()
    except KeyboardInterrupt:
        print("stopped", flush=True)
        return 0 if held else INTERRUPTED
    except StepFailed as failure:
        print(f"\nThe journey ended early: {failure}", file=sys.stderr, flush=True)
        print(f"Logs of every process: {layout.layout().shown()}/log", file=sys.stderr, flush=True)
        return 1
    except EXPECTED as error:
        print(f"\n{error}", file=sys.stderr, flush=True)
        return 1
    return 0


def _begin_anew(where: layout.Layout) -> None:
    """The journey starts on an empty exchange; what was there is kept beside it, one generation."""
    if not where.registry.exists() and not (where.var / "secrets").exists():
        return
    with layout.lock(where), leftovers.claim(where, tell=partial(print, flush=True)):
        ports.require_free(ports.asked() or kept.DEFAULT_PORT, what="the edge")  # or it would go for nothing
        previous = where.var.with_name(where.var.name + ".previous")
        shutil.rmtree(previous, ignore_errors=True)
        where.var.rename(previous)
    print(f"The state of the last run was moved to {where.shown()}.previous.", flush=True)


def _show(values: dict[str, str], where: layout.Layout) -> None:
    print(f"\n{codes.hint(values['CONSOLE_ORIGIN'])}")
    print(
        f"The trader API is at {values['API_ORIGIN']}, state is in {where.shown()}. Ctrl-C stops everything.",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
