"""A sweep, for which hot signers count no more than its fee …"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from custody.signer.words import describe
from kernel.intent import REFILL, SWEEP, WITHDRAWAL
from kernel.money import Amount
from kernel.psbt import Psbt
from kernel.registry import BadRegistry, Registry
from kernel.transaction import Output
from tests import messages
from tests.customers import unattended
from tests.messages import coin, request, sweep, withdrawal
from tests.softkeys import SoftKey
from tests.softtoken import ADDRESSES, TOKENS, Desk, hot_registry, keys_of
from tests.vault import BEN, CY, DECODERS

BTC = 100_000_000
COLD = tuple(f"cold-{number}" for number in range(1, 4))
POLICIES: Mapping[str, Any] = {
    WITHDRAWAL: {"teams": {"treasury": 2}, "source": "hot"},
    REFILL: {"teams": {"treasury": 2}, "source": "cold", "destination": "hot/0"},
    SWEEP: {"teams": {"treasury": 2}, "source": "hot", "destination": "cold/0"},
}


def both_wallets(policies: Mapping[str, Any] = POLICIES) -> Registry:
    """A hot wallet of which 1 BTC leaves in a window and half a one in a payment, and a cold one."""

    def described(tokens: tuple[str, ...], keys: Any) -> dict[str, Any]:
        rows = [[keys(token)[index].public_key.hex() for token in tokens] for index in range(ADDRESSES)]
        return {"m": 2, "tokens": list(tokens), "keys": rows}

    cold = {
        name: [SoftKey(20_000 + 100 * place + index) for index in range(ADDRESSES)]
        for place, name in enumerate(COLD)
    }
    return hot_registry(
        wallets={"hot": described(TOKENS, keys_of), "cold": described(COLD, cold.__getitem__)},
        policies=dict(policies),
        limits={
            "window_units_max": {"hot": str(BTC * 3 // 2), "cold": "1"},
            "payment_units_max": {"hot": str(BTC // 2)},
            "destination_units_max": {"hot": str(BTC)},
        },
    )


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path, both_wallets())


def ask(desk: Desk, sats: int = 40 * BTC, *, held: int = 50 * BTC, **how: Any) -> str:
    """What the signer says to a sweep of so much, out of a coin of `held`."""
    changes = {name: how.pop(name) for name in list(how) if name in ("destination", "fee_cap", "expires")}
    intent = sweep(desk.registry, **{"amount": Amount(sats, "BTC"), "expires": desk.in_hours(1), **changes})
    return desk.spend(intent, **{"coins": [coin(desk.registry, "hot", 1, held)], **how})


def test_is_confirmed_by_those_who_approve_it_and_not_by_who_asks(tmp_path: Path) -> None:
    above = {**POLICIES, SWEEP: {**POLICIES[SWEEP], "confirm_above": "1"}}
    desk = Desk(tmp_path, both_wallets(above))
    assert ask(desk) == "SIGNER_UNCONFIRMED"
    assert ask(desk, confirmed={officer: DECODERS[officer] for officer in (BEN, CY)}) == "signed"


def test_is_signed_whatever_the_caps_are_and_leaves_their_room_to_withdrawals(desk: Desk) -> None:
    assert ask(desk) == ask(desk) == "signed"
    assert desk.health["used"]["hot"] == "4000"
    assert desk.restart().health["used"]["hot"] == "4000"
    half = Amount(BTC // 2, "BTC")
    assert desk.spend(withdrawal(amount=half, expires=desk.in_hours(1))) == "signed"
    assert desk.spend(withdrawal(amount=half, expires=desk.in_hours(1))) == "SIGNER_DESTINATION_FULL"
    more = Amount(half.units + 1, "BTC")
    assert desk.spend(withdrawal(amount=more, expires=desk.in_hours(1))) == "SIGNER_PAYMENT_ABOVE_LIMIT"
    assert ask(desk) == "signed"


def test_lends_its_freedom_to_no_payment_beside_it_and_to_no_reference(desk: Desk) -> None:
    swept = sweep(desk.registry, amount=Amount(40 * BTC, "BTC"), expires=desk.in_hours(1))
    paid = withdrawal(amount=Amount(BTC // 2 + 1, "BTC"), expires=desk.in_hours(1))
    coins = [coin(desk.registry, "hot", 1, 90 * BTC)]
    assert desk.code(request(desk.registry, [swept, paid], coins=coins)) == "SIGNER_NO_INTENT"
    assert desk.spend(replace(paid, reference=swept.reference)) == "SIGNER_PAYMENT_ABOVE_LIMIT"


def test_is_signed_once_however_many_transactions_are_made_of_it(desk: Desk) -> None:
    intent = sweep(desk.registry, reference=uuid4(), expires=desk.in_hours(1))
    assert desk.spend(intent) == "signed"
    assert desk.spend(intent) == "SIGNER_REPLAY"


def test_is_signed_with_a_higher_fee_over_a_coin_that_it_shares_and_counts_each_fee(desk: Desk) -> None:
    intent = sweep(desk.registry, reference=uuid4(), expires=desk.in_hours(1))
    held = [coin(desk.registry, "hot", 1, 3 * BTC)]
    for fee in (2_000, 3_000):
        assert desk.spend(intent, coins=held, fee=fee) == "signed"
    assert desk.health["used"]["hot"] == "5000"
    assert desk.spend(intent, coins=[coin(desk.registry, "hot", 2, 3 * BTC)], fee=4_000) == "SIGNER_REPLAY"


def elsewhere(desk: Desk) -> str:
    return ask(desk, destination=messages.DESTINATION)


def another_address_of_the_cold_wallet(desk: Desk) -> str:
    return ask(desk, destination=desk.registry.wallets["cold"].address(1))


def back_into_the_hot_wallet(desk: Desk) -> str:
    return ask(desk, destination=desk.registry.wallets["hot"].address(0))


def out_of_the_cold_wallet(desk: Desk) -> str:
    return desk.spend(sweep(desk.registry, source="cold"))


def paying(desk: Desk, *outputs: tuple[str, int, int]) -> str:
    """What it says to a sweep of 1 BTC whose transaction has these outputs: wallet, address, sats."""
    intent, wallets = sweep(desk.registry, expires=desk.in_hours(1)), desk.registry.wallets
    made = [Output(sats, wallets[name].output_script(index)) for name, index, sats in outputs]
    psbt = Psbt.build([coin(desk.registry, "hot", 1, 3 * BTC)], made, locktime=intent.mark)
    return desk.code(request(desk.registry, [intent], psbt=psbt))


def another_output(desk: Desk) -> str:
    return paying(desk, ("cold", 0, BTC), ("hot", 1, 2 * BTC - 2_000))


def two_outputs_of_change(desk: Desk) -> str:
    return paying(desk, ("cold", 0, BTC), ("hot", 0, BTC), ("hot", 0, BTC - 2_000))


def more_than_was_approved(desk: Desk) -> str:
    return paying(desk, ("cold", 0, 3 * BTC - 2_000))


def a_fee_above_what_was_approved(desk: Desk) -> str:
    return ask(desk, fee=5_001)


def a_fee_above_the_registrys_cap(desk: Desk) -> str:
    return ask(desk, fee=100_001, fee_cap=Amount(10**7, "BTC"))


def one_officer(desk: Desk) -> str:
    return ask(desk, officers=(BEN,))


def nobody_who_asked(desk: Desk) -> str:
    return ask(desk, asked=None)


def no_officer_at_all(desk: Desk) -> str:
    return desk.code(unattended(request(desk.registry, [sweep(desk.registry, expires=desk.in_hours(1))])))


def an_end_long_ago(desk: Desk) -> str:
    return ask(desk, expires=desk.in_hours(-1))


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (elsewhere, "SIGNER_WRONG_DESTINATION"),
        (another_address_of_the_cold_wallet, "SIGNER_WRONG_DESTINATION"),
        (back_into_the_hot_wallet, "SIGNER_WRONG_DESTINATION"),
        (out_of_the_cold_wallet, "SIGNER_NOT_IN_WALLET"),
        (another_output, "SIGNER_OUTPUT_NOT_APPROVED"),
        (two_outputs_of_change, "SIGNER_CHANGE_TWICE"),
        (more_than_was_approved, "SIGNER_OUTPUT_NOT_APPROVED"),
        (a_fee_above_what_was_approved, "SIGNER_FEE_ABOVE_CAP"),
        (a_fee_above_the_registrys_cap, "SIGNER_FEE_ABOVE_LIMIT"),
        (one_officer, "SIGNER_BELOW_QUORUM"),
        (nobody_who_asked, "SIGNER_NOT_ASKED"),
        (no_officer_at_all, "SIGNER_NO_LANE"),
        (an_end_long_ago, "SIGNER_INTENT_EXPIRED"),
    ],
    ids=lambda value: value.__name__ if callable(value) else value,
)
def test_is_refused_with(desk: Desk, asked: Any, code: str) -> None:
    assert asked(desk) == code


def test_is_told_by_the_registry_in_words() -> None:
    lines = list(describe(both_wallets()))
    assert "          at most 1.5 BTC per window, sweeps aside" in lines
    assert "  policy  custody.sweep v1: 2 of treasury; hot to cold/0" in lines


def test_is_signed_by_nobody_whose_registry_has_no_policy_for_it(tmp_path: Path) -> None:
    without = {kind: policy for kind, policy in POLICIES.items() if kind != SWEEP}
    assert ask(Desk(tmp_path, both_wallets(without))) == "SIGNER_UNKNOWN_KIND"


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        (SWEEP, {"destination": "hot/0"}),
        (SWEEP, {"destination": "hot/0", "source": "cold"}),
        (SWEEP, {"destination": None}),
        (SWEEP, {"source": None}),
        (REFILL, {"destination": None}),
        (REFILL, {"source": None}),
        (REFILL, {"source": None, "destination": None}),
    ],
)
def test_goes_back_to_where_refills_come_from_or_there_is_no_such_registry(
    kind: str, change: Mapping[str, Any]
) -> None:
    changed = {name: value for name, value in {**POLICIES[kind], **change}.items() if value is not None}
    with pytest.raises(BadRegistry, match="a sweep goes from the wallet that refills fill"):
        both_wallets({**POLICIES, kind: changed})
