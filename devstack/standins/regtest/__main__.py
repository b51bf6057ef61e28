"""`python -m devstack.standins.regtest --folder DIR --port N --user U --password-file FILE`: the regtest
node.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import time
from pathlib import Path

from devstack.standins.regtest.node import Node
from devstack.standins.regtest.rpc import Rpc
from devstack.standins.regtest.server import Server


def main() -> None:
    parser = argparse.ArgumentParser(description="A Bitcoin regtest node behind Bitcoin Core's JSON-RPC.")
    parser.add_argument("--folder", type=Path, required=True, help="where blocks and mempool are kept")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True, help="0 takes a free one")
    parser.add_argument("--user", default="countersign")
    parser.add_argument("--password-file", type=Path, required=True, help="a file with the RPC password")
    options = parser.parse_args()

    began = time.monotonic()
    node = Node(options.folder, clock=lambda: int(time.time()))
    server = Server(
        Rpc(node),
        host=options.host,
        port=options.port,
        user=options.user,
        password=options.password_file.read_text().strip(),
        log=lambda line: print(line, flush=True),
    )

    def stop(_number: int, _frame: object) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, stop)
    print(
        f"regtest node at height {node.chain.height} on {options.host}:{server.server_address[1]} "
        f"after {time.monotonic() - began:.1f} s",
        flush=True,
    )
    with server, contextlib.suppress(KeyboardInterrupt):
        server.serve_forever(poll_interval=0.2)


if __name__ == "__main__":
    main()
