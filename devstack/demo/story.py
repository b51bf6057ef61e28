"""Telling the journey: numbered steps, what happened, and what proves it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class StepFailed(Exception):
    """Something that the journey expects did not happen."""


class Story:
    """Prints to a terminal or a file; colour only on a terminal.

    `watch` is called at every step and while waiting: it raises when a process of the stack has died, so that
    no step can hold on a stack that no longer stands.
    """

    def __init__(self) -> None:
        self.watch: Callable[[], None] = lambda: None
        self._colour = sys.stdout.isatty()
        self._step = 0
        self._started = time.monotonic()

    def step(self, title: str) -> None:
        """Begin the next numbered step."""
        self.watch()
        self._step += 1
        seconds = time.monotonic() - self._started
        print(
            f"\n{self._paint('1', f'{self._step}. {title}')}  {self._paint('2', f'[{seconds:.0f} s]')}",
            flush=True,
        )

    def says(self, who: str, what: str) -> None:
        """Somebody does something."""
        print(f"   {self._paint('36', who.ljust(11))} {what}", flush=True)

    def proof(self, name: str, value: object) -> None:
        """Evidence: an id, a digest, a txid, a balance."""
        print(f"   {self._paint('32', '✓')} {name}: {value}", flush=True)

    def expect(self, holds: bool, sentence: str, *, found: object = "") -> None:
        """A claim of the journey; StepFailed where it does not hold."""
        if not holds:
            raise StepFailed(
                f"step {self._step}: expected that {sentence}" + (f"; found {found!r}" if found != "" else "")
            )
        print(f"   {self._paint('32', '✓')} {sentence}", flush=True)

    def until(self, sentence: str, look: Callable[[], T | None], *, seconds: float = 30) -> T:
        """Look again and again until there is something; StepFailed after the given time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.watch()
            found = look()
            if found:
                return found
            time.sleep(0.15)
        raise StepFailed(f"step {self._step}: waited {seconds:.0f} s in vain for this: {sentence}")

    def stays(self, sentence: str, look: Callable[[], bool], *, seconds: float) -> None:
        """Look again and again for the given time; StepFailed as soon as it does not hold."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not look():
                raise StepFailed(f"step {self._step}: this did not last: {sentence}")
            time.sleep(0.5)
        print(f"   {self._paint('32', '✓')} {sentence}", flush=True)

    def _paint(self, code: str, text: str) -> str:
        return f"\033[{code}m{text}\033[0m" if self._colour else text
