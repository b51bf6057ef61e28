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


_sittings: dict[UUID, str] = {}
"""Each person's session of this test, so that a second window of theirs need not be entered again."""


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
    """Make the application believe this edge. Nobody sits at the console yet."""
    _sittings.clear()
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
    enters = True
    safe = SAFES[0]

    def enter(self) -> None:
        """Start a session, as whoever comes in does."""
        assert self.person is not None
        self.enters, confirms, self.confirms = False, self.confirms, False
        try:
            page = self.get("/").content.decode()
            form = confirmation(page, "enter")
            assert form is not None, "the page at the entrance has no form"
            asked = confirmation(self.post(form.address, form.fields).content.decode())
            assert asked is not None, "nobody is asked for an authenticator"
            fields = {**asked.fields, **asked.touched(console_key(self.person))}
            assert self.post(asked.address, fields).status_code == 302
        finally:
            self.enters, self.confirms = True, confirms
        _sittings[self.person] = self.cookies[settings.SESSION_COOKIE_NAME].value

    def generic(self, method: str, path: str, *args: Any, **how: Any) -> Any:
        answer = super().generic(method, path, *args, **how)
        if (
            answer.status_code == ASKED
            and self.person is not None
            and self.enters
            and b'id="enter"' in answer.content
        ):
            self.enter()
            answer = super().generic(method, path, *args, **how)
        if answer.status_code != ASKED or not self.confirms or self.person is None:
            return answer
        form = confirmation(answer.content.decode())
        if form is None:
            return answer
        self.confirms = False  # one answer to one question
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
    """Reads the form of that id."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.form: dict[str, str] | None = None
        self.fields: dict[str, list[str]] = {}
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._inside = found.get("id") == self.name
            self.form = found if self._inside else self.form
        elif tag == "input" and self._inside and found.get("type") == "hidden":
            self.fields.setdefault(found["name"], []).append(found["value"])

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag != "form"


def confirmation(page: str, name: str = "ceremony") -> Confirmation | None:
    """The form on a page that asks for a ceremony; None where it has none."""
    reader = _Forms(name)
    reader.feed(page)
    if reader.form is None:
        return None
    challenge = encodings.from_base64url(reader.form.get("data-challenge", ""))
    return Confirmation(reader.form["action"], reader.fields, challenge, reader.form.get("data-rp", ""))


def at_console(
    identity: Identity | None, *, checks_csrf: bool = False, confirms: bool = True, fresh: bool = False
) -> Browser:
    """A client at the console's door; without an identity it carries no token."""
    headers = {"Host": CONSOLE}
    if identity is not None:
        headers[doors.ASSERTION] = token(identity)
    client = Browser(enforce_csrf_checks=checks_csrf, headers=headers)
    client.person, client.confirms = identity.pk if identity else None, confirms
    if identity is not None and not fresh and identity.pk in _sittings:
        client.cookies[settings.SESSION_COOKIE_NAME] = _sittings[identity.pk]
    return client
