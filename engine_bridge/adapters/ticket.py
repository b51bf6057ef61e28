"""One call's commands on their way, and what wakes its caller when the last of them is answered.

A lock or a loop's future is made once for a call, never for a command: at tens of thousands of commands in a
second that is what waiting costs.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

from engine_bridge.wire import order_entry_pb2


class Entry:
    """One command. `sent` turns true when it first leaves this process; `answer` is set once."""

    __slots__ = ("answer", "command", "frame", "sent", "ticket")

    def __init__(self, command: order_entry_pb2.Command) -> None:
        self.command = command
        self.answer: order_entry_pb2.CommandResult | None = None
        self.sent = False
        self.frame = 0
        self.ticket: Ticket


class Ticket:
    """The entries of one call of a thread."""

    __slots__ = ("_gate", "entries", "left")

    def __init__(self, commands: Sequence[order_entry_pb2.Command]) -> None:
        self.entries = [Entry(command) for command in commands]
        for entry in self.entries:
            entry.ticket = self
        self.left = len(self.entries)
        self._gate = threading.Lock()
        self._gate.acquire()

    def wait(self, timeout_s: float) -> bool:
        """Whether everything was answered within the time."""
        return self.left == 0 or self._gate.acquire(timeout=max(0.0, timeout_s))

    def wake(self) -> None:
        """Let the waiting thread go on."""
        self._gate.release()


class LoopTicket(Ticket):
    """The entries of one call of a coroutine, on a loop of its own."""

    __slots__ = ("deadline", "future", "loop")

    def __init__(
        self,
        commands: Sequence[order_entry_pb2.Command],
        loop: asyncio.AbstractEventLoop,
        *,
        deadline: float,
    ) -> None:
        super().__init__(commands)
        self.loop = loop
        self.deadline = deadline
        self.future: asyncio.Future[None] = loop.create_future()
        """Done once everything is answered, or the session saw that the deadline had passed."""


def wake_all(tickets: Sequence[Ticket]) -> None:
    """Wake the callers: a thread by its lock, coroutines once for all that share a loop."""
    loops: dict[asyncio.AbstractEventLoop, list[LoopTicket]] = {}
    for ticket in tickets:
        if isinstance(ticket, LoopTicket):
            loops.setdefault(ticket.loop, []).append(ticket)
        else:
            ticket.wake()
    for loop, woken in loops.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_finish, woken)


def _finish(tickets: Sequence[LoopTicket]) -> None:
    for ticket in tickets:
        if not ticket.future.done():
            ticket.future.set_result(None)
