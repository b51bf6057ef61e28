"""One call's commands on their way, and what wakes its caller when the last of them is answered.

A lock or a loop's future is made once for a call, never for a command: at tens of thousands of commands in a
second that is what waiting costs.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from contextlib import suppress

from engine_bridge.wire import order_entry_pb2


class Frame:
    """What went out together: how many of it are not answered yet."""

    __slots__ = ("left",)

    def __init__(self, left: int) -> None:
        self.left = left


class Entry:
    """One command as it is sent, less its number. `frame` is the last in which it left this process, None as
    long as it never did; `answer` is set once.
    """

    __slots__ = ("answer", "command", "frame", "ticket")

    def __init__(self, command: bytes, ticket: Ticket) -> None:
        self.command = command
        self.ticket = ticket
        self.answer: order_entry_pb2.CommandResult | None = None
        self.frame: Frame | None = None


class Ticket:
    """The entries of one call of a thread."""

    __slots__ = ("_gate", "entries", "left")

    def __init__(self, commands: Sequence[bytes]) -> None:
        self.entries = [Entry(command, self) for command in commands]
        self.left = len(self.entries)
        self._gate = threading.Lock()
        self._gate.acquire()

    def wait(self, timeout_s: float) -> bool:
        """Whether everything was answered within the time."""
        return self.left == 0 or self._gate.acquire(timeout=max(0.0, timeout_s))

    def answers(self) -> list[order_entry_pb2.CommandResult]:
        """Those that came, in the order of the commands."""
        return [answer for entry in self.entries if (answer := entry.answer) is not None]

    def wake(self) -> None:
        """Let the waiting thread go on."""
        self._gate.release()


class LoopTicket(Ticket):
    """The entries of one call of a coroutine, on a loop of its own."""

    __slots__ = ("deadline", "future", "loop")

    def __init__(
        self, commands: Sequence[bytes], loop: asyncio.AbstractEventLoop, *, deadline: float
    ) -> None:
        self.entries = [Entry(command, self) for command in commands]
        self.left = len(self.entries)
        self.loop = loop
        self.deadline = deadline
        self.future: asyncio.Future[None] = loop.create_future()
        """Done once everything is answered, or the session saw that the deadline had passed."""


def wake_all(tickets: Sequence[Ticket], *, here: asyncio.AbstractEventLoop | None = None) -> None:
    """Wake the callers: a thread by its lock, coroutines once for all that share a loop; `here` is the loop
    that runs this, if any.
    """
    loops: dict[asyncio.AbstractEventLoop, list[LoopTicket]] = {}
    for ticket in tickets:
        if isinstance(ticket, LoopTicket):
            loops.setdefault(ticket.loop, []).append(ticket)
        else:
            ticket.wake()
    for loop, woken in loops.items():
        if loop is here:
            _finish(woken)
        else:
            with suppress(RuntimeError):  # the loop was closed: nobody waits there
                loop.call_soon_threadsafe(_finish, woken)


def _finish(tickets: Sequence[LoopTicket]) -> None:
    for ticket in tickets:
        if not ticket.future.done():
            ticket.future.set_result(None)
