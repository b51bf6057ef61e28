"""Registries that follow one another, and a signer that waits in between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.softtoken import Desk, hot_registry
from tests.vault import Message

DELAY = 3_600
# Officers whom no registry of the other tests knows.
RIA = "01900000-0000-7000-8000-0000000000e5"
SAM = "01900000-0000-7000-8000-0000000000f6"


def succession(desk: Desk, **changes: Any) -> tuple[Any, Message]:
    new = hot_registry(**{"version": 2, "limits": {"fee_sats_max": "1"}, **changes})
    return new, {"version": new.version, "digest": new.digest.hex(), "keys": list(new.keys)}


def patient(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "patient", registry=hot_registry(limits={"registry_delay_s": DELAY}))
