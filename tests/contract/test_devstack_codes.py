"""Whoever runs the stack, and sits before a browser …"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from core import clock
from core.access.models import Identity
from core.actor import system
from core.factors.actions.founding import found
from core.factors.management.commands.found_staff import parse, parse_factors
from devstack import codes, passkeys
from devstack.layout import Layout
from tests import doors
from tests.doors import at_console, confirmation

ANA = "ana@countersign.example"


@pytest.fixture
def where(tmp_path: Path) -> Layout:
    made = Layout.of(tmp_path / "var")
    made.secrets.mkdir(parents=True)
    passkeys.of_staff(made)
    return made


def founded(where: Layout) -> None:
    document = json.loads(passkeys.STAFF_FILE.read_text())
    factors = json.loads((where.secrets / "console-keys-public.json").read_text())
    factors.pop("sealed")
    people, services = parse(document)
    given = parse_factors(factors)
    found(people=people, services=services, factors=given, actor=system("test"), now=clock.now())


@pytest.mark.django_db
def test_comes_into_the_console_with_the_code_that_is_told_and_moves_no_money_with_it(
    where: Layout, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    doors.open_doors(settings, monkeypatch)
    founded(where)
    client = at_console(Identity.objects.get(email=ANA), confirms=False)
    client.enters = False
    assert client.get("/").status_code == 401
    form = confirmation(client.post("/enter", {"next": "/"}).content.decode())
    assert form is not None
    digits = codes.shown(where, "Ana", at=clock.now().timestamp())
    assert client.post("/enter", {**form.fields, "stepup_code": digits}).status_code == 302
    assert client.get("/").status_code == 200
    money = client.post("/treasury/adjustments/propose", {"asset": "BTC", "amount": "1"})
    assert money.status_code == 401
    assert "stepup_code" not in money.content.decode()


def test_is_told_who_there_is_where_the_name_is_nobodys(where: Layout) -> None:
    with pytest.raises(codes.NobodyOfThatName, match=r"knows ana, ben, cy"):
        codes.shown(where, "mallory", at=0)


def test_keeps_the_apps_of_a_state_and_nobody_else_reads_them(where: Layout) -> None:
    before = codes.shown(where, "ana", at=0)
    passkeys.of_staff(where)
    assert codes.shown(where, "ana", at=0) == before
    assert (where.secrets / codes.FILE).stat().st_mode & 0o077 == 0
    (where.secrets / codes.FILE).unlink()
    with pytest.raises(codes.NobodyOfThatName, match="start anew with make demo"):
        codes.shown(where, "ana", at=0)
