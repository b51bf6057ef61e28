"""On the settings that it is given, …"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.checks import run_checks

from core.access import checks, doors
from core.access.adapters.keys import KeyStore
from devstack.standins.edge_issuer import Issuer
from tests.doors import CONSOLE_AUD
from tests.officers import Staff
from tests.web.entrance import get

pytestmark = pytest.mark.usefixtures("entrance")


@pytest.fixture
def production(settings: Any) -> Iterator[Any]:
    settings.DEPLOYMENT_KIND = "production"
    settings.ACCESS_CONSOLE_AUD, settings.ACCESS_SERVICE_AUD = "9f8e7d6c" * 8, "0123abcd" * 8
    for name in ("CONSOLE", "SERVICE", "API", "HOOKS", "APPROVER"):
        setattr(settings, f"{name}_ORIGIN", f"https://{name.lower()}.countersign.example")
    settings.SESSION_COOKIE_NAME, settings.SESSION_COOKIE_SECURE = "__Host-session", True
    settings.SECRET_KEY = "production" * 6
    settings.POSTURE_RULES = {check: frozenset({"a-rule"}) for check in ("managed", "disk_encryption")}
    return settings


def errors() -> set[str]:
    return {str(message.id) for message in run_checks() if str(message.id).startswith("access.E")}


def test_production_starts_on_the_real_edge(production: Any) -> None:
    assert errors() == set()


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("ACCESS_TEAM_URL", "http://127.0.0.1:8000", "access.E010"),
        ("ACCESS_TEAM_URL", "https://127.0.0.1:8000", "access.E010"),
        ("ACCESS_TEAM_URL", "http://countersign.cloudflareaccess.com", "access.E010"),
        ("ACCESS_TEAM_URL", "https://countersign.cloudflareaccess.com/", "access.E010"),
        ("ACCESS_TEAM_URL", "https://countersign.cloudflareaccess.com.evil.example", "access.E010"),
        ("ACCESS_CONSOLE_AUD", "c" * 64, "access.E011"),
        ("ACCESS_CONSOLE_AUD", "", "access.E002"),
        ("ACCESS_CONSOLE_AUD", "0123abcd" * 8, "access.E003"),
        ("CONSOLE_ORIGIN", "http://console.countersign.example", "access.E012"),
        ("APPROVER_ORIGIN", "https://approver.localhost", "access.E012"),
        ("DEBUG", True, "access.E013"),
        ("SESSION_COOKIE_NAME", "session", "access.E014"),
        ("SECRET_KEY", "development only", "access.E015"),
        ("DEPLOYMENT_KIND", "prod", "access.E001"),
        ("POSTURE_RULES", {"managed": {"a"}, "disk_encryption": frozenset()}, "access.E016"),
        ("POSTURE_AGE_S", 7 * 24 * 3600, "access.E007"),
        ("AUTHENTICATION_BACKENDS", ["django.contrib.auth.backends.ModelBackend"], "access.E004"),
        ("MIDDLEWARE", [], "access.E005"),
    ],
)
def test_production_does_not_start(production: Any, name: str, value: Any, code: str) -> None:
    setattr(production, name, value)
    assert code in {str(message.id) for message in checks.check_edge()}


def test_production_takes_no_key_of_the_stand_in(
    production: Any, staff: Staff, issuer: Issuer, tokens: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[bool] = []

    def key_store(url: str, *, development: bool) -> KeyStore:
        made.append(development)
        return KeyStore(lambda: json.dumps(issuer.certs()).encode(), development=development)

    monkeypatch.setattr(doors, "key_store", key_store)
    production.ACCESS_CONSOLE_AUD = CONSOLE_AUD
    assert get("/", tokens["ana"]).status_code == 403
    assert made == [False]
