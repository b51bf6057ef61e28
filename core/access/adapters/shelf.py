"""Where all processes keep what the edge said of bearers: one answer for all of them, in Redis.

Other programs write to the same Redis, and an answer opens acts. So an entry is sealed under SECRET_KEY, to
its own token and with the moment of the question inside: whoever writes to Redis can lose an answer or bring
an old one back, which its moment makes worthless, and can make none. Whoever reads goes by that moment, never
by when Redis drops the entry.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, cast

import redis
from django.core import signing

from core import redis_store
from core.access.domain.postures import Finding, Posture

KEPT_S: Final = 300
"""How long an answer lies here at most; it serves no longer (`identities.FRESH_S`)."""

ShelfDown = redis_store.Down


@dataclass(frozen=True, slots=True)
class Kept:
    """What the edge said, asked at the Unix time `at`; without a posture it denied the token."""

    posture: Posture | None
    at: float


class Shelf:
    """Answers by a token's key, and when the edge last failed; `apart` separates deployments in one Redis."""

    def __init__(self, url: str, *, apart: str) -> None:
        self._url, self._apart = url, apart

    def look(self, key: str) -> tuple[Kept | None, float]:
        """The answer kept under this key, and when the edge last failed (0 where it did not); ShelfDown."""
        entry, failed = cast(
            "list[bytes | None]", self._redis.mget([self._name("answer", key), self._name("failed")])
        )
        return _opened(entry, key), _moment(failed)

    def put(self, key: str, kept: Kept) -> None:
        """Keep an answer, in place of the one before, and forget that the edge failed; ShelfDown."""
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.set(self._name("answer", key), _sealed(kept, key), ex=KEPT_S)
            pipe.delete(self._name("failed"), self._name("asking", key))
            pipe.execute()

    def failed(self, key: str, at: float) -> None:
        """Let every process leave the edge alone for a while; ShelfDown."""
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.set(self._name("failed"), repr(at), ex=KEPT_S)
            pipe.delete(self._name("asking", key))
            pipe.execute()

    def claim(self, key: str, *, for_s: float) -> bool:
        """Whether this process asks about this token; another that asks already is waited for. ShelfDown."""
        return bool(self._redis.set(self._name("asking", key), b"1", nx=True, px=int(for_s * 1000)))

    def is_asked(self, key: str) -> bool:
        """Whether some process is asking about it; ShelfDown."""
        return bool(self._redis.exists(self._name("asking", key)))

    @property
    def _redis(self) -> redis.Redis:
        return redis_store.connected(self._url)

    def _name(self, *parts: str) -> str:
        return ":".join(("access", self._apart, "posture", *parts))


def _signer(key: str) -> signing.Signer:
    return signing.Signer(salt=f"core.access.posture.{key}")


def _sealed(kept: Kept, key: str) -> str:
    posture = kept.posture
    said = None
    if posture is not None:
        said = {
            "device": posture.device,
            "groups": sorted(posture.groups),
            "findings": {
                rule: [found.passed, found.at.isoformat() if found.at else None]
                for rule, found in posture.findings.items()
            },
        }
    return _signer(key).sign_object({"at": kept.at, "posture": said})


def _opened(entry: bytes | None, key: str) -> Kept | None:
    """The entry, if it is ours and about this token; None for everything else."""
    if entry is None:
        return None
    try:
        found: Any = _signer(key).unsign_object(entry.decode())
    except (signing.BadSignature, UnicodeDecodeError):
        return None
    said = found["posture"]
    if said is None:
        return Kept(None, found["at"])
    findings = {
        rule: Finding(passed, datetime.fromisoformat(at) if at else None)
        for rule, (passed, at) in said["findings"].items()
    }
    return Kept(Posture(said["device"], frozenset(said["groups"]), findings), found["at"])


def _moment(text: bytes | None) -> float:
    try:
        return float(text or 0)
    except ValueError:
        return 0.0
