"""A series of numbers …"""

from __future__ import annotations

import operator

from hypothesis import given
from hypothesis import strategies as st

from kernel.series import Series

MOMENTS = st.integers(-5, 20)
NUMBERS = st.lists(st.tuples(MOMENTS, st.integers(0, 100)), max_size=30)


@given(added=NUMBERS, at=MOMENTS)
def test_comes_to_what_going_through_all_of_it_does_in_whatever_order_it_came(
    added: list[tuple[int, int]], at: int
) -> None:
    total, largest = Series(operator.add), Series(max)
    for moment, number in added:
        total.add(moment, number)
        largest.add(moment, number)
    before = [number for moment, number in added if moment <= at]
    assert total.upto(at) == sum(before)
    assert largest.upto(at) == max(before, default=0)
    assert total.since(at) == sum(number for moment, number in added if moment > at)
