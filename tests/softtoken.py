"""A signer in this process: keys in memory, a clock that tests move, everything else the real thing."""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from custody.signer.journal import Journal
from custody.signer.refusals import Refused
from custody.signer.requests import Order
from custody.signer.signing import Signer
from custody.signer.tokens import Token
from kernel import canonical
from kernel.intent import Intent, time_text
from kernel.registry import Registry
from tests.messages import in_hours, order, request, withdrawal
from tests.softkeys import SoftKey
from tests.vault import Message, registry_document

TOKENS = ("hot-1", "hot-2", "hot-3")
ADDRESSES = 4


@functools.cache
def keys_of(token: str) -> list[SoftKey]:
    return [SoftKey(10_000 + 100 * TOKENS.index(token) + index) for index in range(ADDRESSES)]


def hot_registry(**changes: Any) -> Registry:
    """A registry of a hot wallet on soft tokens; `limits` are merged, and so are officers' `teams`."""
    rows = [[keys_of(token)[index].public_key.hex() for token in TOKENS] for index in range(ADDRESSES)]
    document = registry_document({"hot": {"m": 2, "tokens": list(TOKENS), "keys": rows}})
    document["policies"].pop("custody.refill")
    document["limits"].update(changes.pop("limits", {}))
    for officer, teams in changes.pop("teams", {}).items():
        document["officers"][officer]["teams"] = teams
    document.update(changes)
    return Registry.parse(canonical.encode(document))


class SoftToken(Token):
    """What the token remembers (`anchor`) outlives the signer's process, as on hardware."""

    def __init__(self, name: str = "hot-1") -> None:
        self.name, self.serial = name, f"soft-{name}"
        self.anchor = None
        self.broken = False
        self.signed = 0
        self._out: dict[int, float] = {}
        self._since, self._stuck, self._alone, self._idle = math.inf, math.nan, threading.RLock(), []

    def close(self) -> None:
        """Nothing to leave."""

    def sign(self, index: int, digest: bytes, *, public_key: bytes) -> bytes:
        if self.broken:
            raise Refused("SIGNER_TOKEN_FAILED", "broken on purpose")
        self.signed += 1
        return keys_of(self.name)[index].sign(digest)

    def sign_all(self, wanted: Sequence[tuple[int, bytes, bytes]]) -> list[bytes]:
        return [self.sign(index, digest, public_key=key) for index, digest, key in wanted]

    def check_key(self, index: int, *, public_key: bytes) -> None:
        assert keys_of(self.name)[index].public_key == public_key

    @property
    def anchor(self) -> bytes | None:
        """What it was told last, of the objects in which the real one keeps that."""
        return self.read()

    @anchor.setter
    def anchor(self, value: bytes | None) -> None:
        self._found, self._objects = {}, list[dict[Any, Any]]()
        if value is not None:
            self.write(value)

    def _anchors(self) -> list[dict[Any, Any]]:
        return [*self._objects]

    def _keep(self, template: Mapping[Any, object]) -> dict[Any, Any]:
        self._objects.append(dict(template))
        return self._objects[-1]

    def secret(self) -> bytes:
        return b"\x05" * 32

    def log_key(self) -> bytes:
        return self._log.public_key().public_bytes_raw()

    def sign_head(self, text: bytes) -> bytes:
        return self._log.sign(text)

    def probe(self) -> None:
        if self.broken:
            raise Refused("SIGNER_TOKEN_FAILED", "broken on purpose")

    @property
    def _log(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.name.encode().ljust(32))


@dataclass
class Desk:
    """A signer that can be ended and started again over the same token and folder."""

    state: Path
    registry: Registry = field(default_factory=hot_registry)
    token: SoftToken = field(default_factory=SoftToken)
    now: float = 0.0
    order: Order | None = None
    listens: bool = True

    def __post_init__(self) -> None:
        self.now = self.now or in_hours(0).timestamp()
        self.signer = self._start()

    def _start(self) -> Signer:
        return Signer(
            token=self.token,
            registry=self.registry,
            state=self.state,
            clock=lambda: self.now,
            order=self.order,
            listens=self.listens,
        )

    def restart(self, **changes: Any) -> Desk:
        """As after a crash: nothing is said to the old process."""
        self.signer.journal.close()
        for name, value in changes.items():
            setattr(self, name, value)
        self.signer = self._start()
        return self

    def listen(self, minutes: int = 10) -> Desk:
        """Ask it how it is once a minute: so long it listens for a veto before it takes a registry up."""
        for _ in range(minutes):
            self.now += 60
            assert self.health
        return self

    def ask(self, message: Message) -> Message:
        return self.signer.answer(message)

    def code(self, message: Message) -> str:
        """The refusal's code, or the type of the answer."""
        answer = self.ask(message)
        return str(answer.get("code", answer["type"]))

    def spend(self, intent: Intent | None = None, **how: Any) -> str:
        """What it says to a spend that is honest unless changed; a withdrawal by its own clock."""
        chosen = intent or withdrawal(expires=self.in_hours(1))
        return self.code(request(self.registry, [chosen], **how))

    def let_go(self, name: str = "*", **how: Any) -> str:
        """What it says to a release that officers were asked for just now, a little after a reopening."""
        self.now += 121
        expires = time_text(self.in_hours(24))
        return self.code(order("signer.release", **{"wallet": name, "expires": expires, **how}))

    def in_hours(self, hours: float) -> datetime:
        """A moment by this signer's clock."""
        return datetime.fromtimestamp(int(self.now), UTC) + timedelta(hours=hours)

    @property
    def health(self) -> Message:
        return self.ask({"v": 1, "type": "health"})

    @property
    def journal(self) -> Journal:
        return self.signer.journal

    @property
    def file(self) -> Path:
        return self.state / "journal.jsonl"
