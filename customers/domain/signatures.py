"""Checking a signed API call: the trader's HMAC over timestamp, method, path and body.

The order of the checks and their codes are those that existing clients rely on. An unknown key costs as much
as a known one, so that time does not tell which keys exist.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

WINDOW_S: Final = 30
_TIMESTAMP: Final = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z")
_NOBODY_SECRET: Final = b"\0" * 32
_NOBODY_ROW: Final = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Credentials:
    """A key in force, with what is needed to check a call. Nothing here is ever logged or shown."""

    row: UUID
    key: str
    customer: UUID
    secret: bytes
    passphrase: bytes
    scopes: frozenset[str]
    ip_allowlist: tuple[str, ...]
    last_used_at: datetime | None = None
    tier: int = 0

    def __repr__(self) -> str:
        return f"Credentials({self.key})"


@dataclass(frozen=True, slots=True)
class Call:
    """A call as it came: the header values, and the raw bytes that were signed."""

    key: str
    passphrase: str
    sign: str
    timestamp: str
    method: str
    target: bytes
    body: bytes
    ip: str


class CallRefused(Exception):
    """The call proves nothing; `code` and the sentence go back to the client with status 401. `key` is the
    row of the key that it was about, where there is such a key; `is_signed` where its holder did sign.
    """

    def __init__(
        self, code: int, sentence: str, *, key: Credentials | None = None, is_signed: bool = False
    ) -> None:
        super().__init__(sentence)
        self.code, self.key, self.is_signed = code, key, is_signed


def authenticate(
    call: Call,
    *,
    lookup: Callable[[str], Credentials | None],
    hash_passphrase: Callable[[str, UUID], bytes],
    now: datetime,
) -> Credentials:
    """The credentials that signed this call; CallRefused with the first check that failed."""
    _complete(call)
    check_moment(call.timestamp, now)
    found = lookup(call.key)
    row, secret = (found.row, found.secret) if found else (_NOBODY_ROW, _NOBODY_SECRET)
    passphrase = hash_passphrase(call.passphrase, row)
    signed = call.timestamp.encode() + call.method.encode() + call.target + call.body
    expected = sign(secret, signed)
    if found is None:
        raise CallRefused(50111, "Invalid OK-ACCESS-KEY.")
    if not hmac.compare_digest(passphrase, found.passphrase):
        raise CallRefused(50105, "Request header OK-ACCESS-PASSPHRASE incorrect.", key=found)
    if not hmac.compare_digest(expected, call.sign.encode("utf-8", "surrogatepass")):
        raise CallRefused(50113, "Invalid signature.", key=found)
    if not permitted_from(call.ip, found.ip_allowlist):
        sentence = "Your IP is not included in your API key's IP whitelist."
        raise CallRefused(50110, sentence, key=found, is_signed=True)
    return found


def sign(secret: bytes, message: bytes) -> bytes:
    """The base64 text of the HMAC, as clients send it."""
    return base64.b64encode(hmac.new(secret, message, hashlib.sha256).digest())


def check_moment(timestamp: str, now: datetime) -> None:
    """CallRefused where the text is no UTC timestamp with milliseconds, or too far from `now`."""
    if not _TIMESTAMP.fullmatch(timestamp):
        raise CallRefused(50112, "Invalid OK-ACCESS-TIMESTAMP.")
    try:
        moment = datetime.strptime(timestamp, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    except ValueError:
        raise CallRefused(50112, "Invalid OK-ACCESS-TIMESTAMP.") from None
    if abs((now - moment).total_seconds()) > WINDOW_S:
        raise CallRefused(50102, "Timestamp request expired.")


def permitted_from(ip: str, allowlist: Collection[str]) -> bool:
    """Whether the address is on the list. An empty list permits all; any other, no unknown address."""
    if not allowlist:
        return True
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return any((mapped or address) in ipaddress.ip_network(entry, strict=False) for entry in allowlist)


def _complete(call: Call) -> None:
    for value, code, name in (
        (call.key, 50103, "KEY"),
        (call.passphrase, 50104, "PASSPHRASE"),
        (call.sign, 50106, "SIGN"),
        (call.timestamp, 50107, "TIMESTAMP"),
    ):
        if not value:
            raise CallRefused(code, f"Request header OK-ACCESS-{name} cannot be empty.")
