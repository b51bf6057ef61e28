"""A signer that begins a new file of its journal …"""

from __future__ import annotations

import json
from pathlib import Path
from uuid import uuid4

import pytest

from custody.signer import requests
from kernel.approval import Verb
from kernel.intent import Intent, time_text
from kernel.money import Amount
from tests import messages
from tests.checkpoints import DAY, events, later, pieces, shorten, soon
from tests.customers import Customer
from tests.desks import attest, outstanding, pay, seasoned_desk
from tests.faults.test_signer_counts import COUNTED, Counting
from tests.holding import Orders
from tests.messages import coin, withdrawal
from tests.registries import succession
from tests.softtoken import Desk
from tests.vault import ANA, BEN, CY, Message


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    soon(monkeypatch)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "state")


def test_starts_from_what_was_kept_and_reads_no_older_file(desk: Desk) -> None:
    intent, mine = withdrawal(expires=desk.in_hours(1)), coin(desk.registry, "hot", 1, 90_000_000)
    assert desk.spend(intent=intent, coins=[mine]) == "signed"
    freeze = messages.order("signer.freeze", officers=[BEN], verb=Verb.APPROVE, wallet="hot/lane")
    assert desk.code(freeze) == "obeyed"
    shorten(desk, 3)
    assert len(pieces(desk)) == 4
    for path in pieces(desk)[:-1]:
        path.unlink()
    desk.restart()
    assert (desk.health["state"], desk.health["frozen"]) == ("ready", {"hot/lane": "a test"})
    assert desk.health["used"] == {"hot": "25002000"}
    assert desk.code(freeze) == "SIGNER_ORDER_USED"
    assert desk.spend(intent=intent) == "SIGNER_REPLAY"
    assert desk.spend(intent=intent, coins=[mine]) == "signed"


def test_forgets_what_is_over_but_for_eight_bytes_of_each_name(desk: Desk) -> None:
    def grown() -> tuple[int, int]:
        for _ in range(20):
            assert desk.spend() == "signed"
            desk.now += 3 * DAY
        later(desk, 8)
        [state] = desk.state.glob("checkpoint-*.jsonl")
        head, *kept = state.read_text().splitlines()
        return len(kept), len(json.loads(head)["names"])

    (first, names), (then, more) = grown(), grown()
    assert (then, more - names) == (first, 20 * 2 * 16)  # of intent and slot, and two digits a byte
    assert len(desk.restart().journal.weighty) < 10


def test_keeps_a_file_as_long_as_there_is_no_reason_for_another(desk: Desk) -> None:
    for _ in range(20):
        desk.ask({"v": 1, "type": "log_head"})
        assert desk.spend() == "signed"
    assert pieces(desk) == [desk.file]  # nobody asked how it is
    assert desk.health
    assert len(pieces(desk)) == 2
    begun = desk.file.stat().st_ino
    for _ in range(20):
        assert desk.health
    assert desk.file.stat().st_ino == begun


# Nothing is paid twice.


def test_pays_nothing_twice_that_it_forgot_whatever_officers_sign_anew(desk: Desk) -> None:
    intent, mine = withdrawal(expires=desk.in_hours(1)), coin(desk.registry, "hot", 1, 90_000_000)
    assert desk.spend(intent=intent, coins=[mine]) == "signed"
    later(desk, 9)
    assert "spend" not in events(desk)
    for _ in range(2):
        again = withdrawal(reference=intent.reference, expires=desk.in_hours(1))
        assert desk.spend(intent=again) == "SIGNER_REPLAY"
        assert desk.spend(intent=again, coins=[mine]) == "SIGNER_REPLAY"
        less = withdrawal(reference=intent.reference, amount=Amount(1_000, "BTC"), expires=desk.in_hours(1))
        assert desk.spend(less, coins=[mine]) == "SIGNER_REPLAY"
        assert desk.spend() == "signed"
        desk.restart()
        later(desk, 400)


def test_pays_no_equal_intent_for_one_that_it_forgot(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two with one mark are one payment for good: each signer may have been told of another of them."""
    monkeypatch.setattr(Intent, "mark", 600_000_000)
    assert desk.spend() == "signed"
    later(desk, 9)
    assert "spend" not in events(desk)
    assert desk.spend() == "SIGNER_REPLAY"
    assert desk.spend(withdrawal(amount=Amount(1_000, "BTC"), expires=desk.in_hours(1))) == "signed"


def test_signs_a_higher_fee_as_long_as_what_was_approved_is_good(desk: Desk) -> None:
    intent, mine = withdrawal(expires=desk.in_hours(24 * 7)), coin(desk.registry, "hot", 1, 90_000_000)
    assert desk.spend(intent=intent, coins=[mine]) == "signed"
    later(desk, 6.9)
    assert desk.spend(intent=intent) == "SIGNER_REPLAY"
    assert desk.spend(intent=intent, coins=[mine], fee=3_000) == "signed"
    # Both versions are kept as long as either could matter.
    later(desk, 6.9)
    assert events(desk).count("spend") == 2
    anew = withdrawal(reference=intent.reference, expires=desk.in_hours(1))
    assert desk.spend(intent=anew, coins=[mine], fee=4_000) == "signed"
    assert desk.spend(intent=anew) == "SIGNER_REPLAY"


def test_pays_nothing_twice_after_officers_put_its_clock_back(desk: Desk) -> None:
    """A clock far ahead made it forget; what it forgot comes back with an end that is in time again."""
    desk.now += 30 * DAY
    intent = withdrawal(expires=desk.in_hours(1))
    assert desk.spend(intent=intent) == "signed"
    now = desk.now
    later(desk, 400)
    assert "spend" not in events(desk)
    desk.now = now + 60
    assert desk.spend() == "SIGNER_CLOCK_BACK"
    assert Orders(desk).reopen(ANA, [BEN, CY]) == "obeyed"
    assert desk.spend(intent=intent) == "SIGNER_INTENT_BEFORE_REOPENING"
    desk.now += 7 * DAY
    week = {"expires": desk.in_hours(24 * 7)}
    for _ in range(2):
        assert desk.spend(intent=withdrawal(reference=intent.reference, **week)) == "SIGNER_REPLAY"
        # And what its windows would have to count, it does not know: so it pays nothing until they do.
        assert desk.spend(intent=withdrawal(**week)) == "SIGNER_WINDOW_FULL"
        desk.restart()
    desk.now += 500 * DAY
    again = withdrawal(reference=intent.reference, expires=desk.in_hours(1))
    assert [desk.spend(intent=again), desk.spend()] == ["SIGNER_REPLAY", "signed"]


def test_begins_anew_where_officers_will_not_wait_for_a_clock_that_was_far_ahead(desk: Desk) -> None:
    """The way in docs/runbooks/signer-refuses.md; what it costs is that it knows of no payment any more."""
    now, orders = desk.now, Orders(desk)
    desk.now += 400 * DAY
    intent = withdrawal(expires=desk.in_hours(1))
    assert desk.spend(intent=intent) == "signed"
    later(desk, 10)
    desk.now = now
    assert desk.spend() == "SIGNER_CLOCK_BACK"
    assert orders.reopen(ANA, [BEN, CY]) == "obeyed"
    assert desk.spend(withdrawal(expires=desk.in_hours(24 * 7))) == "SIGNER_INTENT_BEFORE_REOPENING"
    desk.now += 60
    week = {"expires": desk.in_hours(24 * 7)}
    assert desk.spend(withdrawal(**week)) == "SIGNER_WINDOW_FULL"
    desk.file.rename(desk.state.with_name("taken away"))
    desk.restart()
    assert desk.spend(withdrawal(**week)) == "SIGNER_STORE_LOST"
    assert orders.reopen(ANA, [BEN, CY]) == "obeyed"
    assert desk.health["frozen"].keys() == {"*"}
    assert desk.let_go() == "obeyed"
    week = {"expires": desk.in_hours(24 * 7)}
    assert desk.spend(withdrawal(**week)) == "signed"
    assert desk.health["used"] == {"hot": "25002000"}
    # Whoever gives a reference of before another end has it paid again.
    assert desk.spend(withdrawal(reference=intent.reference, **week)) == "signed"


def test_forgets_nothing_at_once_because_its_clock_jumps(desk: Desk) -> None:
    assert desk.spend() == "signed"
    desk.now += 400 * DAY
    assert desk.spend() == "signed"
    shorten(desk)
    assert events(desk).count("spend") == 2


def test_pays_nothing_while_a_longer_window_reaches_back_to_what_it_forgot(desk: Desk) -> None:
    assert desk.spend() == "signed"
    later(desk, 9)
    new, members = succession(desk, limits={"window_s": 20 * DAY})
    ordered = messages.order("signer.registry", expires=time_text(desk.in_hours(1)), **members)
    desk.restart(registry=new, order=requests.order(ordered))
    assert desk.health["state"] == "ready"
    assert desk.spend() == "SIGNER_WINDOW_FULL"
    desk.now += 20 * DAY
    assert desk.spend() == "signed"


def test_knows_a_copied_passkey_by_counts_that_it_forgot(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    Counting(monkeypatch, 5, 7, -COUNTED, 8, 6, 7, 9)
    assert desk.spend() == "signed"
    desk.now += DAY
    assert desk.spend() == "signed"
    later(desk, 9)
    assert "spend" not in events(desk)
    assert [desk.spend(), desk.spend()] == ["SIGNER_COUNTER", "signed"]
    later(desk, 9)
    assert [desk.spend() for _ in range(3)] == ["SIGNER_COUNTER", "SIGNER_COUNTER", "signed"]


# The lane.


def test_counts_what_its_lane_signed_until_it_is_final_however_old(tmp_path: Path) -> None:
    desk = seasoned_desk(tmp_path)
    reference = uuid4()
    assert pay(desk, reference=reference) == "signed"
    later(desk, 30)
    desk.restart()
    assert desk.health["lanes"]["hot"]["outstanding"] == "1002000"
    attest(desk)
    assert pay(desk, reference=reference) == "SIGNER_REPLAY"
    spent = outstanding(desk)
    desk.now += 1
    assert attest(desk, spent=spent) == "attested"
    shorten(desk, 3)
    desk.restart()
    lane = desk.health["lanes"]["hot"]
    assert (lane["outstanding"], lane["used"]) == ("0", "1002000")
    later(desk, 9)
    assert {"spend", "final"}.isdisjoint(events(desk))
    attest(desk)
    assert pay(desk, reference=reference) == "SIGNER_REPLAY"
    assert pay(desk) == "signed"


def test_knows_customers_and_their_destinations_for_good(tmp_path: Path) -> None:
    desk = seasoned_desk(tmp_path)
    later(desk, 400)
    desk.restart()
    attest(desk)
    assert pay(desk) == "signed"
    assert desk.ask(Customer().beneficiary())["new"] is False


def test_is_no_stranger_to_what_it_was_sent_before(desk: Desk) -> None:
    asked: Message = messages.request(desk.registry, [withdrawal(expires=desk.in_hours(24))])
    assert desk.code(asked) == "signed"
    shorten(desk, 2)
    assert desk.code(asked) == "signed"
    assert desk.health["used"] == {"hot": "25002000"}
