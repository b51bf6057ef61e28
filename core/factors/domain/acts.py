"""What a ceremony commits to: the digest of one exact act, and the challenge over it.

An assertion over `challenge(nonce, digest)` proves consent to this method, route, target and these fields,
and to no others: whoever changes a field on the way, or replays the assertion with another form, holds a
signature of something else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

from kernel import canonical

TAG: Final = b"countersign/step-up/v1"
NONCE_BYTES: Final = 32


def digest(
    *,
    method: str,
    route: str,
    target: Mapping[str, str],
    fields: Mapping[str, Sequence[str]],
    files: Mapping[str, str],
) -> bytes:
    """SHA-256 of the act's canonical form; `files` are named by the SHA-256 of their content.

    Line ends are made equal: a browser rewrites them when it sends a text back.
    """
    act: dict[str, canonical.Value] = {
        "v": 1,
        "method": method,
        "route": route,
        "target": dict(target),
        "fields": {_plain(name): [_plain(value) for value in values] for name, values in fields.items()},
        "files": dict(files),
    }
    return canonical.digest(canonical.encode(act))


def challenge(nonce: bytes, act: bytes) -> bytes:
    """What the authenticator signs: SHA-256(tag ‖ 0 ‖ nonce ‖ digest of the act)."""
    return hashlib.sha256(TAG + b"\x00" + nonce + act).digest()


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
