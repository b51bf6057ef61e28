"""The two ways out for an alert: e-mail by SMTP, and a signed webhook. Both raise where nobody took it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Final, TypeVar
from urllib.parse import unquote, urlsplit
from uuid import UUID

import httpx
from django.core.mail import EmailMessage
from django.core.mail.backends.smtp import EmailBackend

from core.factors.domain.alerts import SIGNATURE_HEADER

TIMEOUT_S: Final = 10
"""For each reading and writing."""
WITHIN_S: Final = 40
"""For a whole hand-over: less than the outbox waits before it gives the alert to another worker as well."""
T = TypeVar("T")
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")


class NotTaken(RuntimeError):
    """The other side did not accept the alert, or could not be asked in a safe way; it is tried again."""


def mail(*, url: str, sender: str, to: str, subject: str, text: str, id_: UUID) -> str:
    """Hand one mail over; the Message-ID under which the server took it.

    `smtps://` is TLS from the start, `smtp://` STARTTLS, and plain only on this very machine.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
        raise NotTaken("ALERT_SMTP_URL is no smtp:// or smtps:// address")
    identifier = f"<{id_}@{sender.rpartition('@')[2]}>"
    backend = EmailBackend(
        host=parts.hostname,
        port=parts.port or (465 if parts.scheme == "smtps" else 587),
        username=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        use_ssl=parts.scheme == "smtps",
        use_tls=parts.scheme == "smtp" and parts.hostname not in _LOOPBACK,
        timeout=TIMEOUT_S,
    )
    message = EmailMessage(subject, text, sender, [to], headers={"Message-ID": identifier})
    if _in_time(lambda: backend.send_messages([message]), parts.hostname) != 1:
        raise NotTaken(f"{parts.hostname} did not take the mail")
    return identifier


def webhook(*, url: str, body: bytes, signed: str) -> str:
    """Hand one signed body over; the answer's status. A redirection is no acceptance."""
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
        raise NotTaken("ALERT_WEBHOOK_URL is not https://")
    headers = {"Content-Type": "application/json", SIGNATURE_HEADER: signed}
    answer = _in_time(
        lambda: httpx.post(url, content=body, headers=headers, timeout=TIMEOUT_S, follow_redirects=False),
        parts.hostname or "",
    )
    if not answer.is_success:
        raise NotTaken(f"{parts.hostname} answered {answer.status_code}")
    return f"HTTP {answer.status_code}"


def _in_time(hand_over: Callable[[], T], host: str) -> T:
    """What it comes to; NotTaken after WITHIN_S. Whoever answers a byte at a time holds no worker for longer.

    The thread that is left behind ends with the other side: a socket's own time-out begins anew at each byte.
    """
    done: Future[T] = Future()

    def run() -> None:
        try:
            done.set_result(hand_over())
        except Exception as error:  # noqa: BLE001 -- the caller raises it
            done.set_exception(error)

    threading.Thread(target=run, name="alert", daemon=True).start()
    if not wait([done], timeout=WITHIN_S).done:
        raise NotTaken(f"{host} was not through with it after {WITHIN_S} s")
    return done.result()
