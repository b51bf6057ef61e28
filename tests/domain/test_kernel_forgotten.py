"""What was forgotten …"""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from kernel.forgotten import Forgotten

NAMES = st.lists(st.uuids().map(lambda one: f"custody.withdrawal/{one}"), max_size=8)
COUNTS = st.lists(st.tuples(st.sampled_from(["Ana", "Ben"]), st.integers(0, 9)), max_size=8)


@given(NAMES, NAMES, NAMES)
def test_is_known_by_its_name_for_good_and_nothing_else_is(
    first: list[str], then: list[str], others: list[str]
) -> None:
    found = Forgotten().more(first, [], until_ms=5).more(then, [], until_ms=3)
    again = Forgotten.read(json.loads(json.dumps(found.as_json())))
    assert again == found
    for one in [*first, *then]:
        assert one in again
    for one in set(others) - {*first, *then}:
        assert one not in again
    assert again.until_ms == 5


@given(COUNTS, COUNTS)
def test_leaves_the_largest_count_of_each(first: list[tuple[str, int]], then: list[tuple[str, int]]) -> None:
    found = Forgotten().more([], first, until_ms=0).more([], then, until_ms=0)
    assert found.largest == {
        name: max(n for one, n in first + then if one == name) for name, _ in first + then
    }
    assert Forgotten.read(json.loads(json.dumps(found.as_json()))) == found


def test_is_the_same_on_every_machine() -> None:
    assert Forgotten().more(["a"], [], until_ms=0).as_json()["names"] == "ca978112ca1bbdca"
