"""The edge as tests need it: tokens from keys of our own, checked by the real middleware as always."""

from __future__ import annotations

import functools
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

import pytest
from django.conf import settings
from django.test import Client

from backoffice.console.ceremony import ASKED
from core.access import doors, postures
from core.access.adapters.identities import Desk
from core.access.adapters.keys import KeyStore
from core.access.adapters.shelf import Shelf
from core.access.models import Identity
from devstack.standins.edge_issuer import DISK_RULE, MANAGED_RULE, Issuer, Person
from fixtures.authenticator import Authenticator
from kernel import encodings
from tests.officers import SAFES, STAFF_FILE, console_key, sealed_key

TEAM: Final = "https://countersign.cloudflareaccess.com"
CONSOLE_AUD: Final = "c1" * 32
SERVICE_AUD: Final = "5a" * 32
CONSOLE: Final = "console.localhost"


_sittings: dict[UUID, str] = {}
"""Each person's session of this test, so that a second window of theirs need not be entered again."""


_people: dict[str, Person] = {}
"""Who was given a token, by subject: the edge answers for exactly these."""


class Edge:
    """What the edge's get-identity does in a test: it answers, unless `fault` does something else."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """As it was in the beginning: everybody's device is good, and nothing is wrong."""
        self.asked = 0
        self.postures: dict[str, dict[str, bool]] = {}
        self.fault: Callable[[], bytes] | None = None
        self.found_at: float | None = None

    def __call__(self, assertion: str) -> bytes:
        self.asked += 1
        if self.fault:
            return self.fault()
        claims = json.loads(encodings.from_base64url(assertion.split(".")[1]))
        person = _people[claims["sub"]]
        person = replace(person, posture={**person.posture, **self.postures.get(person.email, {})})
        return json.dumps(issuer().identity(person, claims, at=self.found_at)).encode()

    def says(self, identity: Identity, **posture: bool) -> None:
        """From now on the person's device is like this."""
        self.postures[identity.email] = posture


class Clock:
    """A monotonic clock that the test moves on."""

    def __init__(self) -> None:
        self.moment = 1000.0

    def __call__(self) -> float:
        return self.moment


class Wall:
    """The time of day, moved on by the test."""

    def __init__(self) -> None:
        self._ahead = 0.0

    @property
    def moment(self) -> float:
        return time.time() + self._ahead

    @moment.setter
    def moment(self, value: float) -> None:
        self._ahead = value - time.time()

    def __call__(self) -> float:
        return self.moment


edge, clock = Edge(), Wall()


def shelf() -> Shelf:
    """A shelf that no other test looks at, in the Redis of all."""
    return Shelf(settings.REDIS_URL, apart=uuid4().hex)


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
    edge.forget()
    clock.moment = time.time()
    settings.ACCESS_TEAM_URL = TEAM
    settings.ACCESS_CONSOLE_AUD, settings.ACCESS_SERVICE_AUD = CONSOLE_AUD, SERVICE_AUD
    store = KeyStore(lambda: json.dumps(issuer().certs()).encode(), development=True)
    monkeypatch.setattr(doors, "key_store", lambda *_, **__: store)
    settings.POSTURE_RULES = {
        "managed": frozenset({MANAGED_RULE}),
        "disk_encryption": frozenset({DISK_RULE}),
    }
    asking = Desk(edge, shelf=shelf(), clock=clock)
    monkeypatch.setattr(postures, "desk", lambda _: asking)


def token(identity: Identity) -> str:
    """What the edge would put on this officer's requests to the console."""
    person = Person(
        id=str(identity.pk),
        name=identity.display_name,
        email=identity.email,
        subject=identity.access_subject or "",
        roles=(),
    )
    _people[person.subject] = person
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
