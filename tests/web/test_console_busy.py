"""A page of the console that the database broke off …"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError

from backoffice.console.views import freezes
from core.access import doors as door
from core.busy import OutcomeUnknown
from core.freezes.actions import pull_freeze
from tests import doors
from tests.doors import at_console
from tests.officers import Staff

PULL = {"scope": "asset:BTC", "reason": "a leak"}


@pytest.fixture(autouse=True)
def _doors(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    doors.open_doors(settings, monkeypatch)


def raising(error: Exception, *, after: Callable[..., Any] | None = None) -> Callable[..., Any]:
    def deed(*args: Any, **given: Any) -> Any:
        if after is not None:
            after(*args, **given)
        raise error

    return deed


@pytest.mark.parametrize(
    ("fails", "said", "unsaid"),
    [
        (raising(OperationalError("canceling statement")), b"Busy: nothing was done", b"at the very moment"),
        (raising(OutcomeUnknown("lost")), b"Nobody can say yet whether this was done", b"nothing was done"),
        (
            raising(OperationalError("lost"), after=pull_freeze),
            b"Something of this was done",
            b"nothing was done",
        ),
    ],
    ids=["before anything was kept", "while it was kept", "after something was kept"],
)
def test_says_what_is_known_and_where_to_look(
    staff: Staff, monkeypatch: pytest.MonkeyPatch, fails: Callable[..., Any], said: bytes, unsaid: bytes
) -> None:
    ana = at_console(staff.ana.identity)
    monkeypatch.setattr(freezes, "pull_freeze", fails)
    answer = ana.post("/freezes/pull", PULL)
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert said in answer.content
    assert unsaid not in answer.content
    assert b"SRE on call" in answer.content
    assert b'href="/freezes/"' in answer.content


def test_says_so_as_well_where_nobody_can_be_asked_who_it_is_for(
    staff: Staff, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana = at_console(staff.ana.identity)
    ana.raise_request_exception = False
    monkeypatch.setattr(door, "identity_of", raising(OperationalError("the server is away")))
    answer = ana.get("/freezes/")
    assert answer.status_code == 503
    assert b"the page could not be shown" in answer.content
    monkeypatch.setattr(door, "identity_of", raising(RuntimeError("a mistake of ours")))
    assert ana.get("/freezes/").status_code == 500
