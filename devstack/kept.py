"""The stack's secrets: made at its first start, kept in a file that only its owner reads."""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from devstack.layout import Layout
from devstack.users import NOTARY, TOKENS

DEFAULT_PORT: Final = 8000


class WrongPort(RuntimeError):
    """This state was made for another port, and signers have pinned the origin that contains it."""


@dataclass(frozen=True)
class Secrets:
    """What is generated once and then kept in a file that only its owner reads."""

    path: Path
    values: Mapping[str, Any]

    def __getitem__(self, name: str) -> str:
        return str(self.values[name])

    def pin(self, token: str) -> str:
        return str(self.values["pins"][token])

    def security_officer_pin(self, token: str) -> str:
        return str(self.values["so_pins"][token])


def port_of(where: Layout) -> int:
    """The port that this state was made for, or would be if nobody asks for another."""
    path = where.secrets / "stack.json"
    return int(json.loads(path.read_text())["port"]) if path.exists() else DEFAULT_PORT


def load_secrets(where: Layout, *, port: int | None) -> Secrets:
    """The stack's secrets, made at the first start. `port` is what the caller asks for, if anything."""
    path = where.secrets / "stack.json"
    before = json.loads(path.read_text()) if path.exists() else {}
    # A state that is older than some secret gets that one now.
    values = _make_secrets(port or DEFAULT_PORT) | before
    if values != before:
        where.secrets.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path.with_suffix(".new"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(values, file, indent=1)
        path.with_suffix(".new").replace(path)
    if port is not None and port != values["port"]:
        raise WrongPort(
            f"{where.shown()} was made for port {values['port']}: signers have pinned the approver's origin "
            f"with it. Use PORT={values['port']}, or another state folder (COUNTERSIGN_VAR)"
        )
    return Secrets(path, values)


def _make_secrets(port: int) -> dict[str, Any]:
    return {
        "port": port,
        "deployment": f"demo-{secrets.token_hex(4)}",
        "secret_key": secrets.token_urlsafe(48),
        "vault_passphrase": secrets.token_urlsafe(24),
        "field_key": base64.b64encode(secrets.token_bytes(32)).decode(),
        "hooks_key": base64.b64encode(secrets.token_bytes(32)).decode(),
        "rpc_password": secrets.token_hex(16),
        "sumsub_app_token": f"sbx:{secrets.token_hex(16)}",
        "sumsub_secret": secrets.token_hex(24),
        "sumsub_webhook_secret": secrets.token_hex(24),
        "onfido_token": f"api_sandbox.{secrets.token_hex(16)}",
        "onfido_webhook_token": secrets.token_hex(24),
        "alert_webhook_secret": secrets.token_hex(24),
        "console_aud": secrets.token_hex(32),
        "service_aud": secrets.token_hex(32),
        "pins": {token: f"{secrets.randbelow(10**8):08d}" for token in (*TOKENS, NOTARY)},
        "so_pins": {token: f"{secrets.randbelow(10**8):08d}" for token in (*TOKENS, NOTARY)},
    }
