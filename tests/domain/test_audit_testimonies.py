"""What a writer told the sealer …"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.audit.domain import testimonies
from core.audit.domain.testimonies import Gone, Heard

A, B, C = b"a" * 32, b"b" * 32, b"c" * 32


def test_shows_an_event_that_was_changed_and_one_that_was_removed_before_the_seal() -> None:
    heard = Heard(cursor=10)
    assert heard.hear([(11, A), (12, B), (13, C), (20, A)]) == []
    assert heard.sealed([(11, A), (12, C)]) == [Gone(12, B, C)]
    assert heard.sealed([(14, A)]) == [Gone(13, C, None)]
    assert heard.sealed([(20, A)]) == [], "what comes later is waited for"


def test_counts_also_when_it_comes_after_the_seal() -> None:
    heard = Heard(cursor=10)
    heard.sealed([(11, A), (14, B)])
    assert heard.hear([(11, A), (12, C), (14, A)]) == [Gone(12, C, None), Gone(14, A, B)]


def test_is_looked_up_where_it_is_of_what_was_sealed_before_the_sealer_listened() -> None:
    heard = Heard(cursor=10)
    assert heard.hear([(3, A), (10, B)]) == []
    assert heard.to_look_up(10, limit=1) == [(3, A)]
    assert heard.to_look_up(10, limit=9) == [(10, B)]
    assert heard.to_look_up(10, limit=9) == []


def test_is_looked_up_where_somebody_else_moved_the_cursor_past_it() -> None:
    heard = Heard(cursor=10)
    heard.hear([(11, A), (15, B)])
    assert heard.to_look_up(13, limit=9) == [(11, A)]
    heard.hear([(12, C)])
    assert heard.to_look_up(13, limit=9) == [(12, C)]
    assert heard.sealed([(15, C)]) == [Gone(15, B, C)]


def test_is_looked_up_also_where_more_was_sealed_since_than_is_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What this sealer sealed before another went on says nothing of what that one did."""
    monkeypatch.setattr(testimonies, "KEPT_MAX", 2)
    heard = Heard(cursor=0)
    heard.sealed([(1, A), (2, A)])
    assert heard.to_look_up(10, limit=9) == []
    heard.sealed([(11, A), (12, A)])
    assert heard.hear([(5, A)]) == []
    assert heard.to_look_up(12, limit=9) == [(5, A)]


@pytest.mark.parametrize("cursor", [0, 20], ids=["before the seal", "later"])
def test_is_replaced_by_nobody_who_tells_otherwise(cursor: int) -> None:
    """The owner who changes an event may have taken over one of the other writers as well."""
    heard = Heard(cursor=cursor)
    assert heard.hear([(11, A)]) == []
    assert heard.hear([(11, B)]) == [Gone(11, B, A)]


def test_is_kept_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(testimonies, "OPEN_MAX", 3)
    monkeypatch.setattr(testimonies, "KEPT_MAX", 2)
    heard = Heard(cursor=0)
    heard.hear((number, A) for number in range(1, 6))
    assert heard.given_up == 2
    assert heard.sealed([(number, B) for number in range(1, 6)]) == [Gone(n, A, B) for n in (3, 4, 5)]
    assert heard.hear([(3, A), (4, A)]) == [Gone(4, A, B)]
    assert heard.to_look_up(5, limit=9) == [(3, A)], "of the third nothing is known any more"


@given(st.lists(st.booleans(), max_size=30), st.randoms(use_true_random=False))
def test_is_never_held_against_an_honest_log(early: list[bool], by: object) -> None:
    events = [(number, bytes([number]) * 32) for number in range(1, len(early) + 1)]
    heard, found = Heard(cursor=0), []
    found += heard.hear(event for event, is_early in zip(events, early, strict=True) if is_early)
    for start in range(0, len(events), 7):
        found += heard.sealed(events[start : start + 7])
    late = [event for event, is_early in zip(events, early, strict=True) if not is_early]
    by.shuffle(late)  # type: ignore[attr-defined]
    assert found + heard.hear(late) == []
