"""Programs that ask again and again over one connection each, in a process of their own.

python -m benchmarks.asking.clients < JSON     prints JSON: count, seconds and latencies in microseconds
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import json
import socket
import sys
import threading
import time
from collections import Counter
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

HEAD_MAX = 65_536


class Asker:
    """One connection, and the requests that go over it."""

    def __init__(self, asked: dict[str, Any]) -> None:
        self._asked, self._numbers = asked, itertools.count()
        self._socket = socket.create_connection(("127.0.0.1", asked["port"]))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._rest = b""

    def ask(self) -> str:
        """Ask once more; the status, and the code where the answer has one."""
        self._socket.sendall(self._request())
        head, body = self._answer()
        status = head.split(b" ", 2)[1].decode()
        return f"{status} {json.loads(body)['code']}" if b"application/json" in head else status

    def _request(self) -> bytes:
        asked, body = self._asked, self._body()
        lines = [f"{asked['method']} {asked['path']} HTTP/1.1", f"Host: {asked['host']}"]
        lines += [f"{name}: {value}" for name, value in asked["headers"].items()]
        if asked.get("key"):
            lines += _signed(asked, body)
        if asked["method"] == "POST":
            lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join([*lines, "", ""]).encode() + body

    def _body(self) -> bytes:
        """What stands in it, with something new in each place that wants it."""
        text = str(self._asked["body"])
        while "{uuid}" in text:
            text = text.replace("{uuid}", str(uuid4()), 1)
        while "{tag}" in text:
            text = text.replace("{tag}", uuid4().hex[:16], 1)
        return text.encode()

    def _answer(self) -> tuple[bytes, bytes]:
        head, _, rest = self._until(lambda data: b"\r\n\r\n" in data).partition(b"\r\n\r\n")
        head, self._rest = head.lower(), rest
        if b"content-length:" in head:
            length = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
            body = self._until(lambda data: len(data) >= length)
        else:  # in pieces, of which the last is empty
            body = self._until(lambda data: data.endswith(b"\r\n0\r\n\r\n"))
            body = body.partition(b"\r\n")[2]
        self._rest = b""  # nobody is answered before they have asked
        return head, body.removesuffix(b"\r\n0\r\n\r\n")

    def _until(self, is_whole: Any) -> bytes:
        data = self._rest
        while not is_whole(data):
            piece = self._socket.recv(HEAD_MAX)
            if not piece:
                raise ConnectionError("the server hung up")
            data += piece
        return data


def _signed(asked: dict[str, Any], body: bytes) -> list[str]:
    now = datetime.now(UTC)
    stamp = now.strftime("%Y-%m-%dT%H:%M:%S.") + f"{now.microsecond // 1000:03d}Z"
    message = f"{stamp}{asked['method']}{asked['path']}".encode() + body
    sign = base64.b64encode(hmac.new(asked["secret"].encode(), message, hashlib.sha256).digest()).decode()
    return [
        f"OK-ACCESS-KEY: {asked['key']}", f"OK-ACCESS-SIGN: {sign}", f"OK-ACCESS-TIMESTAMP: {stamp}",
        f"OK-ACCESS-PASSPHRASE: {asked['passphrase']}",
    ]  # fmt: skip


def main() -> None:
    """Run as a program."""
    asked = json.load(sys.stdin)
    askers = [Asker(asked) for _ in range(asked["clients"])]
    told: Counter[str] = Counter(asker.ask() for asker in askers)  # which is not counted
    told.clear()
    latencies: list[list[int]] = [[] for _ in askers]
    begin = time.perf_counter() + 0.05

    def work(index: int) -> None:
        time.sleep(max(0.0, begin - time.perf_counter()))
        while (before := time.perf_counter()) - begin < asked["seconds"]:
            told[askers[index].ask()] += 1
            latencies[index].append(int((time.perf_counter() - before) * 1e6))

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(askers))]
    print(json.dumps({"begin": True}), flush=True)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - begin
    print(json.dumps({"told": told, "seconds": took, "latencies": list(itertools.chain(*latencies))}))


if __name__ == "__main__":
    main()
