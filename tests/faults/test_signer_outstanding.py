"""What a signer's lane signed, and no reconciler has called final, …"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from kernel import canonical
from kernel.intent import time_text
from kernel.money import Amount
from kernel.registry import Registry
from kernel.script import address_of
from tests.customers import DAY, HOUR, SITE, Customer, Reconciler, section
from tests.desks import attest, outstanding, pay, seasoned_desk
from tests.messages import coin, order
from tests.softkeys import SoftKey
from tests.softtoken import Desk, hot_registry

LARGE = Amount(1_998_000, "BTC")
"""With its fee of 2,000 satoshis: half of the share that one destination has, a fifth of the window's."""
ELSEWHERE = "ee" * 32
"""Another transaction, which this signer has not seen."""


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Two payments signed, and kept back for four windows."""
    desk = seasoned_desk(tmp_path)
    assert [pay(desk, amount=LARGE), pay(desk, amount=LARGE)] == ["signed"] * 2
    later(desk, 4 * DAY)
    return desk


def later(desk: Desk, seconds: int, **changes: Any) -> str:
    desk.now += seconds
    return attest(desk, **changes)


def used(desk: Desk) -> int:
    return int(desk.health["lanes"]["hot"]["used"])


def test_counts_in_every_window_until_it_is(desk: Desk) -> None:
    for _ in range(3):
        assert pay(desk) == "SIGNER_DESTINATION_FULL"
        assert used(desk) == used(desk.restart()) == 4_000_000
        assert desk.health["lanes"]["hot"]["outstanding"] == "4000000"
        assert later(desk, DAY + 1) == "attested"


def test_adds_up_to_one_window_however_many_pass(tmp_path: Path) -> None:
    desk = seasoned_desk(tmp_path)
    signed = 0
    for window in range(5):
        made = [address_of(b"\x00\x14" + bytes([window, n]) * 10, desk.registry.network) for n in range(3)]
        assert {desk.code(Customer().beneficiary(one)) for one in made} == {"learnt"}
        later(desk, 2 * DAY)
        signed += [pay(desk, destination=one, amount=LARGE) for one in made].count("signed")
    assert signed == 5
    assert used(desk) == 10_000_000  # this signer's share of 0.15 BTC, after five windows


def test_counts_for_one_window_more_once_it_is(desk: Desk) -> None:
    first, second = outstanding(desk).items()
    assert attest_later(desk, spent=dict([first])) == "attested"
    assert desk.health["lanes"]["hot"]["outstanding"] == "2000000"
    # What is confirmed only now counts for this window: else two windows' worth could be confirmed in one.
    assert (used(desk), pay(desk)) == (4_000_000, "SIGNER_DESTINATION_FULL")
    later(desk, DAY)
    assert used(desk) == 2_000_000
    assert pay(desk, amount=Amount(2_002_001, "BTC")) == "SIGNER_DESTINATION_FULL"
    assert pay(desk, amount=LARGE) == "signed"
    desk.restart()
    later(desk, DAY, spent=dict([second]))
    later(desk, DAY)
    assert used(desk) == 2_000_000


def attest_later(desk: Desk, **changes: Any) -> str:
    return later(desk, 1, **changes)


def test_is_void_where_another_transaction_has_one_of_its_coins(desk: Desk) -> None:
    spent = dict.fromkeys(outstanding(desk), ELSEWHERE)
    assert attest_later(desk, spent=spent) == "attested"
    assert desk.health["lanes"]["hot"]["outstanding"] == "0"
    later(desk, DAY)
    assert (used(desk), pay(desk)) == (0, "signed")


def test_is_called_final_once(desk: Desk) -> None:
    """Each half a minute the same is attested; a missed one changes nothing, since the next says it too."""
    spent = outstanding(desk)
    for _ in range(3):
        assert attest_later(desk, spent=spent) == "attested"
    finals = [entry for entry in desk.journal.weighty if entry.event == "final"]
    assert [entry.details["spent"] for entry in finals] == [spent]
    later(desk, DAY - 2)
    assert used(desk) == 0


def test_is_not_final_by_the_word_of_anybody_else(desk: Desk) -> None:
    spent = outstanding(desk)
    word = {"spent": spent}
    desk.now += 1
    forged = {**Reconciler().attests(desk.in_hours(0), **word)}
    mine = Reconciler(66).attests(desk.in_hours(0), **word)
    assert desk.code(mine) == "SIGNER_BAD_ATTESTATION"
    assert desk.code({**forged, "signature": mine["signature"]}) == "SIGNER_BAD_ATTESTATION"
    many = {f"{number:064x}:0": ELSEWHERE for number in range(201)}
    for wrong in ({"spent": [*spent]}, {"spent": {next(iter(spent)): 1}}, {"spent": many}, {"v": 1}):
        assert attest_later(desk, **wrong) == "SIGNER_BAD_ATTESTATION"
    assert attest_later(desk, **word, deployment="production") == "SIGNER_WRONG_DEPLOYMENT"
    assert attest_later(desk, **word, network="mainnet") == "SIGNER_WRONG_DEPLOYMENT"
    assert attest_later(desk, **word, wallet="cold") == "SIGNER_NO_LANE"
    assert attest_later(desk, spent={coin[:-1] + "7": txid for coin, txid in spent.items()}) == "attested"
    assert desk.health["lanes"]["hot"]["outstanding"] == "4000000"


def test_is_not_final_by_old_word_whenever_it_is_brought(desk: Desk) -> None:
    old = Reconciler().attests(desk.in_hours(0), spent=outstanding(desk))
    desk.now += 1
    attest(desk)  # newer, and says nothing
    assert desk.code(old) == "attested"
    assert desk.health["lanes"]["hot"]["outstanding"] == "4000000"
    desk.now += HOUR
    assert desk.restart().code(old) == "attested"  # the newest that it knows now
    assert desk.health["lanes"]["hot"]["outstanding"] == "4000000"


def test_is_not_final_by_what_is_said_of_another_wallet(tmp_path: Path) -> None:
    """Both wallets have lanes, and the same reconciler looks at both."""
    both = hot_registry(lanes={"hot": section()}, customers=SITE)
    document: Any = canonical.decode_object(both.encoded)
    keys = [[SoftKey(20_000 + number).public_key.hex() for number in range(3)]]
    document["wallets"]["warm"] = {"m": 2, "tokens": ["warm-1", "warm-2", "warm-3"], "keys": keys}
    document["lanes"]["warm"] = section()
    document["limits"]["window_units_max"]["warm"] = "100000000"
    desk = Desk(tmp_path / "two", registry=Registry.parse(canonical.encode(document)))
    desk.ask(Customer().key())
    desk.ask(Customer().beneficiary())
    later(desk, 2 * DAY)
    assert pay(desk, [coin(desk.registry, "hot", 1, 150_000_000)]) == "signed"
    spent = outstanding(desk)
    assert attest_later(desk, wallet="warm", spent=spent) == "attested"
    assert desk.health["lanes"]["hot"]["outstanding"] == "1002000"
    assert attest_later(desk, spent=spent) == "attested"
    assert desk.health["lanes"]["hot"]["outstanding"] == "0"


def test_counts_as_long_as_any_version_of_its_payment_could_be_confirmed(desk: Desk) -> None:
    """Each version shares a coin with the first; a coin that only the first has is spent elsewhere."""
    attest_later(desk, spent=outstanding(desk))
    later(desk, DAY)
    reference, expires = uuid4(), desk.in_hours(1)
    shared, other, third = (coin(desk.registry, "hot", place, 80_000_000) for place in (1, 2, 3))
    how: dict[str, Any] = {"reference": reference, "amount": LARGE, "expires": expires}
    assert pay(desk, [shared, other], **how) == "signed"
    assert pay(desk, [shared, third], fee=3_000, **how) == "signed"
    assert used(desk) == 2_003_000
    attest_later(desk, spent={str(other[0]): ELSEWHERE})
    later(desk, 2 * DAY)
    assert used(desk) == 2_003_000  # not the fee of the second alone, which may still be confirmed
    attest_later(desk, spent={str(shared[0]): ELSEWHERE})
    later(desk, DAY)
    assert used(desk) == 0


def test_is_counted_whole_again_where_it_is_signed_anew_after_all_versions_are_void(desk: Desk) -> None:
    attest_later(desk, spent=outstanding(desk))
    later(desk, DAY)
    reference, expires = uuid4(), desk.in_hours(1)
    shared, other = (coin(desk.registry, "hot", place, 80_000_000) for place in (1, 2))
    how: dict[str, Any] = {"reference": reference, "amount": LARGE, "expires": expires}
    assert pay(desk, [shared, other], **how) == "signed"
    attest_later(desk, spent={str(other[0]): ELSEWHERE})
    assert pay(desk, [shared], **how) == "signed"
    assert used(desk) == 4_000_000


def test_is_given_up_by_officers_who_reopen_the_signer_and_rests_a_window(desk: Desk) -> None:
    standing, soon = desk.health["journal"]["standing"], time_text(desk.in_hours(1))
    assert desk.code(order("signer.reopen", token="hot-1", standing=standing, expires=soon)) == "obeyed"
    attest_later(desk)
    in_a_week = desk.in_hours(24 * 7)
    assert pay(desk, expires=in_a_week) == "SIGNER_LANE_REOPENING"
    later(desk, DAY)
    assert (used(desk), pay(desk, expires=in_a_week)) == (0, "signed")
