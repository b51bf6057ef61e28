"""The edge as tests need it: tokens from keys of our own, checked by the real middleware as always."""

from __future__ import annotations

import functools
import json
import tempfile
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import pytest
from django.conf import settings
from django.test import Client

from backoffice.console.ceremony import ASKED
from core.access import doors
from core.access.adapters.keys import KeyStore
from core.access.models import Identity
from devstack.standins.edge_issuer import Issuer, Person
from fixtures.authenticator import Authenticator
from kernel import encodings
from tests.officers import SAFES, STAFF_FILE, console_key, sealed_key

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


class Browser(Client):
    """A person at the console, who confirms what they are asked to confirm, with their own passkey.

    The ceremony goes over HTTP like everything else: the question's page is read, its form sent back.
    """

    person: UUID | None = None
    confirms = True
    safe = SAFES[0]

    def generic(self, method: str, path: str, *args: Any, **how: Any) -> Any:
        answer = super().generic(method, path, *args, **how)
        if answer.status_code != ASKED or not self.confirms or self.person is None:
            return answer
        self.confirms = False  # one answer to one question
        form = confirmation(answer.content.decode())
        assert form is not None, "the page that asks has no form"
        key = sealed_key(self.safe) if "a sealed key" in answer.content.decode() else console_key(self.person)
        fields = {**form.fields, **form.touched(key)}
        try:
            return super().post(form.address, fields, headers=how.get("headers"))
        finally:
            self.confirms = True


@dataclass(frozen=True)
class Confirmation:
    """The form of a page that asks: where it goes, what it carries, and what is to be signed."""

    address: str
    fields: dict[str, list[str]]
    challenge: bytes
    rp_id: str

    def touched(self, key: Authenticator, **how: Any) -> dict[str, str]:
        """What the page's script would fill in."""
        where = {"origin": settings.CONSOLE_ORIGIN, "rp_id": self.rp_id, **how}
        given = key.assertion(self.challenge, **where)
        return {
            "stepup_credential_id": key.credential_id,
            "stepup_authenticator_data": encodings.base64url(given.authenticator_data),
            "stepup_client_data": encodings.base64url(given.client_data),
            "stepup_signature": encodings.base64url(given.signature),
        }


class _Forms(HTMLParser):
    """Reads the form named `ceremony`."""

    def __init__(self) -> None:
        super().__init__()
        self.form: dict[str, str] | None = None
        self.fields: dict[str, list[str]] = {}
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._inside = found.get("id") == "ceremony"
            self.form = found if self._inside else self.form
        elif tag == "input" and self._inside and found.get("type") == "hidden":
            self.fields.setdefault(found["name"], []).append(found["value"])

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag != "form"


def confirmation(page: str) -> Confirmation | None:
    """The form on a page that asks for a ceremony; None where it has none."""
    reader = _Forms()
    reader.feed(page)
    if reader.form is None:
        return None
    challenge = encodings.from_base64url(reader.form["data-challenge"])
    return Confirmation(reader.form["action"], reader.fields, challenge, reader.form["data-rp"])


def at_console(identity: Identity | None, *, checks_csrf: bool = False, confirms: bool = True) -> Browser:
    """A client at the console's door; without an identity it carries no token."""
    headers = {"Host": CONSOLE}
    if identity is not None:
        headers[doors.ASSERTION] = token(identity)
    client = Browser(enforce_csrf_checks=checks_csrf, headers=headers)
    client.person, client.confirms = identity.pk if identity else None, confirms
    return client
