"""The doors with plain views behind them, the console and its sockets as served; traders' mail and clock."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from backoffice.console import consumers
from core import clock, hints
from core.access.adapters.identities import Desk
from core.access.adapters.keys import KeyStore
from core.access.models import Identity, RoleGrant
from core.access.roles import Role
from devstack.standins.edge_issuer import Issuer, Person
from tests import doors
from tests.actions.test_factors_alerts import MailServer, serving
from tests.doors import CONSOLE_AUD, SERVICE_AUD, TEAM, shelf
from tests.officers import STAFF_FILE
from tests.pages import Opens, opener
from tests.sockets import Server, console_served
from tests.web.entrance import holder
from trader_api import guessing


@pytest.fixture
def console(real_database: str, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    doors.open_doors(settings, monkeypatch)
    with console_served(settings) as server:
        yield server


@pytest.fixture
def opens(console: Server, settings: Any) -> Iterator[Opens]:
    with opener(console, settings) as made:
        yield made


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> None:
    """No socket is looked at but when something was said."""
    monkeypatch.setattr(consumers, "LOOK_EVERY_S", 3600.0)


@pytest.fixture
def unheard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is said, and sockets are looked at often."""
    monkeypatch.setattr(hints, "committed", lambda name, target: None)
    monkeypatch.setattr(consumers, "LOOK_EVERY_S", 0.1)


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    document = json.loads(STAFF_FILE.read_text())
    people = [Person(**{**entry, "roles": tuple(entry["roles"])}) for entry in document["staff"]]
    return Issuer(
        url=TEAM,
        keys_file=Path(tmp_path_factory.mktemp("issuer")) / "keys.json",
        people=people,
        services=[entry["client_id"] for entry in document["services"]],
    )


@pytest.fixture
def entrance(settings: Any, issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every door of this process, with the views of entrance.py behind it and the issuer's edge before it."""
    settings.DOORS = {
        f"{door}.localhost": (door, "tests.web.entrance") for door in ("console", "service", "api", "hooks")
    }
    settings.ALLOWED_HOSTS = list(settings.DOORS)
    settings.OPEN_DOORS = {"console", "service", "api", "hooks"}
    settings.ACCESS_TEAM_URL = TEAM
    settings.ACCESS_CONSOLE_AUD, settings.ACCESS_SERVICE_AUD = CONSOLE_AUD, SERVICE_AUD
    store = KeyStore(lambda: json.dumps(issuer.certs()).encode(), development=True)
    monkeypatch.setattr("core.access.doors.key_store", lambda *_, **__: store)
    asking = Desk(lambda token: json.dumps(issuer.identity(*holder(issuer, token))).encode(), shelf=shelf())
    monkeypatch.setattr("core.access.postures.desk", lambda _: asking)


@pytest.fixture
def tokens(issuer: Issuer) -> dict[str, str]:
    return {
        email.partition("@")[0]: issuer.user_token(person, CONSOLE_AUD)
        for email, person in issuer.people.items()
    }


@pytest.fixture
def service(db: None, issuer: Issuer) -> str:
    name = next(iter(issuer.services))
    row = Identity.objects.create(kind="service", display_name="metrics", access_subject=name)
    RoleGrant.objects.create(identity=row, role=Role.AUDITOR, granted_at=clock.now())
    return issuer.service_token(name, SERVICE_AUD)


@pytest.fixture
def mail(settings: Any) -> Iterator[MailServer]:
    with serving(MailServer()) as server:
        settings.ALERT_SMTP_URL = f"smtp://127.0.0.1:{server.server_address[1]}"
        yield server


@pytest.fixture
def moment(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """The clock, at the beginning of a window of guesses."""
    hour = guessing.ANYWHERE.window_ms // 1000
    found = [datetime.fromtimestamp(int(clock.now().timestamp()) // hour * hour, tz=clock.now().tzinfo)]
    monkeypatch.setattr(clock, "now", lambda: found[0])
    return found
