"""The sealer's ear: testimonies from every process that writes events, taken in by a thread of its own."""

from __future__ import annotations

import contextlib
import logging
import selectors
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Final

from core.audit.testifying import DROPPED, MESSAGE_BYTES
from core.trusted.peers import user_of
from kernel.seats import Seats

log = logging.getLogger(__name__)

_PATIENCE_S: Final = 0.5
_PAUSE_S: Final = 0.05
_LULL_S: Final = 0.01
"""After what was heard: a socket holds a good deal more than comes in this time, and one wake-up costs more
than a dozen testimonies."""
WAITING_MAX: Final = 200_000
PACKETS_AT_ONCE: Final = 1_000
SPEAKERS_PER_USER: Final = 64
"""One user's processes; one more, and the one that came first has to come again."""


class Ear:
    """Testimonies that were heard and not yet taken. Who may speak is decided by the folder's permissions: a
    false testimony raises a false alarm, and can hide nothing. `unheard` counts those that there was no room
    for, here or in the socket.
    """

    def __init__(self) -> None:
        self._heard: SimpleQueue[tuple[int, bytes]] = SimpleQueue()
        self.unheard = 0
        self._seats = Seats[socket.socket](threading.RLock(), threading.Condition, per_user=SPEAKERS_PER_USER)

    def take(self) -> Iterator[tuple[int, bytes]]:
        """Everything that was heard since the last time."""
        for _ in range(self._heard.qsize()):
            yield self._heard.get()

    def listen(self, listener: socket.socket, stopped: threading.Event) -> None:
        """Take in what is said until told to stop."""
        with selectors.DefaultSelector() as among:
            among.register(listener, selectors.EVENT_READ)
            while not stopped.is_set():
                ready = among.select(_PATIENCE_S)
                for key, _ in ready:
                    speaker = key.fileobj
                    assert isinstance(speaker, socket.socket)
                    if speaker is listener:
                        self._let_in(listener, among)
                    elif speaker.fileno() >= 0 and not self._hear(speaker):
                        self._let_go(speaker, among)
                if ready:
                    stopped.wait(_LULL_S)
            for key in list(among.get_map().values()):
                if isinstance(key.fileobj, socket.socket) and key.fileobj is not listener:
                    self._let_go(key.fileobj, among)

    def _let_in(self, listener: socket.socket, among: selectors.BaseSelector) -> None:
        try:
            connection, _ = listener.accept()
        except OSError as error:  # such as no free descriptor: whoever is in is heard all the same
            log.error("a writer of events was not let in: %s", error)
            time.sleep(_PAUSE_S)
            return
        connection.setblocking(False)
        among.register(connection, selectors.EVENT_READ)
        gone = self._seats.enter(connection, user_of(connection))
        if gone is not None:  # its writer connects again when it has something to say
            with contextlib.suppress(OSError):
                gone.shutdown(socket.SHUT_RD)
            while self._hear(gone):
                pass
            self._let_go(gone, among)

    def _let_go(self, speaker: socket.socket, among: selectors.BaseSelector) -> None:
        among.unregister(speaker)
        self._seats.leave(speaker)
        speaker.close()

    def _hear(self, speaker: socket.socket) -> bool:
        """The packets that wait, but so many at most, for others wait as well; whether more may come."""
        for _ in range(PACKETS_AT_ONCE):
            try:
                packet = speaker.recv(MESSAGE_BYTES + 1)
            except BlockingIOError:
                return True
            except OSError:
                return False
            if len(packet) != MESSAGE_BYTES:
                return False  # it hung up, or is no writer of ours
            number, content = int.from_bytes(packet[:8], "big"), packet[8:]
            if number == DROPPED:
                self.unheard += int.from_bytes(content, "big")
            elif self._heard.qsize() < WAITING_MAX:
                self._heard.put((number, content))
            else:
                self.unheard += 1
        return True


@contextmanager
def hearing(path: Path | None, ear: Ear) -> Iterator[None]:
    """Listen there meanwhile, in whoever's place; nowhere without a path. Only the sealer that leads may: two
    would share what writers tell, and the one that seals would miss half of it.

    The socket's place stays taken afterwards: another may have it by then, and one of nobody's is as good as
    none.
    """
    if path is None:
        yield
        return
    path.unlink(missing_ok=True)
    stopped = threading.Event()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(path))
        path.chmod(0o666)
        listener.listen(64)
        thread = threading.Thread(target=ear.listen, args=(listener, stopped), daemon=True)
        thread.start()
        try:
            yield
        finally:
            stopped.set()
            thread.join()
