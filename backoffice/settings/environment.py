"""Reading the environment: every setting of a deployment has one name, and a missing one is named."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

LIMITS = {"statement_timeout": "15s", "lock_timeout": "4s", "idle_in_transaction_session_timeout": "30s"}
"""A statement that hangs, a lock that is not given and a forgotten transaction all end by themselves."""


def text(name: str, default: str | None = None) -> str:
    """The variable, or the default; ImproperlyConfigured where there is neither."""
    value = os.environ.get(name, default)
    if value is None:
        raise ImproperlyConfigured(f"{name} is not set; docs/configuration.md says what it is")
    return value


def whole(name: str, default: int, *, least: int) -> int:
    """The variable as a whole number; ImproperlyConfigured below the least that is allowed."""
    value = text(name, str(default))
    if not (value.isascii() and value.isdigit() and int(value) >= least):
        raise ImproperlyConfigured(f"{name} is {value}; it must be a whole number, {least} at least")
    return int(value)


def secret_file(name: str) -> Path | None:
    """The path that the variable holds, if any."""
    value = os.environ.get(name)
    return Path(value) if value else None


def certificates(path: Path | None) -> tuple[bytes, ...]:
    """Each certificate of a PEM file; none without one."""
    if path is None:
        return ()
    end = b"-----END CERTIFICATE-----"
    return tuple(part.strip() + b"\n" + end + b"\n" for part in path.read_bytes().split(end) if part.strip())


def database(url: str) -> dict[str, object]:
    """Django's settings for postgresql://user:password@host:port/name?host=/socket/folder."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    if parts.scheme not in ("postgresql", "postgres"):
        raise ImproperlyConfigured(f"DATABASE_URL must be a postgresql:// URL, not {parts.scheme}://")
    return {
        "ENGINE": "core.postgres",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(query.get("user", [parts.username or ""])[0]),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": query.get("host", [parts.hostname or ""])[0],
        "PORT": str(parts.port or ""),
        # An ASGI request runs on a thread of its own, which keeps nothing for the next one: it gives its
        # session back, and never are there more of them than this (docs/adr/0052).
        "CONN_MAX_AGE": 0,
        "SESSIONS": whole("DATABASE_SESSIONS", 24, least=1),
        "OPTIONS": {
            "application_name": os.environ.get("PROCESS_NAME", "countersign"),
            "options": " ".join(f"-c {name}={limit}" for name, limit in LIMITS.items()),
        },
    }
