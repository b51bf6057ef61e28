"""Software passkeys that stand for officers' authenticators, kept for the demo's scripted officers."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from devstack import codes
from devstack.layout import HOME, Layout
from fixtures.authenticator import Authenticator

STAFF_FILE: Final = HOME / "fixtures" / "staff.json"


def of_staff(where: Layout) -> dict[str, Authenticator]:
    """Each member of staff's passkey to sign with, by their id.

    Beside it one each to come in with, an app for whoever comes by browser, and two that stand for the
    sealed keys in the safes.
    """
    console = kept(where.secrets / "console-keys.json", _emails())
    safes = kept(where.secrets / "sealed-keys.json", {place: place for place in ("safe 1", "safe 2")})
    emails = _emails()
    apps = codes.of_staff(where, list(emails.values()))
    first: dict[str, object] = {
        identity: {"passkeys": [_public(key)], "secrets": [apps[emails[identity]]]}
        for identity, key in console.items()
    }
    first["sealed"] = [_public(key) | {"label": place} for place, key in safes.items()]
    (where.secrets / "console-keys-public.json").write_text(json.dumps(first, indent=1))
    keys = kept(where.secrets / "passkeys.json", _emails())
    public = {identity: [_public(key)] for identity, key in keys.items()}
    (where.secrets / "passkeys-public.json").write_text(json.dumps(public, indent=1))
    return keys


def _emails() -> dict[str, str]:
    """Each member of staff's e-mail by their id."""
    return {person["id"]: person["email"] for person in json.loads(STAFF_FILE.read_text())["staff"]}


def kept(path: Path, names: Mapping[str, str]) -> dict[str, Authenticator]:
    """A passkey for each id, made where the file has none yet; the file holds the secrets by the names."""
    known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    keys = {identity: Authenticator(known.get(name)) for identity, name in names.items()}
    fresh = {name: keys[identity].private_key_hex for identity, name in names.items()}
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(fresh, file, indent=1)
    return keys


def _public(key: Authenticator) -> dict[str, str]:
    return {
        "credential_id": key.credential_id,
        "public_key": key.public_key_hex,
        "label": "software passkey",
    }
