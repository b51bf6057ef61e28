"""A member of what is pinned or signed is taken as …"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

import pytest

from kernel import members
from kernel.members import BadMember
from kernel.pinned import KindPolicy, Limits

READ: Final[dict[Callable[..., Any], tuple[list[Any], list[Any]]]] = {
    members.text: (["a", " "], ["", 7, None, ["a"], True]),
    members.texts: ([["a"], ["a", "b"]], [[], [""], ["a", "a"], ["a", 7], "a", None, {"a": "b"}]),
    members.whole: ([0, 1, 2**53 - 1], [-1, True, False, "0", 1.0, None]),
    members.positive: ([1, 2**53 - 1], [0, -1, True, "1", 1.0, None]),
    members.units: (
        ["0", "1", "9" * 30],
        ["", "-1", "01", "00", "1.0", " 1", "1\n", "\u0663", "1" * 31, 1, None],
    ),
}
CASES: Final = [(read, good, bad) for read, (good, bad) in READ.items()]


@pytest.mark.parametrize(("read", "good", "bad"), CASES, ids=[read.__name__ for read in READ])
def test_what_it_is_and_nothing_else(read: Callable[..., Any], good: list[Any], bad: list[Any]) -> None:
    for value in good:
        assert read({"a": value}, "a") == (int(value) if read is members.units else value)
    for value in bad:
        with pytest.raises(BadMember):
            read({"a": value}, "a")


def test_a_list_of_texts_that_may_be_empty_and_repeat_itself() -> None:
    assert members.all_texts(["a", "a", ""]) == ["a", "a", ""]
    assert members.all_texts([]) == []
    for value in ("a", [7], ["a", None], {"a": "b"}, None):
        with pytest.raises(BadMember):
            members.all_texts(value)  # type: ignore[arg-type]


def test_one_of_exactly_those_that_may_stand_there() -> None:
    members.exact({"a": 1, "b": 2}, {"a"}, ["b"])
    members.exact({"a": 1}, {"a"}, ["b"])
    for given, named in (({}, "a"), ({"b": 1}, "a"), ({"a": 1, "c": 2}, "c"), ({"c": 1}, "a, c")):
        with pytest.raises(BadMember, match=f": {named}$"):
            members.exact(given, {"a"}, ["b"])
    assert members.an_object({"a": 1}) == {"a": 1}
    for value in ([], "a", None, 7):
        with pytest.raises(BadMember):
            members.an_object(value)
    assert json.loads('{"a":1,"b":1}', object_pairs_hook=members.unrepeated) == {"a": 1, "b": 1}
    with pytest.raises(BadMember):
        json.loads('{"a":1,"a":1}', object_pairs_hook=members.unrepeated)


def test_a_version_only_as_its_number() -> None:
    assert members.is_version(1, 1)
    assert not any(members.is_version(value, 1) for value in (True, "1", 2, None))


def test_what_is_above_an_amount_and_not_the_amount_itself() -> None:
    assert not KindPolicy({"treasury": 2}).wants_confirmation(10**30)
    asked = KindPolicy({"treasury": 2}, confirm_above=50)
    assert [asked.wants_confirmation(units) for units in (49, 50, 51)] == [False, False, True]
    assert KindPolicy({"treasury": 2}, confirm_above=0).wants_confirmation(1)


def test_an_orders_life_of_a_day_at_the_least() -> None:
    """Shorter, and no release of signers could ever be obeyed."""
    seconds = (60, 86_400, 90_000)
    lives = [Limits(1, 1, 1, {}, intent_life_s=life) for life in seconds]
    assert [one.intent_life for one in lives] == [timedelta(seconds=life) for life in seconds]
    assert [one.order_life for one in lives] == [*[timedelta(days=1)] * 2, timedelta(seconds=90_000)]
