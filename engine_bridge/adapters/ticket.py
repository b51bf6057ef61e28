"""One call's commands on their way, and what wakes its caller when the last of them is answered.

Nothing here is made for a single command: a call waits on one lock, and its commands travel as runs, which
are numbered, sent and answered as a whole. At hundreds of thousands of commands in a second the rest is what
they cost.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import TypeAlias

from engine_bridge.adapters import encoding
from engine_bridge.domain.commands import Command
from engine_bridge.wire import order_entry_pb2

Answer: TypeAlias = order_entry_pb2.CommandResult | None


class Ticket:
    """The answers to one call, each in the place of its command; None as long as there is none."""

    __slots__ = ("_gate", "answers", "left")

    def __init__(self, count: int) -> None:
        self.answers: list[Answer] = [None] * count
        self.left = count
        self._gate = threading.Lock()
        self._gate.acquire()

    def wait(self, timeout_s: float) -> bool:
        """Whether everything was answered within the time."""
        return self.left == 0 or self._gate.acquire(timeout=max(0.0, timeout_s))

    def wake(self) -> None:
        """Let the waiting thread go on."""
        self._gate.release()


class Run:
    """Commands of one call that follow one another, and leave in one frame. `begin` is the first one's place
    in the call; `first` the number under which it left this process last, 0 as long as it never did.
    """

    __slots__ = ("_commands", "begin", "count", "first", "ticket")

    def __init__(self, ticket: Ticket, begin: int, commands: list[bytes], *, first: int = 0) -> None:
        self._commands = commands
        self.ticket = ticket
        self.begin = begin
        self.count = len(commands)
        self.first = first

    def written(self) -> bytes:
        """Its part of a frame, under numbers from `first` on. Nothing else of a command ever changes."""
        return encoding.batch(self._commands, first=self.first)

    def answered(self, number: int, answers: Sequence[order_entry_pb2.CommandResult]) -> int:
        """Keep what was answered from this number on; how many of them had no answer before. A first answer
        stays.
        """
        place = self.begin + number - self.first
        kept = self.ticket.answers
        new = kept[place : place + len(answers)].count(None)
        if new == len(answers):
            kept[place : place + new] = answers
        else:
            for at, answer in enumerate(answers, place):
                if kept[at] is None:
                    kept[at] = answer
        self.ticket.left -= new
        return new

    def unanswered(self) -> Iterator[Run]:
        """What is to be sent again, in its order: the pieces between what was answered."""
        answers, end = self.ticket.answers, self.begin + self.count
        place = self.begin
        while place < end:
            if answers[place] is not None:
                place += 1
                continue
            begin = place
            while place < end and answers[place] is None:
                place += 1
            commands = self._commands[begin - self.begin : place - self.begin]
            yield Run(self.ticket, begin, commands, first=self.first)


class Frame:
    """Runs that went out together, under numbers that follow one another from `first` on; how many of their
    commands are not answered yet.
    """

    __slots__ = ("end", "first", "left", "runs")

    def __init__(self, runs: list[Run], *, first: int) -> None:
        self.runs = runs
        self.first = number = first
        for run in runs:
            run.first = number
            number += run.count
        self.end = number
        self.left = number - first

    def written(self) -> bytes:
        """The message that is sent for it."""
        return encoding.frame([run.written() for run in self.runs])

    def run_of(self, number: int) -> Run:
        """Whose number this is."""
        return self.runs[bisect_right(self.runs, number, key=_first) - 1]


_first = attrgetter("first")


def runs(ticket: Ticket, commands: Sequence[Command], *, largest: int) -> list[Run]:
    """A call's commands in their order, as runs of up to so many."""
    return [
        Run(ticket, begin, encoding.commands(commands[begin : begin + largest]))
        for begin in range(0, len(commands), largest)
    ]
