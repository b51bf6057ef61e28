"""The console as browsers meet it: uvicorn on a port of its own, in a thread of the test's process."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import wait
from contextlib import contextmanager
from typing import Any, Final

import uvicorn
from channels.layers import channel_layers

from backoffice.console import consumers

START_S: Final = 60.0


class Server(uvicorn.Server):
    """As in production, with the same WebSocket implementation and the same limits. But it ends only when all
    that is under way has ended: its database is gone then.
    """

    def __init__(self, application: Any) -> None:
        super().__init__(
            uvicorn.Config(
                application,
                ws="websockets-sansio",
                ws_max_size=16384,
                lifespan="off",
                log_level="error",
                proxy_headers=False,
                timeout_graceful_shutdown=60,
            )
        )
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.run, kwargs={"sockets": [self.listener]})

    def drain(self) -> None:
        """Ask for the end, as a deployment does, and wait for it."""
        self.should_exit = True
        self.thread.join()
        # A look that was under way goes on in its thread: wait until each of them is free.
        threads = consumers._pool._max_workers
        free = threading.Barrier(threads)
        wait([consumers._pool.submit(free.wait) for _ in range(threads)])


@contextmanager
def console_served(settings: Any) -> Iterator[Server]:
    """The console's entry at `settings.CONSOLE_ORIGIN`, over the database that is the default now."""
    from backoffice.asgi import console

    channel_layers.backends.clear()  # the one before belonged to another loop
    server = Server(console)
    settings.CONSOLE_ORIGIN = f"http://console.localhost:{server.port}"
    server.thread.start()
    try:
        deadline = time.monotonic() + START_S
        while not server.started and server.thread.is_alive() and time.monotonic() < deadline:
            time.sleep(0.005)
        assert server.started
        yield server
    finally:
        server.drain()
        server.listener.close()
