"""The tally of refusals …"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kernel.members import an_object
from kernel.tally import EVERY_MS, FIRST, Counts, Tally


def total(counts: Counts) -> int:
    return sum(int(str(times)) for codes in counts.values() for times in an_object(codes).values())


CODES = ("A", "B", "C")


def test_has_the_first_ones_written_whole_then_one_a_minute_and_counts_the_others() -> None:
    tally = Tally()
    assert [tally.admits("7", "A", now_ms=0) for _ in range(FIRST + 3)] == [True] * FIRST + [False] * 3
    assert tally.admits("7", "B", now_ms=0)
    assert tally.admits("8", "A", now_ms=0)
    assert tally.due(now_ms=EVERY_MS - 1) == {}
    assert tally.due(now_ms=EVERY_MS) == {"7": {"A": "3"}}
    assert [tally.admits("7", "A", now_ms=EVERY_MS) for _ in range(2)] == [True, False]
    tally.told()
    assert tally.due(now_ms=9 * EVERY_MS) == {}


def test_is_told_where_the_clock_went_back_as_well() -> None:
    tally = Tally()
    tally.count("7", "A", now_ms=5 * EVERY_MS)
    assert tally.due(now_ms=EVERY_MS) == {"7": {"A": "1"}}


def test_saves_up_no_more_than_the_first_ones_and_tells_of_a_flood_that_does_not_end() -> None:
    tally = Tally()
    assert tally.admits("7", "A", now_ms=0)
    day = 24 * 60 * EVERY_MS
    assert [tally.admits("7", "A", now_ms=day) for _ in range(FIRST + 1)] == [True] * FIRST + [False]
    # A clock that goes back takes nothing of it, and one more is counted every second.
    assert [tally.admits("7", "A", now_ms=at) for at in (0, EVERY_MS)] == [False, True]
    tally.told()
    flood = [(at, tally.admits("7", "A", now_ms=at)) for at in range(EVERY_MS, 2 * EVERY_MS, 1_000)]
    assert not any(whole for _, whole in flood)
    assert tally.due(now_ms=2 * EVERY_MS) == {"7": {"A": str(len(flood))}}


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(("7", "8")), st.sampled_from(CODES), st.integers(0, 2_000)), max_size=400
    )
)
def test_loses_none_and_bounds_the_lines_however_it_is_asked(steps: list[tuple[str, str, int]]) -> None:
    tally, now_ms, whole, counted, lines = Tally(), 0, 0, 0, 0
    for user, code, later_ms in steps:
        now_ms += later_ms
        if due := tally.due(now_ms=now_ms):
            counted, lines = counted + total(due), lines + 1
            tally.told()
        whole += tally.admits(user, code, now_ms=now_ms)
    left = total(tally.counted)
    assert whole + counted + left == len(steps)
    minutes = now_ms // EVERY_MS + 1
    assert whole + lines <= 2 * len(CODES) * (FIRST + minutes) + minutes
