"""Without officers, a signer …"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from kernel.approval import Verb
from kernel.intent import time_text
from tests import messages
from tests.customers import DAY, HOUR, Customer, Reconciler, unattended
from tests.desks import attest, desk_with_lane, pay, seasoned_desk
from tests.messages import order, request
from tests.softtoken import Desk
from tests.vault import BEN


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return seasoned_desk(tmp_path)


def test_pays_a_destination_that_the_customer_signed_and_that_it_has_known_for_long(desk: Desk) -> None:
    assert pay(desk) == "signed"
    # Counters of its own: what officers approve is not eaten up by what they never saw.
    assert desk.health["used"] == {"hot": "0"}
    assert desk.health["lanes"]["hot"]["used"] == "1002000"
    assert desk.restart().health["lanes"]["hot"]["used"] == "1002000"


def test_pays_nothing_where_the_registry_has_no_lane(tmp_path: Path) -> None:
    assert pay(Desk(tmp_path / "state")) == "SIGNER_NO_LANE"


def test_makes_no_refill(desk: Desk) -> None:
    intent = messages.withdrawal(kind="custody.refill", customer=None, expires=desk.in_hours(1))
    assert desk.code(unattended(request(desk.registry, [intent]))) == "SIGNER_NO_LANE"


def test_stops_when_officers_freeze_the_lane_alone(desk: Desk) -> None:
    freeze = order("signer.freeze", officers=[BEN], verb=Verb.APPROVE, wallet="hot/lane", expires=soon(desk))
    assert desk.code(freeze) == "obeyed"
    assert pay(desk) == "SIGNER_FROZEN"
    assert desk.spend() == "signed"
    in_a_day = time_text(desk.in_hours(24))
    assert desk.code(order("signer.release", wallet="hot/lane", expires=in_a_day)) == "obeyed"
    assert pay(desk) == "signed"


def soon(desk: Desk) -> str:
    return time_text(desk.in_hours(1))


def test_rests_for_a_window_after_its_memory_was_reopened(desk: Desk) -> None:
    assert pay(desk) == "signed"
    backup = desk.file.read_bytes()
    assert pay(desk) == "signed"
    desk.file.write_bytes(backup)
    desk.restart()
    attest(desk)
    assert pay(desk) == "SIGNER_STORE_RESTORED"
    standing = desk.health["journal"]["standing"]
    reopen = order("signer.reopen", token="hot-1", standing=standing, expires=soon(desk))
    assert desk.code(reopen) == "obeyed"
    assert desk.let_go() == "obeyed"
    attest(desk)
    desk.now += DAY - 122
    attest(desk)
    assert pay(desk, expires=desk.in_hours(24 * 7)) == "SIGNER_LANE_REOPENING"
    desk.now += 1
    attest(desk)
    assert pay(desk, expires=desk.in_hours(24 * 7)) == "signed"


# Reconciliation.


def test_pays_only_while_it_has_fresh_word_that_chain_and_books_agree(desk: Desk) -> None:
    desk.now += HOUR
    assert pay(desk) == "signed"
    desk.now += 1
    assert pay(desk) == "SIGNER_ATTESTATION_OLD"
    # Yesterday's word, however well signed, is yesterday's.
    assert desk.code(Reconciler().attests(desk.in_hours(-2))) == "attested"
    assert pay(desk) == "SIGNER_ATTESTATION_OLD"
    attest(desk)
    assert pay(desk) == "signed"


def test_stops_at_a_break_until_a_later_word_mends_it(desk: Desk) -> None:
    good = Reconciler().attests(desk.in_hours(0))
    desk.now += 60
    assert attest(desk, on_chain="899999999") == "attested"
    assert pay(desk) == "SIGNER_BOOKS_BROKEN"
    assert desk.restart().code(good) == "attested"
    assert pay(desk) == "SIGNER_BOOKS_BROKEN"
    desk.now += 60
    attest(desk)
    assert pay(desk) == "signed"
    desk.now += 60
    assert attest(desk, breaks=1) == "attested"  # the wallet has its coins; the books are not sound
    assert pay(desk) == "SIGNER_BOOKS_BROKEN"
    desk.now += 60
    attest(desk)
    assert pay(desk.restart()) == "SIGNER_ATTESTATION_OLD"


def test_is_not_brought_past_a_break_by_an_older_one_and_what_was_said_between(desk: Desk) -> None:
    """Whoever owns the web tier kept all that was ever said, and chooses what the signer hears, and when."""
    said = []
    for coins in ("899999999", "900000000", "899999999"):
        desk.now += 60
        said.append(Reconciler().attests(desk.in_hours(0), on_chain=coins, in_books="900000000"))
    older, between, newest = said
    assert desk.code(newest) == "attested"
    desk.restart()
    assert [desk.code(older), desk.code(between)] == ["attested"] * 2
    assert pay(desk) == "SIGNER_BOOKS_BROKEN"


def test_goes_by_the_newest_word_alone_in_whatever_order_it_comes(desk: Desk) -> None:
    def said(seconds: int, coins: str = "900000000") -> str:
        at = desk.in_hours(seconds / 3_600)
        return desk.code(Reconciler().attests(at, on_chain=coins, in_books="900000000"))

    assert [said(60), said(30, "1")] == ["attested"] * 2
    assert pay(desk) == "signed"
    # What mends a break is later than the newest of them, also for one that forgot what else it heard.
    assert [said(90, "1"), said(110, "1")] == ["attested"] * 2
    for seconds in (100, 110):
        desk.restart()
        assert said(seconds) == "attested"
        assert pay(desk) == "SIGNER_BOOKS_BROKEN"
    assert said(111) == "attested"
    assert pay(desk) == "signed"


def test_hears_nothing_while_its_clock_is_behind_what_it_wrote(desk: Desk) -> None:
    """What it has known for long, and what is fresh, it says by that clock."""
    assert pay(desk) == "signed"
    desk.now -= HOUR
    said = (Reconciler().attests(desk.in_hours(0)), Customer(str(uuid4()), seed=5).key())
    assert [desk.code(one) for one in said] == ["SIGNER_CLOCK_BACK"] * 2


@pytest.mark.parametrize(
    ("expected", "who", "changes"),
    [
        ("SIGNER_BAD_ATTESTATION", Reconciler(66), {}),
        ("SIGNER_BAD_ATTESTATION", Reconciler(), {"surprise": "x"}),
        ("SIGNER_BAD_ATTESTATION", Reconciler(), {"v": True}),
        ("SIGNER_BAD_ATTESTATION", Reconciler(), {"kind": "custody.beneficiary"}),
        ("SIGNER_BAD_ATTESTATION", Reconciler(), {"height": 0}),
        ("SIGNER_BAD_ATTESTATION", Reconciler(), {"breaks": -1}),
        ("SIGNER_BAD_ATTESTATION", Reconciler(), {"time": "2099-01-01T00:00:00Z"}),
        ("SIGNER_NO_LANE", Reconciler(), {"wallet": "cold"}),
        ("SIGNER_WRONG_DEPLOYMENT", Reconciler(), {"deployment": "production"}),
        ("SIGNER_WRONG_DEPLOYMENT", Reconciler(), {"network": "mainnet"}),
    ],
)
def test_believes_no_other_word(
    tmp_path: Path, expected: str, who: Reconciler, changes: dict[str, Any]
) -> None:
    desk = desk_with_lane(tmp_path)
    assert desk.code(who.attests(desk.in_hours(0), **changes)) == expected
    assert desk.code({**who.attests(desk.in_hours(0)), "signature": "AA"}) == "SIGNER_BAD_ATTESTATION"
