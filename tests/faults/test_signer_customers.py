"""Given what customers signed, a signer without officers …"""

from __future__ import annotations

from pathlib import Path
from uuid import UUID, uuid4

import pytest

from kernel.intent import time_text
from tests import messages
from tests.customers import DAY, SITE, Customer, section
from tests.desks import attest, desk_with_lane, pay, seasoned_desk
from tests.softtoken import Desk, hot_registry
from tests.vault import Message

ELSEWHERE = "bcrt1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qzf4jry"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return seasoned_desk(tmp_path)


def test_pays_nobody_before_the_cooling_off_of_the_key_and_then_of_the_destination(tmp_path: Path) -> None:
    desk = desk_with_lane(tmp_path)
    attest(desk)
    assert pay(desk) == "SIGNER_UNKNOWN_BENEFICIARY"
    assert desk.code(Customer().beneficiary()) == "SIGNER_UNKNOWN_CUSTOMER"
    assert desk.code(Customer().key()) == "learnt"
    desk.now += DAY / 2
    assert desk.code(Customer().beneficiary()) == "learnt"
    # The key was half a day old: the destination's day begins when the key's is over.
    for wait, code in ((DAY, "SIGNER_COOLING_OFF"), (DAY / 2 - 1, "SIGNER_COOLING_OFF"), (1, "signed")):
        desk.now += wait
        attest(desk)
        assert pay(desk) == code


def test_counts_age_by_its_own_clock_and_not_by_what_the_statement_says(tmp_path: Path) -> None:
    desk = desk_with_lane(tmp_path)
    desk.ask(Customer().key(time="2020-01-01T00:00:00Z"))
    desk.ask(Customer().beneficiary(time="2020-01-01T00:00:00Z"))
    attest(desk)
    assert pay(desk) == "SIGNER_COOLING_OFF"


def test_learns_a_statement_once_and_keeps_its_age(desk: Desk) -> None:
    lines = desk.journal.lines
    again = [desk.ask(message)["new"] for message in (Customer().key(), Customer().beneficiary())]
    assert (again, desk.journal.lines) == ([False, False], lines)
    assert pay(desk.restart()) == "SIGNER_ATTESTATION_OLD"
    attest(desk)
    assert pay(desk) == "signed"


def test_stops_at_once_where_the_customer_removes_a_destination(desk: Desk) -> None:
    old = Customer().beneficiary()
    desk.now += 60
    removal = Customer().removal(time=time_text(desk.in_hours(0)))
    assert [desk.ask(removal)["new"] for _ in range(2)] == [True, False]
    assert pay(desk) == "SIGNER_UNKNOWN_BENEFICIARY"
    # What the customer had signed before does not bring it back, whoever kept it.
    assert desk.restart().code(old) == "SIGNER_BENEFICIARY_REMOVED"
    same_moment = Customer().beneficiary(time=time_text(desk.in_hours(0)))
    assert desk.code(same_moment) == "SIGNER_BENEFICIARY_REMOVED"
    desk.now += 60
    assert desk.code(Customer().beneficiary(time=time_text(desk.in_hours(0)))) == "learnt"
    assert desk.ask(removal)["new"] is False
    attest(desk)
    assert pay(desk) == "SIGNER_COOLING_OFF"
    desk.now += DAY
    attest(desk)
    assert pay(desk, expires=desk.in_hours(1)) == "signed"
    # Somebody else's word removes nothing, nor does it from elsewhere.
    assert desk.code(Customer(seed=66).removal()) == "SIGNER_BAD_STATEMENT"


def test_begins_anew_with_a_customer_who_shows_another_key_and_says_so(desk: Desk) -> None:
    thief = Customer(seed=66)
    answer = desk.ask(thief.key())
    assert (answer["new"], answer["alert"]) == (True, "SIGNER_CUSTOMER_KEY_CHANGED")
    assert pay(desk) == "SIGNER_UNKNOWN_BENEFICIARY"
    assert desk.code(Customer().beneficiary()) == "SIGNER_BAD_STATEMENT"
    assert desk.code(thief.beneficiary(ELSEWHERE)) == "learnt"
    desk.now += 2 * DAY - 1
    attest(desk)
    assert pay(desk, destination=ELSEWHERE) == "SIGNER_COOLING_OFF"


def test_brings_back_nothing_that_was_removed_whatever_keys_it_is_shown_in_between(desk: Desk) -> None:
    """Whoever owns the web tier makes up a key for Tom, and then shows again what Tom himself once signed."""
    kept = Customer().key(), Customer().beneficiary()
    desk.now += 60
    assert desk.code(Customer().removal(time=time_text(desk.in_hours(0)))) == "learnt"
    thief = Customer(seed=66)
    assert [desk.ask(message)["new"] for message in (thief.key(), kept[0])] == [True, True]
    assert desk.code(kept[1]) == "SIGNER_BENEFICIARY_REMOVED"
    assert desk.restart().code(kept[1]) == "SIGNER_BENEFICIARY_REMOVED"
    # Nor do they keep Tom from his own destination for longer than until he says so once more.
    assert desk.code(thief.key()) == "learnt"
    assert desk.code(thief.removal(time=time_text(desk.in_hours(1)))) == "SIGNER_BAD_STATEMENT"
    assert desk.code(thief.removal(time=time_text(desk.in_hours(0)))) == "learnt"
    desk.now += 60
    assert desk.code(Customer().key()) == "learnt"
    assert desk.code(Customer().beneficiary(time=time_text(desk.in_hours(0)))) == "learnt"


def test_hears_no_word_of_the_future_which_would_outlast_a_removal(desk: Desk) -> None:
    """A customer's clock was ahead, and whoever owns the web tier shows again what they took back since."""
    ahead = Customer().beneficiary(time=time_text(desk.in_hours(24)))
    assert desk.code(ahead) == "SIGNER_BAD_STATEMENT"
    assert desk.code(Customer().removal(time=time_text(desk.in_hours(0)))) == "learnt"
    assert desk.code(ahead) == "SIGNER_BAD_STATEMENT"
    assert pay(desk) == "SIGNER_UNKNOWN_BENEFICIARY"
    assert desk.code(Customer().beneficiary(time=time_text(desk.in_hours(2 / 60)))) == "learnt"


def test_learns_from_passkeys_on_the_customers_site_only(tmp_path: Path) -> None:
    desk = desk_with_lane(tmp_path)
    holder = Customer(passkey=True)
    assert [desk.code(message) for message in (holder.key(), holder.beneficiary())] == ["learnt", "learnt"]
    away = hot_registry(
        lanes={"hot": section()}, customers={**SITE, "origin": "http://console.localhost:8000"}
    )
    other = Desk(tmp_path / "away", registry=away)
    assert other.code(holder.key()) == "SIGNER_BAD_STATEMENT"
    nowhere = Desk(tmp_path / "nowhere", registry=hot_registry(lanes={"hot": section()}))
    assert nowhere.code(holder.key()) == "SIGNER_BAD_STATEMENT"


def proof_of(message: Message, other: Message) -> Message:
    return {**message, "proof": other["proof"]}


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        ("SIGNER_BAD_STATEMENT", proof_of(Customer().beneficiary(), Customer(seed=66).beneficiary())),
        ("SIGNER_BAD_STATEMENT", proof_of(Customer().beneficiary(), Customer().beneficiary(ELSEWHERE))),
        ("SIGNER_BAD_STATEMENT", Customer().beneficiary(surprise="x")),
        ("SIGNER_BAD_STATEMENT", Customer().beneficiary(v=True)),
        ("SIGNER_BAD_STATEMENT", Customer().beneficiary(kind="custody.invoice")),
        ("SIGNER_BAD_STATEMENT", Customer().beneficiary(customer="Tom")),
        ("SIGNER_BAD_STATEMENT", Customer().key(algorithm="rsa")),
        ("SIGNER_BAD_STATEMENT", Customer().key(public_key="00" * 31)),
        ("SIGNER_BAD_STATEMENT", {**Customer().key(), "proof": {}}),
        ("SIGNER_BAD_STATEMENT", {**Customer().key(), "proof": "no"}),
        ("SIGNER_BAD_STATEMENT", {**Customer().key(), "payload": "e30"}),
        ("SIGNER_BAD_STATEMENT", {**Customer().key(), "payload": "!"}),
        ("SIGNER_BAD_REQUEST", {**Customer().key(), "payload": 7}),
        ("SIGNER_BAD_REQUEST", {**Customer().key(), "since": 0}),
        ("SIGNER_WRONG_DEPLOYMENT", Customer().beneficiary(deployment="production")),
        ("SIGNER_WRONG_NETWORK", Customer().beneficiary(network="mainnet")),
        ("SIGNER_WRONG_ASSET", Customer().beneficiary(asset="USDT")),
        ("SIGNER_WRONG_DESTINATION", Customer().beneficiary("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4")),
        ("SIGNER_WRONG_DESTINATION", Customer().beneficiary(messages.DESTINATION.upper())),
    ],
)
def test_learns_nothing_else(desk: Desk, expected: str, message: Message) -> None:
    before = desk.journal.lines
    assert desk.code(message) == expected
    assert desk.journal.lines == before + 1


def test_learns_only_so_much_in_a_day(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("custody.signer.lanes.LEARNT_PER_DAY_MAX", 5)
    codes = [desk.code(Customer(str(uuid4()), seed=seed).key()) for seed in range(1, 8)]
    assert codes == ["learnt"] * 5 + ["SIGNER_LEARNT_ENOUGH"] * 2
    # Nor of destinations without end, brought or taken away, but for one that is in use.
    soon, tom = {"time": time_text(desk.in_hours(0))}, Customer()
    for said in (tom.beneficiary(ELSEWHERE, **soon), tom.removal(ELSEWHERE, **soon)):
        assert desk.code(said) == "SIGNER_LEARNT_ENOUGH"
    assert desk.code(tom.removal(**soon)) == "learnt"
    desk.now += DAY + 1
    assert desk.code(Customer(str(uuid4()), seed=9).key()) == "learnt"


def test_does_not_pay_one_customers_destination_for_another(desk: Desk) -> None:
    assert pay(desk, customer=UUID(int=9)) == "SIGNER_UNKNOWN_BENEFICIARY"
