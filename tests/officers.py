"""The officers of the cast, enrolled, each with a software passkey: where tests of approvals begin."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final
from uuid import UUID

from django.conf import settings

from core.access.actions.founding import Founder, Passkey
from core.access.models import Identity
from core.access.roles import Role
from core.actor import Actor, system
from core.approvals.actions import submit_ask
from core.approvals.models import ApprovalRequest
from core.approvals.signed import Signed
from core.factors.actions.founding import FirstFactors, found
from custody.models import SignerOrder
from fixtures.authenticator import App, Authenticator
from kernel.approval import Statement, Verb

SAFES: Final = ("upstairs", "downstairs")
STAFF_FILE: Final = Path(__file__).resolve().parents[1] / "fixtures/staff.json"


@dataclass(frozen=True)
class Officer:
    """One of the cast: the row, the passkey, and the actor that the middleware would make of them."""

    identity: Identity
    passkey: Authenticator

    @property
    def key(self) -> Authenticator:
        """The passkey for the console."""
        return console_key(self.identity.pk)

    @property
    def app(self) -> App:
        """The authenticator app."""
        return authenticator_app(self.identity.pk)

    @property
    def actor(self) -> Actor:
        return Actor(
            identity=self.identity.pk,
            kind="officer",
            label=self.identity.display_name,
            subject=self.identity.access_subject or "",
        )

    def answer(self, request: ApprovalRequest, verb: str = "approve", reason: str = "") -> Signed:
        """What the approver page would hand in for this request."""
        statement = Statement(
            Verb(verb), request.kind, request.deployment, bytes(request.nonce), bytes(request.digest)
        )
        return self._signed(statement, reason)

    def asks(self, request: ApprovalRequest, now: datetime) -> None:
        """Sign, as its maker, that they ask for it."""
        submit_ask(request_id=request.pk, signed=self.answer(request, "ask"), actor=self.actor, now=now)

    def order(self, order: SignerOrder) -> Signed:
        """What the approver page would hand in for a stop that this officer drafted."""
        return self._signed(
            Statement.about(
                bytes(order.payload),
                verb=Verb.APPROVE,
                kind=order.kind,
                deployment=settings.DEPLOYMENT,
                nonce=bytes(order.nonce),
            )
        )

    def _signed(self, statement: Statement, reason: str = "") -> Signed:
        return Signed(
            verb=statement.verb,
            credential_id=self.passkey.credential_id,
            assertion=self.passkey.assertion(
                statement.challenge(), origin=settings.APPROVER_ORIGIN, rp_id=settings.APPROVER_RP_ID
            ),
            reason=reason,
        )


@dataclass(frozen=True)
class Staff:
    """Ana makes, Ben and Cy check, Dot audits, Eve has no access, Sam keeps it running."""

    ana: Officer
    ben: Officer
    cy: Officer
    dot: Officer
    eve: Officer
    sam: Officer


def enrol(*, now: datetime, more: Mapping[str, Role] | None = None) -> Staff:
    """The staff of fixtures/staff.json, enrolled by the founding action; `more` adds roles by first name."""
    entries = json.loads(STAFF_FILE.read_text())["staff"]
    keys = [Authenticator() for _ in entries]
    people = [
        Founder(
            id=UUID(entry["id"]),
            name=entry["name"],
            email=entry["email"],
            subject=entry["subject"],
            roles=frozenset(map(Role, entry["roles"])) | _extra(entry["email"], more or {}),
            passkeys=(Passkey(key.credential_id, key.public_key_hex),),
        )
        for entry, key in zip(entries, keys, strict=True)
    ]
    rows = found(
        people=people,
        factors=first_factors(people),
        sealed=[
            Passkey(key.credential_id, key.public_key_hex, f"safe {place}")
            for place, key in enumerate(map(sealed_key, SAFES), 1)
        ],
        actor=system("test"),
        now=now,
    )
    return Staff(*(Officer(row, key) for row, key in zip(rows, keys, strict=True)))


def first_factors(people: Sequence[Founder]) -> dict[UUID, FirstFactors]:
    """A passkey for the console and an authenticator app for each."""
    return {
        person.id: FirstFactors(
            passkeys=(Passkey(key.credential_id, key.public_key_hex, "key on the ring"),),
            secrets=(authenticator_app(person.id).secret,),
        )
        for person in people
        for key in (console_key(person.id),)
    }


@functools.cache
def console_key(person: UUID) -> Authenticator:
    """The same passkey for the same person in every test, so that whoever knows the person can use it."""
    return Authenticator(hashlib.sha256(b"console" + person.bytes).hexdigest())


@functools.cache
def sealed_key(safe: str) -> Authenticator:
    """The key in a safe."""
    return Authenticator(hashlib.sha256(f"safe {safe}".encode()).hexdigest())


@functools.cache
def authenticator_app(person: UUID) -> App:
    """The same for their app."""
    return App(hashlib.sha256(b"app" + person.bytes).digest()[:20])


def _extra(email: str, more: Mapping[str, Role]) -> frozenset[Role]:
    role = more.get(email.partition("@")[0])
    return frozenset() if role is None else frozenset({role})
