"""The signer's memory of what left, and of who signed for it …"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kernel.approval import Verb
from kernel.money import Amount
from kernel.psbt import Psbt
from kernel.transaction import multisig_vsize
from kernel.webauthn import Assertion
from tests import messages
from tests import vault as vaults
from tests.messages import coin, request, withdrawal
from tests.softtoken import Desk, hot_registry
from tests.vault import BEN


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "state")


# Windows.


def test_counts_what_leaves_and_refuses_beyond_this_signers_share(tmp_path: Path) -> None:
    # 3 x 0.25 BTC with fees would fit into 1.2 BTC, but this signer's share of it is two thirds.
    desk = Desk(tmp_path, registry=hot_registry(limits={"window_units_max": {"hot": "120000000"}}))
    assert [desk.spend() for _ in range(4)] == ["signed"] * 3 + ["SIGNER_WINDOW_FULL"]
    assert desk.health["used"] == {"hot": str(3 * 25_002_000)}


def test_opens_again_as_the_window_rolls_on(tmp_path: Path) -> None:
    limits = {"window_units_max": {"hot": "45000000"}, "window_s": 3600}
    desk = Desk(tmp_path, registry=hot_registry(limits=limits))
    assert desk.spend() == "signed"
    desk.now += 3599
    assert desk.spend() == "SIGNER_WINDOW_FULL"
    desk.now += 2
    assert desk.spend() == "signed"


def test_counts_a_fee_bump_by_its_fee_only(tmp_path: Path) -> None:
    desk = Desk(tmp_path, registry=hot_registry(limits={"window_units_max": {"hot": "45000000"}}))
    intent, mine = withdrawal(expires=desk.in_hours(1)), coin(desk.registry, "hot", 1, 90_000_000)
    assert desk.spend(intent=intent, coins=[mine], fee=1_000) == "signed"
    assert desk.spend(intent=intent, coins=[mine], fee=4_000) == "signed"
    assert desk.health["used"] == {"hot": "25005000"}


def test_cannot_be_drained_by_many_small_payouts(tmp_path: Path) -> None:
    desk = Desk(tmp_path, registry=hot_registry(limits={"window_units_max": {"hot": "30000000"}}))
    paid = 0
    for _ in range(60):
        small = withdrawal(expires=desk.in_hours(1), amount=Amount(1_000_000, "BTC"))
        paid += desk.spend(intent=small, fee=500) == "signed"
    assert paid == 19  # 19 x 1,000,500 sats fit into two thirds of 30,000,000


def test_signs_what_stands_just_at_a_bound_and_nothing_beyond_it(tmp_path: Path) -> None:
    outputs = Psbt.parse_base64(request(hot_registry(), [withdrawal()])["psbt"]).transaction.outputs
    vsize = multisig_vsize(1, outputs, threshold=2, keys=3)

    def said(fee: int, cap: int, **limits: int) -> str:
        registry = hot_registry(limits={name: str(most) for name, most in limits.items()})
        desk = Desk(tmp_path / f"{fee}-{cap}-{len(limits)}", registry=registry)
        return desk.spend(withdrawal(expires=desk.in_hours(1), fee_cap=Amount(cap, "BTC")), fee=fee)

    assert [said(fee, 3_000) for fee in (3_000, 3_001)] == ["signed", "SIGNER_FEE_ABOVE_CAP"]
    most = {"fee_sats_max": 4_000}
    assert [said(fee, 9_000, **most) for fee in (4_000, 4_001)] == ["signed", "SIGNER_FEE_ABOVE_LIMIT"]
    rate = {"feerate_sats_vb_max": 20, "fee_sats_max": 10_000}
    assert [said(20 * vsize + more, 9_000, **rate) for more in (0, 1)] == [
        *("signed", "SIGNER_FEERATE_ABOVE_LIMIT")
    ]
    desk = Desk(tmp_path / "least")
    least = [withdrawal(expires=desk.in_hours(1), amount=Amount(units, "BTC")) for units in (294, 293)]
    assert [desk.spend(one) for one in least] == ["signed", "SIGNER_WRONG_ASSET"]
    desk.now, late = desk.now + 3_600, withdrawal(expires=desk.in_hours(1))
    assert desk.spend(late) == "SIGNER_INTENT_EXPIRED"
    desk.now -= 1
    assert desk.spend(late) == "signed"


def test_caps_each_payment_alone(tmp_path: Path) -> None:
    desk = Desk(tmp_path, registry=hot_registry(limits={"payment_units_max": {"hot": "25000000"}}))
    assert desk.spend() == "signed"
    larger = withdrawal(expires=desk.in_hours(1), amount=Amount(25_000_001, "BTC"))
    assert desk.spend(intent=larger) == "SIGNER_PAYMENT_ABOVE_LIMIT"


def test_caps_what_one_destination_gets(tmp_path: Path) -> None:
    # 0.25 BTC each; two thirds of 0.9 BTC leave room for two payments to one destination.
    desk = Desk(tmp_path, registry=hot_registry(limits={"destination_units_max": {"hot": "90000000"}}))
    assert [desk.spend() for _ in range(3)] == ["signed", "signed", "SIGNER_DESTINATION_FULL"]
    elsewhere = "bcrt1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qzf4jry"
    assert desk.spend(intent=withdrawal(expires=desk.in_hours(1), destination=elsewhere)) == "signed"


# Passkeys that count.


class Counting:
    """Ben's passkey says these counts, one after the other."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *counts: int) -> None:
        real, left = vaults.KEYS[BEN].assertion, iter(counts)

        def counted(challenge: bytes, **how: Any) -> Assertion:
            vaults.KEYS[BEN]._count = COUNTED + next(left) - 1
            with monkeypatch.context() as patch:
                patch.setattr("fixtures.authenticator.time.time", lambda: 0)
                return real(challenge, **how)

        monkeypatch.setattr(vaults.KEYS[BEN], "assertion", counted)


COUNTED = 2**31


def in_turn(desk: Desk, count: int) -> list[str]:
    return [desk.spend() for _ in range(count)]


def test_takes_counts_out_of_order_only_from_what_can_have_been_given_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(tmp_path, registry=hot_registry(limits={"intent_life_s": 3600}))
    Counting(monkeypatch, 5, 4, 6, 3, 7)
    # The fourth was given, by its request's age, after counts 5 and 6 had been seen here.
    assert in_turn(desk, 3) == ["signed"] * 3
    desk.now += 1
    assert in_turn(desk.restart(), 2) == ["SIGNER_COUNTER", "signed"]


def test_knows_a_copied_passkey_by_a_count_said_twice(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    Counting(monkeypatch, 5, 5)
    assert in_turn(desk, 2) == ["signed", "SIGNER_COUNTER"]


def test_counts_one_approval_once_however_often_it_comes(desk: Desk) -> None:
    intent, mine = withdrawal(expires=desk.in_hours(1)), coin(desk.registry, "hot", 1, 90_000_000)
    message = request(desk.registry, [intent], coins=[mine])
    assert [desk.code(message), desk.restart().code(message)] == ["signed", "signed"]
    dearer = {**request(desk.registry, [intent], coins=[mine], fee=4_000), "intents": message["intents"]}
    assert desk.code(dearer) == "signed"


def test_takes_the_zero_of_synced_passkeys_only_if_it_was_always_zero(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    Counting(monkeypatch, -COUNTED, -COUNTED, 1, -COUNTED)
    assert in_turn(desk, 4) == ["signed", "signed", "signed", "SIGNER_COUNTER"]


def test_counts_the_orders_of_officers_too(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    Counting(monkeypatch, 5, 5)
    freeze = messages.order("signer.freeze", officers=[BEN], verb=Verb.APPROVE, wallet="hot")
    assert desk.code(freeze) == "obeyed"
    assert desk.code(messages.order("signer.release", wallet="hot", nonce=b"\x08" * 32)) == "SIGNER_COUNTER"
