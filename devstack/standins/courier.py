"""Delivers a stand-in provider's webhooks: really signed, retried, and on request late, twice or tampered.

A delivery's bytes and signature are made once. Sending it again sends the same bytes, as a captured delivery
would be sent by whoever captured it.
"""

from __future__ import annotations

import http.client
import json
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from devstack.standins.provider_server import Reply, Request, Route

# The documented schedule is minutes to hours (5 min, 1 h, 5 h, 18 h); the shape is kept, the unit is not.
RETRIES_S = (0.5, 1.0, 2.0, 4.0, 8.0)
ANSWER_S = 10.0


@dataclass
class Delivery:
    """One webhook: its bytes and headers, and how each sending was answered (a status or an error's name)."""

    number: int
    event: str
    body: bytes
    headers: dict[str, str]
    answers: list[int | str] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "event": self.event,
            "body": self.body.decode(),
            "headers": self.headers,
            "answers": self.answers,
        }


Sign = Callable[[bytes], dict[str, str]]


def pretty(document: object) -> bytes:
    """JSON as the provider prints it: indented, with a space before each colon. Only these bytes verify."""
    return json.dumps(document, indent=2, separators=(",", " : "), ensure_ascii=False).encode()


def tampered(delivery: Delivery, how: str, digest_header: str) -> tuple[bytes, dict[str, str]]:
    """The delivery's bytes and headers after an attacker's change named `how`."""
    body, headers = delivery.body, dict(delivery.headers)
    digest = headers[digest_header]
    if how == "body":
        body = body.replace(b"RED", b"GREEN") if b"RED" in body else body.replace(b"GREEN", b"RED")
        body = body if body != delivery.body else body[:-1] + b" }"
    elif how == "reformatted":
        body = json.dumps(json.loads(body)).encode()
    elif how == "digest":
        headers[digest_header] = ("1" if digest[0] == "0" else "0") + digest[1:]
    elif how == "garbage":
        headers[digest_header] = digest + "zz"
    elif how == "upper":
        headers[digest_header] = digest.upper()
    elif how == "missing":
        del headers[digest_header]
    elif how == "non-ascii":
        headers[digest_header] = digest[:-1] + "é"
    elif how == "algorithm":
        headers["X-Payload-Digest-Alg"] = "NONE"
    elif how:
        raise ValueError(f"unknown way to tamper: {how}")
    return body, headers


class Courier:
    """Signs, queues and sends. `sign` gives the headers of a body; `digest_header` carries its digest."""

    def __init__(
        self, *, url: str, sign: Sign, digest_header: str, retries_s: Sequence[float] = RETRIES_S
    ) -> None:
        self.url = url
        self.is_holding = False
        self.deliveries: list[Delivery] = []
        self._sign = sign
        self._digest_header = digest_header
        self._retries_s = retries_s
        self._queue: queue.Queue[Delivery] = queue.Queue()
        self._lock = threading.Lock()
        threading.Thread(target=self._run, daemon=True).start()

    def post(self, event: str, document: object, *, deliver: bool = True) -> Delivery:
        """Make and sign one delivery; it goes out at once unless held back by `deliver` or `is_holding`."""
        body = pretty(document)
        return self.post_bytes(event, body, deliver=deliver)

    def post_bytes(self, event: str, body: bytes, *, deliver: bool = True) -> Delivery:
        """Sign and queue any bytes at all, such as rubbish that is not JSON."""
        with self._lock:
            delivery = Delivery(len(self.deliveries) + 1, event, body, self._sign(body))
            self.deliveries.append(delivery)
        if deliver and not self.is_holding:
            self._queue.put(delivery)
        return delivery

    def send(self, delivery: Delivery, *, tamper: str = "") -> int | str:
        """Send once, now, and return the status (or the name of the network error)."""
        body, headers = tampered(delivery, tamper, self._digest_header)
        answer = deliver(self.url, body, {"Content-Type": "application/json", **headers})
        delivery.answers.append(answer)
        return answer

    def _run(self) -> None:
        while True:
            delivery = self._queue.get()
            answer = self.send(delivery)
            if not (isinstance(answer, int) and answer < 300):
                threading.Thread(target=self._retry, args=(delivery,), daemon=True).start()

    def _retry(self, delivery: Delivery) -> None:
        for pause in self._retries_s:
            time.sleep(pause)
            answer = self.send(delivery)
            if isinstance(answer, int) and answer < 300:
                return

    def routes(self) -> list[Route]:
        """Control routes: list, hold back, and send deliveries in any order, any number of times, altered."""
        return [
            Route("GET", "/_standin/deliveries", self._list),
            Route("POST", "/_standin/deliveries", self._post_any),
            Route("POST", "/_standin/deliveries/send", self._send_many),
            Route("POST", r"/_standin/deliveries/(?P<number>\d+)/send", self._send_one),
            Route("POST", "/_standin/courier", self._steer),
        ]

    def _list(self, _request: Request) -> Reply:
        return Reply(200, [delivery.summary() for delivery in self.deliveries])

    def _post_any(self, request: Request) -> Reply:
        wanted = request.document()
        event = str(wanted.get("event", "raw"))
        will_send = bool(wanted.get("deliver", True))
        if "raw" in wanted:
            made = self.post_bytes(event, str(wanted["raw"]).encode("latin-1"), deliver=will_send)
        else:
            made = self.post(event, wanted["document"], deliver=will_send)
        return Reply(200, made.summary() if "raw" not in wanted else {"number": made.number})

    def _send_one(self, request: Request, number: str) -> Reply:
        wanted = request.document()
        time.sleep(float(wanted.get("delay_s", 0)))
        delivery = self.deliveries[int(number) - 1]
        tamper = str(wanted.get("tamper", ""))
        answers = [self.send(delivery, tamper=tamper) for _ in range(int(wanted.get("times", 1)))]
        return Reply(200, {"number": delivery.number, "answers": answers})

    def _send_many(self, request: Request) -> Reply:
        numbers = [int(number) for number in request.document()["order"]]
        return Reply(200, {"answers": [self.send(self.deliveries[number - 1]) for number in numbers]})

    def _steer(self, request: Request) -> Reply:
        wanted = request.document()
        self.is_holding = bool(wanted.get("hold", self.is_holding))
        self.url = str(wanted.get("url", self.url))
        return Reply(200, {"hold": self.is_holding, "url": self.url})


def deliver(url: str, body: bytes, headers: dict[str, str]) -> int | str:
    """POST the bytes; the status, or the name of what went wrong on the way.

    Names under .localhost are dialled at 127.0.0.1 (RFC 6761): the system's resolver may not know them.
    """
    parts = urlsplit(url)
    host = parts.hostname or "127.0.0.1"
    address = "127.0.0.1" if host == "localhost" or host.endswith(".localhost") else host
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(address, parts.port, timeout=ANSWER_S)
    try:
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", target, body=body, headers={"Host": parts.netloc, **headers})
        response = connection.getresponse()
        response.read()
        return response.status
    except (OSError, http.client.HTTPException) as error:
        return type(error).__name__
    finally:
        connection.close()
