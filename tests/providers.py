"""A customer to verify, officers who decide, and the stand-in providers on loopback ports."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from core.access.models import Identity, Kind, RoleGrant
from core.access.roles import Role
from core.actor import Actor, system
from customers.actions import sign_up
from customers.models import Customer
from devstack.standins.provider_server import ProviderServer
from kyc import actions
from kyc.domain.answers import Answer
from kyc.domain.verifications import State
from kyc.models import KycProfile, Provider, ProviderApplicant, Verification
from tests.cast import NOW

ROBOT = system("test")
APP_TOKEN = "prd:test-token"
API_SECRET = "api-secret"
HOOK_SECRET = "hook-secret"
HOST = "hooks.localhost"


def trader(email: str = "tom@example.com", *, country: str = "CH", name: str = "Tom Trader") -> Customer:
    """A customer at tier 0."""
    return sign_up(
        email=email, password="correct horse battery", country=country, name=name, actor=ROBOT, now=NOW
    )


def officer(name: str, *roles: Role) -> Identity:
    """An officer who holds the roles since before anything happened."""
    person = Identity.objects.create(
        kind=Kind.OFFICER, email=f"{name.lower()}@staff.example", display_name=name, access_subject=name
    )
    for role in roles:
        RoleGrant.objects.create(identity=person, role=role, granted_at=NOW - timedelta(days=1))
    return person


def acting(person: Identity) -> Actor:
    """The officer's actor."""
    return Actor(identity=person.pk, kind=person.kind, label=person.display_name, subject=person.display_name)


def applicant(
    customer: Customer,
    *,
    level: str = "kyc-standard",
    provider: str = Provider.SUMSUB,
    known_as: str = "app1",
) -> ProviderApplicant:
    """The customer's applicant, known at the provider, with a read owed."""
    actions.start_verification(customer_id=customer.pk, level=level, provider=provider, actor=ROBOT, now=NOW)
    row = ProviderApplicant.objects.get(profile__customer=customer, provider=provider)
    return actions.note_applicant(
        applicant_id=row.pk, provider_applicant_id=known_as, level=level, actor=ROBOT, now=NOW
    )


def yes(level: str = "kyc-standard", **fields: Any) -> Answer:
    """A provider's clean approval."""
    kind = "company" if level == "kyb-institutional" else "individual"
    values = {"state": State.APPROVED, "level": level, "applicant_type": kind, "country": "CHE"} | fields
    return Answer(**values)


def answered(row: ProviderApplicant, answer: Answer, *, after: timedelta = timedelta(0)) -> ProviderApplicant:
    """Apply an answer whose fetch began `after` three o'clock."""
    row.refresh_from_db()
    return actions.apply_snapshot(
        applicant_id=row.pk,
        seq=row.requested_seq,
        started_at=NOW + after,
        answer=answer,
        body=b"{}",
        accepts_sandbox=False,
        actor=ROBOT,
        now=NOW + after,
    )


def state_of(customer: Customer, level: str = "kyc-standard") -> str:
    return Verification.objects.get(profile__customer=customer, level=level).state


def tier_of(customer: Customer) -> int:
    """The tier that customers shows; the profile must agree with it."""
    customer.refresh_from_db()
    profile = KycProfile.objects.filter(customer=customer).first()
    assert profile is None or profile.tier == customer.tier
    return customer.tier


@contextmanager
def served(server: ProviderServer) -> Iterator[ProviderServer]:
    """The stand-in, answering while the block runs."""
    server.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def control(server: ProviderServer, path: str, document: object = None, *, method: str = "POST") -> Any:
    """Steer a stand-in; the answer's JSON."""
    address = urlsplit(server.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
    connection.request(method, f"/_standin/{path}", body=json.dumps(document or {}).encode())
    response = connection.getresponse()
    body = json.loads(response.read())
    connection.close()
    assert response.status == 200, body
    return body


@contextmanager
def hooks_door() -> Iterator[int]:
    """The hooks door as it runs in production, an ASGI application under uvicorn; its port."""
    import uvicorn

    from backoffice.asgi import trader

    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(trader, lifespan="off", log_level="warning", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(timeout=60)
        listener.close()


def hook_path(provider: str, endpoint: UUID | None = None) -> str:
    return f"/webhooks/kyc/{provider}/{endpoint or actions.endpoint_id(provider)}"


def until(condition: Callable[[], bool], *, seconds: float = 60.0) -> None:
    """Wait for something that another thread does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
