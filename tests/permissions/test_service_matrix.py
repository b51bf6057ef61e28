"""Every URL of the service door …"""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

import pytest
from django.test import Client

from backoffice.service_urls import urlpatterns
from core import clock
from core.access.actions.founding import FoundingService, found_staff
from core.access.requirement import permission_of
from core.access.roles import Role
from core.actor import system
from tests import doors

ROWS: Final = {"service_health": "health:probe:read"}


def at_service(token: str) -> Client:
    headers = {"Host": "service.localhost"} | ({doors.doors.ASSERTION: token} if token else {})
    return Client(headers=headers)


def enrol(role: Role | None) -> str:
    """A program with this role; its token."""
    name = next(iter(doors.issuer().services))
    roles = frozenset({role} if role else ())
    program = FoundingService(UUID("01900000-0000-7000-8000-000000000aa7"), "metrics collector", name, roles)
    found_staff(people=[], services=[program], actor=system("test"), now=clock.now())
    return doors.issuer().service_token(name, doors.SERVICE_AUD)


@pytest.fixture(autouse=True)
def _doors(db: None, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    doors.open_doors(settings, monkeypatch)


def test_stands_in_the_matrix_with_the_permission_that_it_declares() -> None:
    assert {pattern.name: permission_of(pattern.callback) for pattern in urlpatterns} == ROWS


def test_opens_for_a_program_with_its_permission_and_is_json() -> None:
    answer = at_service(enrol(Role.COLLECTOR)).get("/health")
    assert answer.status_code in (200, 503)
    parts = answer.json()["parts"]
    assert parts["edge keys"]["status"] in ("up", "degraded", "down")
    assert answer["Cache-Control"] == "no-store"


def test_stays_shut_for_strangers_people_and_programs_without_it() -> None:
    token = enrol(None)
    assert at_service("").get("/health").status_code == 403
    refused = at_service(token).get("/health")
    assert (refused.status_code, refused.json()["code"]) == (403, "not_allowed")
    person = doors.issuer().people["ana@countersign.example"]
    for audience in (doors.SERVICE_AUD, doors.CONSOLE_AUD):
        assert at_service(doors.issuer().user_token(person, audience)).get("/health").status_code == 403


def test_takes_no_other_verb_and_knows_no_screen_of_the_console() -> None:
    client = at_service(enrol(Role.COLLECTOR))
    assert client.post("/health").status_code == 405
    assert client.get("/").status_code == 404
    assert client.get("/approvals/").status_code == 404
