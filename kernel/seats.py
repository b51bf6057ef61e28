"""Who sits at a small server's socket: who goes for another, and whose turn it is.

Signers and core's trusted programs decide about one message at a time, and share this; sockets, threads and
the lock are their own. Places belong to users, for whom the system vouches: whoever has taken over one
program fills that program's places and nobody else's, and however much it asks, each other user is answered
after one of its messages.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from functools import partial
from types import TracebackType
from typing import Final, Generic, Protocol, TypeVar

PER_USER: Final = 32
AT_ONCE: Final = 8  # aside

Peer = TypeVar("Peer", bound=Hashable)
Lock = TypeVar("Lock")


class Room(Protocol):
    """What threads wait in: a `threading.Condition`."""

    def __enter__(self) -> bool:
        """Alone in it."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        """Others may enter."""

    def wait_for(self, predicate: Callable[[], bool], timeout: float | None = None) -> bool:
        """Leave it until something has changed and this holds, or for so many seconds."""

    def notify_all(self) -> None:
        """Something has changed."""


class Gone(Exception):
    """The peer's place was given to another before it had said anything whole."""


class Seats(Generic[Peer]):
    """Everybody who is connected: silent, waiting for an answer, aside, or the one that is being answered."""

    def __init__(self, lock: Lock, room: Callable[[Lock], Room], *, per_user: int = PER_USER) -> None:
        self._room, self._per_user = room(lock), per_user
        self._new_room = partial(room, lock)
        self._rooms: dict[Peer, Room] = {}  # a room of its own for each that waits: it alone is woken
        self._inside = 0
        self._users: dict[Peer, int] = {}  # of those who have a place
        self._silent: dict[Peer, None] = {}  # the longest first
        # By user and whether they will go aside: whoever was answered longest ago first.
        self._waiting: dict[tuple[int, bool], deque[Peer]] = {}
        self._answered: Peer | None = None
        self._aside = 0
        self._back: deque[Peer] = deque()  # those that were aside and go on, each before all that wait
        self._closed = False

    def enter(self, peer: Peer, user: int) -> Peer | None:
        """Give it a place. Whoever is to be hung up on for it: of the same user's, the one that has been
        silent longest, or the newcomer itself where all of them wait for an answer. Each one that entered
        leaves, the newcomer too.
        """
        with self._room:
            self._inside += 1
            gone = None
            if sum(whose == user for whose in self._users.values()) >= self._per_user:
                gone = next((one for one in self._silent if self._users[one] == user), peer)
                if gone is peer:
                    return peer
                del self._users[gone], self._silent[gone]
            self._users[peer], self._silent[peer] = user, None
            return gone

    @contextlib.contextmanager
    def turn(self, peer: Peer, *, aside: bool = False) -> Iterator[None]:
        """For a peer whose message is there, whole: wait until it is its turn. Gone, before anything is done.

        One user's messages go by their age, users in rotation. Those whose answer will go `aside` are a
        line of their own, which stands while as many are aside as may be: what needs no place there passes.
        """
        with self._room:
            if peer not in self._users:
                raise Gone
            del self._silent[peer]
            self._waiting.setdefault((self._users[peer], aside), deque()).append(peer)
            self._wait_for_turn(peer)
        try:
            yield
        finally:
            with self._room:
                self._answered = None
                self._silent[peer] = None
                self._call()

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """For the one that is being answered: a part of its answer that needs nobody's turn.

        Others are answered meanwhile, and no more than AT_ONCE are aside; then it goes on before all others.
        """
        with self._room:
            self._room.wait_for(lambda: self._aside < AT_ONCE)
            peer, self._answered = self._answered, None
            assert peer is not None, "nobody is being answered"
            self._aside += 1
            self._call()
        try:
            yield
        finally:
            with self._room:
                self._aside -= 1
                self._back.append(peer)
                self._room.notify_all()  # whoever is being answered may have waited for this to go aside
                self._wait_for_turn(peer)

    def leave(self, peer: Peer) -> None:
        """It has gone, whatever it was about."""
        with self._room:
            self._inside -= 1
            self._users.pop(peer, None)
            self._silent.pop(peer, None)
            self._rooms.pop(peer, None)
            self._room.notify_all()

    def wait(self) -> None:
        """Until everybody has left."""
        with self._room:
            self._room.wait_for(lambda: not self._inside)

    def close(self) -> None:
        """Until every answer that was begun is given; nobody else gets a turn."""
        with self._room:
            self._closed = True
            self._room.wait_for(lambda: self._answered is None and not self._aside and not self._back)

    def _wait_for_turn(self, peer: Peer) -> None:
        if self._next() is not peer:
            self._rooms.setdefault(peer, self._new_room()).wait_for(lambda: self._answered is peer)

    def _call(self) -> None:
        """Wake whoever is to be answered now; where it is nobody, those that wait for just that."""
        peer = self._next()
        (self._room if peer is None else self._rooms[peer]).notify_all()

    def _next(self) -> Peer | None:
        """Who is being answered, or is to be."""
        if self._answered is None and self._back:
            self._answered = self._back.popleft()
        elif self._answered is None and not self._closed:
            is_full = self._aside >= AT_ONCE
            line = next((line for line in self._waiting if not (is_full and line[1])), None)
            if line is not None:
                queue = self._waiting.pop(line)
                self._answered = queue.popleft()
                if queue:
                    self._waiting[line] = queue  # behind everybody else
        return self._answered
