"""A state table of custody …"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custody.domain import adjustments, deposits, payments, refills, sweeps, withdrawals
from custody.domain.refills import State as R
from custody.domain.turns import WrongTurn, step
from custody.domain.withdrawals import State as W

TABLES: dict[str, Mapping[Any, frozenset[Any]]] = {
    "withdrawals": withdrawals.NEXT,
    "refills": refills.NEXT,
    "sweeps": sweeps.NEXT,
    "deposits": deposits.NEXT,
    "adjustments": adjustments.NEXT,
}


def reachable(table: Mapping[Any, frozenset[Any]], start: StrEnum) -> set[StrEnum]:
    """Every state that some road from `start` reaches, `start` included."""
    found, waiting = {start}, [start]
    while waiting:
        new = table[waiting.pop()] - found
        found |= new
        waiting += new
    return found


@pytest.mark.parametrize("name", TABLES)
def test_names_every_state_and_reaches_it(name: str) -> None:
    table = TABLES[name]
    first: Any = next(iter(table))
    states = list(type(first).__members__.values())
    assert set(table) == set(states)
    assert reachable(table, states[0]) == set(states)


@pytest.mark.parametrize(
    ("table", "ended"),
    [
        (withdrawals.NEXT, withdrawals.ENDED),
        (refills.NEXT, refills.ENDED),
        (sweeps.NEXT, sweeps.ENDED),
    ],
)
def test_leads_from_every_state_to_an_end(table: Mapping[Any, frozenset[Any]], ended: frozenset[Any]) -> None:
    for state in table:
        assert reachable(table, state) & ended, f"nothing leads on from {state}"


def test_lets_nobody_give_the_money_back_once_a_withdrawal_is_signed() -> None:
    """Peers let an admin reject what is already on the chain: here only proof of a rival leads there."""
    for state in (W.SIGNED, W.BROADCAST, W.CONFIRMED):
        assert withdrawals.NEXT[state].isdisjoint(withdrawals.UNPAID)
    without = {
        state: frozenset() if state is W.CONFLICTED else following
        for state, following in withdrawals.NEXT.items()
    }
    assert reachable(without, W.SIGNED) & withdrawals.UNPAID == set()


def test_offers_cancelling_before_approval_only() -> None:
    assert {W.REQUESTED, W.ON_HOLD, W.SCREENED} == withdrawals.CANCELLABLE


def test_pays_nothing_that_was_neither_approved_nor_offered_to_the_lane() -> None:
    without = {
        state: frozenset() if state is W.APPROVED else following - {W.OFFERED}
        for state, following in withdrawals.NEXT.items()
    }
    assert reachable(without, W.REQUESTED).isdisjoint(withdrawals.PAYING | {W.SETTLED})


@pytest.mark.parametrize("table", [withdrawals.NEXT, refills.NEXT, sweeps.NEXT])
def test_shares_the_steps_of_a_payment(table: Mapping[Any, frozenset[Any]]) -> None:
    names = {str(state): {str(after) for after in following} for state, following in table.items()}
    assert {str(each) for each in payments.Step} <= names.keys()
    for state in names.keys() & {*payments.SENDABLE, "exported", "lapsed"}:
        assert payments.Step.CONFIRMED in names[state], f"{state} cannot be confirmed"
    assert names[payments.Step.CONFIRMED] == {payments.Step.SETTLED, payments.Step.BROADCAST}


@given(st.sampled_from(list(W)), st.lists(st.sampled_from(list(W)), max_size=30))
def test_never_leaves_an_end_whatever_is_asked(start: W, asked: list[W]) -> None:
    state, ended = start, start in withdrawals.ENDED
    for wanted in asked:
        try:
            state = step(withdrawals.NEXT, state, wanted)
        except WrongTurn:
            continue
        assert not ended
        ended = state in withdrawals.ENDED


@given(st.lists(st.sampled_from(list(R)), max_size=40))
def test_settles_a_refill_only_after_it_was_confirmed(asked: list[R]) -> None:
    state, seen = R.PROPOSED, {R.PROPOSED}
    for wanted in asked:
        if wanted in refills.NEXT[state]:
            state = step(refills.NEXT, state, wanted)
            seen.add(state)
    assert R.SETTLED not in seen or {R.APPROVED, R.BUILT, R.CONFIRMED} <= seen


def test_gives_a_sweep_up_only_where_no_signer_saw_it_or_a_rival_has_won() -> None:
    """From `signing` on somebody may hold a signature, so nothing leads to `failed` but proof of a rival, and
    of what lapsed, whose coins others may take, neither.
    """
    assert {state for state, following in sweeps.NEXT.items() if sweeps.State.FAILED in following} == {
        sweeps.State.BUILT,
        sweeps.State.CONFLICTED,
        sweeps.State.LAPSED,
    }
    assert all(sweeps.State.CONFIRMED in reachable(sweeps.NEXT, state) for state in sweeps.LEAVING)


@given(st.lists(st.sampled_from(["block", "loss"]), max_size=30), st.booleans())
def test_books_a_deposit_at_most_once(moves: list[str], has_customer: bool) -> None:
    """However the chain swings, the way to the books is walked once; back and home is `missing`."""
    state, booked, in_block = deposits.State.SEEN, 0, True
    for move in moves:
        if move == "loss" and in_block:
            state = step(deposits.NEXT, state, deposits.after_loss(state))
            in_block = False
        elif move == "block" and not in_block:
            was_booked = state is deposits.State.MISSING
            back = deposits.after_return(was_booked=was_booked, has_customer=has_customer)
            state = step(deposits.NEXT, state, back)
            in_block = True
        elif move == "block" and state is deposits.State.SEEN:
            state = step(deposits.NEXT, state, deposits.booked(has_customer=has_customer))
            booked += 1
    assert booked <= 1
