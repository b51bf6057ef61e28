"""An order to the signers …"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from custody.domain import orders
from custody.domain.orders import NEXT, STOPS, Kind, State
from custody.signer import requests

TOKENS = ("hot-1", "hot-2", "hot-3")


@given(st.dictionaries(st.sampled_from(TOKENS), st.booleans()), st.sets(st.sampled_from(TOKENS)))
def test_is_obeyed_only_if_everybody_asked_has_obeyed(answers: dict[str, bool], asked: set[str]) -> None:
    found = orders.outcome(answers, asked=frozenset(asked))
    assert (found is State.OBEYED) == all(answers.get(token, False) for token in asked)
    assert (found is State.SIGNED) == any(token not in answers for token in asked)


def test_ends_where_nothing_follows_and_is_never_signed_twice() -> None:
    assert set(NEXT) == set(State)
    assert all(State.SIGNING not in following for following in NEXT.values())
    assert [state for state in NEXT if State.SIGNED in NEXT[state]] == [State.SIGNING]


def test_has_the_kinds_that_signers_read() -> None:
    assert {kind.value for kind in Kind} == set(requests._ORDERS)
    assert {kind.value for kind in STOPS} == {requests.FREEZE, requests.VETO}
