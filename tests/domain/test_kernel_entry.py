"""A line of a signer's journal …"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final

import pytest

from kernel import canonical
from kernel.checkpoint import State
from kernel.entry import FIRST, Entry, line, may_lead

SECRET: Final = b"\x05" * 32
WEIGHTY: Final = [
    "genesis",
    "registry",
    "announced",
    "vetoed",
    "spend",
    "frozen",
    "released",
    "reopened",
    "checkpoint",
    "customer_key",
    "beneficiary",
    "beneficiary_removed",
    "unbalanced",
    "balanced",
    "final",
    "cosigned",
    "forked",
]
LIGHT: Final = ("signed", "started", "refused", "refusals")


def written(event: str) -> dict[str, Any]:
    made = line(7, event, {"wallet": "hot"}, previous=FIRST, at_ms=5, secret=SECRET)
    return dict(json.loads(made))


def read(members: dict[str, Any], secret: bytes = SECRET) -> tuple[Entry, str]:
    return Entry.read(canonical.encode(members), secret=secret)


@pytest.mark.parametrize("event", [*WEIGHTY, *LIGHT])
def test_is_what_it_was_written_as(event: str) -> None:
    body = canonical.encode(written(event))
    entry, previous = Entry.read(body, secret=SECRET)
    assert entry == Entry.written(body)
    assert (entry.number, entry.at_ms, entry.event, entry.details) == (7, 5, event, {"wallet": "hot"})
    assert (entry.hash, previous) == (hashlib.sha256(body).hexdigest(), FIRST)
    assert (entry.weighty, "mac" in written(event)) == (event in WEIGHTY,) * 2


@pytest.mark.parametrize("event", WEIGHTY)
def test_on_which_something_rests_is_nobody_elses(event: str) -> None:
    good = written(event)
    for changed in (
        {"n": 8},
        {"at": 6},
        {"prev": "1" * 64},
        {"details": {"wallet": "cold"}},
        {"mac": ""},
        {"mac": "00" * 32},
        {"event": "spend" if event != "spend" else "final"},
        {"more": 1},
    ):
        with pytest.raises(ValueError, match="was not written by this signer"):
            read({**good, **changed})
    with pytest.raises(ValueError, match="was not written by this signer"):
        read({name: value for name, value in good.items() if name != "mac"})
    with pytest.raises(ValueError, match="was not written by this signer"):
        read(good, secret=b"\x06" * 32)


@pytest.mark.parametrize(
    "odd", [{"n": True}, {"n": "7"}, {"at": True}, {"at": "5"}, {"event": 1}, {"details": []}, {"prev": 1}]
)
def test_of_another_form_is_refused(odd: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="a line has"):
        read({**written("refused"), **odd})


@pytest.mark.parametrize(
    ("events", "may"),
    [
        ("", True),
        ("spend " * 9, True),
        ("spend " * 10, False),
        ("spend " * 9 + "released", True),
        ("spend " * 10 + "released", False),
        ("released frozen vetoed frozen", True),
        ("frozen released", False),
        ("released released", False),
        ("frozen spend", False),
        ("spend released spend", False),
        ("genesis", True),
        ("genesis registry", False),
    ],
)
def test_may_be_ahead_of_the_token_with_few_others(events: str, may: bool) -> None:
    assert may_lead(events.split()) is may


def test_that_begins_a_file_names_what_is_kept_by_its_whole_digest() -> None:
    digest = hashlib.sha256(b"kept").hexdigest()
    with pytest.raises(ValueError, match="missing, or was changed"):
        State.read(b"kept", digest[:32] + "0" * 32)
