"""Five officers, of whom any one asks and any two others agree, and what they order a signer to hold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fixtures.authenticator import Authenticator
from kernel.approval import Verb
from kernel.intent import time_text
from tests.messages import order
from tests.softtoken import Desk, hot_registry
from tests.vault import ANA, BEN, CY, DECODERS, DOT, KEYS, NAMES, TEAMS

EVE: Final = "01900000-0000-7000-8000-0000000000e5"
ALL: Final = {officer: ["makers", "treasury"] for officer in (ANA, BEN, CY, DOT, EVE)}


def five(state: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> Desk:
    """A signer that knows them."""
    monkeypatch.setitem(KEYS, EVE, Authenticator(f"{4005:064x}"))
    monkeypatch.setitem(TEAMS, EVE, ["treasury"])
    monkeypatch.setitem(NAMES, EVE, "Eve")
    monkeypatch.setitem(DECODERS, EVE, Ed25519PrivateKey.from_private_bytes(b"\x63" * 32))
    return Desk(state, registry=hot_registry(teams=ALL, **changes))


class Orders:
    """Orders of which each is another."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.count = desk, 0

    def given(self, kind: str, hours: float, **members: Any) -> str:
        """What the signer says to an order that is good for so long, drafted now."""
        self.count += 1
        nonce, expires = self.count.to_bytes(32, "big"), time_text(self.desk.in_hours(hours))
        return self.desk.code(order(kind, nonce=nonce, expires=expires, **members))

    def freeze(self, by: str, name: str) -> str:
        return self.given("signer.freeze", 1, officers=[by], maker=by, verb=Verb.APPROVE, wallet=name)

    def suspend(self, by: str, officer: str) -> str:
        return self.freeze(by, f"officer:{officer}")

    def release(self, name: str, asker: str, officers: Sequence[str]) -> str:
        return self.given("signer.release", 24, maker=asker, officers=officers, wallet=name)

    def restore(self, officer: str, asker: str, officers: Sequence[str]) -> str:
        return self.release(f"officer:{officer}", asker, officers)

    def reopen(
        self, asker: str, officers: Sequence[str], reason: str = "a test", suspended: Sequence[str] = ()
    ) -> str:
        standing = self.desk.health["journal"]["standing"]
        about = {"token": self.desk.token.name, "standing": standing, "reason": reason}
        about["suspended"] = list(suspended)
        return self.given("signer.reopen", 1, maker=asker, officers=officers, **about)
