"""The edge as tests need it: tokens from keys of our own, checked by the real middleware as always."""

from __future__ import annotations

import functools
import json
import tempfile
from pathlib import Path
from typing import Any, Final

import pytest
from django.test import Client

from core.access import doors
from core.access.adapters.keys import KeyStore
from core.access.models import Identity
from devstack.standins.edge_issuer import Issuer, Person
from tests.officers import STAFF_FILE

TEAM: Final = "https://countersign.cloudflareaccess.com"
CONSOLE_AUD: Final = "c1" * 32
SERVICE_AUD: Final = "5a" * 32
CONSOLE: Final = "console.localhost"


@functools.cache
def issuer() -> Issuer:
    """One edge with one set of keys for the whole run."""
    document = json.loads(STAFF_FILE.read_text())
    return Issuer(
        url=TEAM,
        keys_file=Path(tempfile.mkdtemp()) / "keys.json",
        people=[Person(**{**entry, "roles": tuple(entry["roles"])}) for entry in document["staff"]],
        services=[entry["client_id"] for entry in document["services"]],
    )


def open_doors(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the application believe this edge."""
    settings.ACCESS_TEAM_URL = TEAM
    settings.ACCESS_CONSOLE_AUD, settings.ACCESS_SERVICE_AUD = CONSOLE_AUD, SERVICE_AUD
    store = KeyStore(lambda: json.dumps(issuer().certs()).encode(), development=True)
    monkeypatch.setattr(doors, "key_store", lambda *_, **__: store)


def token(identity: Identity) -> str:
    """What the edge would put on this officer's requests to the console."""
    person = Person(
        id=str(identity.pk),
        name=identity.display_name,
        email=identity.email,
        subject=identity.access_subject or "",
        roles=(),
    )
    return issuer().user_token(person, CONSOLE_AUD)


def at_console(identity: Identity | None, *, checks_csrf: bool = False) -> Client:
    """A client at the console's door; without an identity it carries no token."""
    headers = {"Host": CONSOLE}
    if identity is not None:
        headers[doors.ASSERTION] = token(identity)
    return Client(enforce_csrf_checks=checks_csrf, headers=headers)
