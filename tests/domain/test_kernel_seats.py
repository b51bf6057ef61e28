"""The seats at a small server's socket …"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.seats import AT_ONCE, Gone, Seats

OFFICER, WORKER = 1, 2


class Room(threading.Condition):
    """It tells how often somebody has come to wait, in any of them."""

    came = 0

    def wait(self, timeout: float | None = None) -> bool:
        Room.came += 1
        return super().wait(timeout)


def seats(room: type[threading.Condition] = threading.Condition, *, per_user: int = 2) -> Seats[str]:
    return Seats(threading.RLock(), room, per_user=per_user)


def test_go_to_a_newcomer_from_the_longest_silent_of_the_same_user_alone() -> None:
    found = seats()
    assert [found.enter(name, user) for name, user in (("o", OFFICER), ("a", WORKER), ("b", WORKER))] == [
        None
    ] * 3
    assert found.enter("c", WORKER) == "a"  # and not o, who has been silent longer
    with pytest.raises(Gone), found.turn("a"):
        pass
    with found.turn("b"):
        assert found.enter("d", WORKER) == "c"  # nobody is hung up on who waits for an answer
    assert found.enter("e", WORKER) == "d"
    assert found.enter("f", WORKER) == "b"  # silent since its answer
    for _ in range(2):
        with found.turn("o"):
            pass


def test_are_waited_for_until_the_last_has_left() -> None:
    found = seats(Room)
    found.enter("a", WORKER)
    came = Room.came
    waits = threading.Thread(target=found.wait, daemon=True)
    waits.start()
    while Room.came == came:
        time.sleep(0.001)
    found.leave("a")
    waits.join(5)
    assert not waits.is_alive()


def test_are_kept_by_those_who_wait_for_an_answer() -> None:
    found = seats(per_user=1)
    found.enter("a", WORKER)
    with found.turn("a"):
        assert found.enter("b", WORKER) == "b"
        assert found.enter("o", OFFICER) is None
    with pytest.raises(Gone), found.turn("b"):
        pass


@given(flood=st.integers(2, 20))
def test_are_answered_in_rotation_however_much_one_user_asks(flood: int) -> None:
    """An officer's message waits for one of the flood's, whatever was there before."""
    said, came = list[str](), Room.came
    found = seats(Room, per_user=flood)
    names = [f"w{number}" for number in range(flood)]
    for name in names:
        found.enter(name, WORKER)
    found.enter("o", OFFICER)

    def ask(name: str) -> None:
        with found.turn(name):
            said.append(name)

    with ThreadPoolExecutor(flood) as pool, found.turn(names[0]):
        for number, name in enumerate([*names[1:], "o"], start=1):
            pool.submit(ask, name)
            while Room.came < came + number:
                time.sleep(0.001)
    assert said[:2] == [names[1], "o"]
    assert said[2:] == names[2:]
    assert Room.came == came + flood  # nobody was woken for another's turn


def test_pass_the_turn_on_from_one_whose_answer_failed() -> None:
    found = seats()
    for name in ("a", "b"):
        found.enter(name, WORKER)
    with pytest.raises(RuntimeError), found.turn("a"):
        raise RuntimeError("a bug of ours")
    with found.turn("b"):
        pass


def test_are_given_to_nobody_once_the_server_ends() -> None:
    found = seats()
    for name in ("a", "b"):
        found.enter(name, WORKER)
    begun, may_end = threading.Event(), threading.Event()

    def ask(name: str) -> None:
        with found.turn(name):
            begun.set()
            may_end.wait(60)

    first = threading.Thread(target=ask, args=("a",))
    first.start()
    assert begun.wait(60)
    closing = threading.Thread(target=found.close)
    closing.start()
    while not found._closed:
        time.sleep(0.001)
    threading.Thread(target=ask, args=("b",), daemon=True).start()
    assert closing.is_alive()
    begun.clear()
    may_end.set()
    closing.join(60)
    assert not closing.is_alive()
    assert not begun.is_set()


def test_are_left_to_others_by_few_at_once_and_taken_again_before_all_that_wait() -> None:
    """Many ask, each is aside for a while: one is answered at any moment, and few are aside."""
    found, peers = seats(per_user=40), [f"w{number}" for number in range(40)]
    inside, aside, most, entered = list[str](), set[str](), 0, threading.Barrier(len(peers))

    def ask(name: str) -> None:
        nonlocal most
        found.enter(name, WORKER)
        entered.wait(60)
        with found.turn(name):
            inside.append(name)
            assert inside == [name]
            inside.remove(name)
            with found.aside():
                aside.add(name)
                most = max(most, len(aside))
                time.sleep(0.001)
                aside.remove(name)
            inside.append(name)
            time.sleep(0.0001)
            assert inside == [name]
            inside.remove(name)
        found.leave(name)

    with ThreadPoolExecutor(len(peers)) as pool:
        list(pool.map(ask, peers))
    assert 1 < most <= AT_ONCE
    found.wait()
    assert [len(each) for each in (found._users, found._silent, found._waiting, found._rooms)] == [0] * 4


def test_let_what_needs_no_place_aside_pass_those_that_wait_for_one() -> None:
    """An officer's order waits for no payment that the token has yet to begin, whoever's line it comes in."""
    found, said, came = seats(Room, per_user=40), list[str](), Room.came
    may_come_back, aside = threading.Event(), threading.Semaphore(0)

    def spend(name: str) -> None:
        with found.turn(name, aside=True):
            said.append(name)
            with found.aside():
                aside.release()
                assert may_come_back.wait(60)

    def order(name: str) -> None:
        with found.turn(name):
            said.append(name)

    spends = [f"spend-{number}" for number in range(AT_ONCE + 3)]
    for name in (*spends, "order", "other"):
        found.enter(name, WORKER if name != "other" else OFFICER)
    with ThreadPoolExecutor(len(spends) + 2) as pool:
        for name in spends[:AT_ONCE]:
            pool.submit(spend, name)
            assert aside.acquire(timeout=60)
        try:
            for number, name in enumerate(spends[AT_ONCE:], start=1):
                pool.submit(spend, name)
                while Room.came < came + number:
                    time.sleep(0.001)
            for name in ("order", "other"):
                pool.submit(order, name).result(30)
        finally:
            may_come_back.set()
    assert said == [*spends[:AT_ONCE], "order", "other", *spends[AT_ONCE:]]


def test_wait_for_those_aside_when_the_server_ends() -> None:
    found = seats()
    found.enter("a", WORKER)
    is_aside, may_go_on, closed = threading.Event(), threading.Event(), threading.Event()

    def ask() -> None:
        with found.turn("a"):
            with found.aside():
                is_aside.set()
                assert may_go_on.wait(60)
            assert not closed.is_set()

    def close() -> None:
        found.close()
        closed.set()

    with ThreadPoolExecutor(2) as pool:
        asked = pool.submit(ask)
        assert is_aside.wait(60)
        closing = pool.submit(close)
        while not found._closed:
            time.sleep(0.001)
        assert not closed.wait(0.05)
        may_go_on.set()
        asked.result(60)
        closing.result(60)
