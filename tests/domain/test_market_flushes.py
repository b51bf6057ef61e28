"""A picture of flush times ..."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine_bridge.domain.flushes import HEIGHT, Flushes, flushes


def test_leaves_out_empty_ends_and_bounds_the_shares_by_their_buckets() -> None:
    found = flushes([0, 0, 6, 0, 93, 1, 0])
    assert found is not None
    assert [(bar.within_us, bar.count, bar.x, bar.height) for bar in found.bars] == [
        (4, 6, 0, 7),
        (8, 0, 10, 0),
        (16, 93, 20, 100),
        (32, 1, 30, 2),
    ]
    assert (found.count, found.p50_us, found.p99_us, found.width) == (100, 16, 16, 40)


def test_says_that_the_slowest_are_beyond_every_bound() -> None:
    assert flushes([1, 0, 2]) == Flushes(flushes([1, 0, 2]).bars, 3, None, None)  # type: ignore[union-attr]
    assert flushes([1, 0, 2]).bars[-1].within_us is None  # type: ignore[union-attr]


def test_is_none_where_nothing_was_flushed_or_told() -> None:
    assert flushes([]) is None
    assert flushes([0] * 21) is None


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=21).filter(any))
def test_counts_everything_once_and_fits_its_box(buckets: list[int]) -> None:
    found = flushes(buckets)
    assert found is not None
    assert sum(bar.count for bar in found.bars) == found.count == sum(buckets)
    assert max(bar.height for bar in found.bars) == HEIGHT
    assert all((bar.height > 0) == (bar.count > 0) and bar.y >= 0 for bar in found.bars)
    bounds = [2**21 if bound is None else bound for bound in (found.p50_us, found.p99_us)]
    assert bounds == sorted(bounds)
