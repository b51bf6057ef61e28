"""The team's public keys (JWKS): fetched from one pinned address, kept through its outages, never hammered.

One store per process. A request waits for the network only while no key at all is known, or when its `kid`
is new and nobody has asked within the cooldown; everything else is answered from the last good set while a
background thread refreshes it.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers

from core.access.adapters import pinned
from core.access.domain.tokens import BadToken, Fault
from kernel import encodings, members

log = logging.getLogger(__name__)

FRESH_S: Final = 3600
STALE_S: Final = 6 * 24 * 3600
"""Below the seven days for which the edge still honours a key that it has rotated out."""
COOLDOWN_S: Final = 30
MODULUS_BITS_MIN: Final = 2048
DEVELOPMENT_MARK: Final = "countersign_development"
"""A member that the development stand-in puts into its key set, and that production refuses."""


class BadKeySet(ValueError):
    """The answer is no set of usable keys."""


class AmbiguousKeySet(BadKeySet):
    """The answer names one `kid`, or one member, twice: which key is meant, its reader would choose."""


@dataclass(frozen=True, slots=True)
class Age:
    """For the health probe: how many keys are known, seconds since the last good fetch, the last error, and
    whether that is a set that answers well and must not be believed, which no outage is.
    """

    keys: int
    seconds: float
    error: str
    is_odd: bool = False


class KeyStore:
    """The keys by `kid`. `fetch` returns the raw body; `monotonic` is a clock that never goes back."""

    def __init__(
        self,
        fetch: Callable[[], bytes],
        *,
        monotonic: Callable[[], float] = time.monotonic,
        development: bool = False,
        fresh_s: float = FRESH_S,
        stale_s: float = STALE_S,
        cooldown_s: float = COOLDOWN_S,
    ) -> None:
        self._fetch = fetch
        self._monotonic = monotonic
        self._development = development
        self._fresh_s, self._stale_s, self._cooldown_s = fresh_s, stale_s, cooldown_s
        self._lock = threading.Lock()
        self._keys: Mapping[str, RSAPublicKey] = {}
        self._succeeded = self._attempted = -float("inf")
        self._error, self._is_odd = "", False

    def key_of(self, kid: str) -> RSAPublicKey:
        """The key of that `kid`; BadToken when it is unknown or all keys are past the stale limit."""
        if kid not in self._keys:
            # Only while nothing is known does everybody wait for the one who fetches, also if that has begun.
            is_wanted = self._cooled() or (not self._keys and self._lock.locked())
            if is_wanted and self._lock.acquire(blocking=not self._keys):
                self._refresh()
        elif self._monotonic() - self._succeeded > self._fresh_s and self._cooled():  # noqa: SIM102
            if self._lock.acquire(blocking=False):
                threading.Thread(target=self._refresh, name="access-keys", daemon=True).start()
        if self._monotonic() - self._succeeded > self._stale_s:
            raise BadToken(Fault.KEYS_STALE)
        key = self._keys.get(kid)
        if key is None:
            raise BadToken(Fault.KEY_UNKNOWN)
        return key

    def age(self) -> Age:
        """How the store is doing."""
        return Age(len(self._keys), self._monotonic() - self._succeeded, self._error, self._is_odd)

    def _cooled(self) -> bool:
        return self._monotonic() - self._attempted >= self._cooldown_s

    def _refresh(self) -> None:
        """Fetch, unless somebody did while we waited for the lock, and give the lock back.

        An error keeps the last good set.
        """
        try:
            if not self._cooled():
                return
            self._attempted = self._monotonic()
            found = parse(self._fetch(), development=self._development)
            self._succeeded = self._monotonic()  # first: whoever finds a key must find it fresh
            self._keys = found
            self._error, self._is_odd = "", False
        except (httpx.HTTPError, BadKeySet, OSError) as error:
            self._error = f"{type(error).__name__}: {error}"[:200]
            self._is_odd = isinstance(error, AmbiguousKeySet)
            log.warning("the edge's keys could not be fetched: %s", self._error)
        finally:
            self._lock.release()


def parse(body: bytes, *, development: bool = False) -> dict[str, RSAPublicKey]:
    """The usable keys of a JWKS document: RSA, for signatures, RS256, with a `kid`. None is an error.

    So is a `kid` that is there twice: neither the first nor the last is taken for it.
    """
    try:
        document = json.loads(body, object_pairs_hook=members.unrepeated)
    except members.BadMember as error:
        raise AmbiguousKeySet(str(error)) from None
    except (ValueError, RecursionError):
        raise BadKeySet("not JSON") from None
    if not isinstance(document, dict) or not isinstance(document.get("keys"), list):
        raise BadKeySet("no list of keys")
    if DEVELOPMENT_MARK in document and not development:
        raise BadKeySet("these are the keys of the development stand-in")
    keys: dict[str, RSAPublicKey] = {}
    for entry in document["keys"]:
        if isinstance(entry, dict) and (key := _key(entry)) is not None:
            if entry["kid"] in keys:
                raise AmbiguousKeySet(f"two keys of one kid: {entry['kid'][:64]!r}")
            keys[entry["kid"]] = key
    if not keys:
        raise BadKeySet("no usable key")
    return keys


def _key(entry: dict[str, Any]) -> RSAPublicKey | None:
    kid = entry.get("kid")
    if (entry.get("kty"), entry.get("use"), entry.get("alg")) != ("RSA", "sig", "RS256"):
        return None
    if not isinstance(kid, str) or not kid:
        return None
    try:
        modulus, exponent = (
            int.from_bytes(encodings.from_base64url(entry[part]), "big") for part in ("n", "e")
        )
        key = RSAPublicNumbers(exponent, modulus).public_key()
    except (KeyError, TypeError, ValueError):
        return None
    return key if key.key_size >= MODULUS_BITS_MIN else None


def fetcher(url: str, *, timeout_s: float = pinned.TIMEOUT_S) -> Callable[[], bytes]:
    """A fetch of that one address."""

    def fetch() -> bytes:
        try:
            return pinned.get(url, timeout_s=timeout_s)
        except (pinned.BadStatus, pinned.BadBody) as error:
            raise BadKeySet(str(error)) from error

    return fetch
