"""Choosing coins …"""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custody.domain import coins
from custody.domain.coins import Coin, FeeAboveCap, NotEnoughCoins, NotOurPayment, Script
from kernel import script
from kernel.psbt import Psbt
from kernel.transaction import Input, Outpoint, Output, Transaction
from tests.softkeys import SoftKey

KEYS = [SoftKey(number) for number in (11, 12, 13)]
WITNESS = script.sorted_multisig(2, [key.public_key for key in KEYS])
OURS = script.p2wsh(WITNESS)
THEIRS = b"\x00\x14" + b"\x07" * 20
WALLET = Script(threshold=2, keys=3, change=OURS)

SATS = st.integers(min_value=1, max_value=10**9)
PURSES = st.lists(SATS, max_size=12)


def coin(number: int, sats: int) -> Coin:
    return Coin(Outpoint(hashlib.sha256(str(number).encode()).hexdigest(), 0), sats)


def purse(*sats: int) -> list[Coin]:
    return [coin(number, each) for number, each in enumerate(sats)]


@given(PURSES, st.integers(min_value=330, max_value=10**9), st.integers(min_value=1, max_value=100))
def test_pays_exactly_and_keeps_every_sat_in_view(held: list[int], pays: int, rate: int) -> None:
    try:
        found = coins.select(
            purse(*held), pays=Output(pays, THEIRS), feerate=rate, fee_cap=10**9, wallet=WALLET
        )
    except NotEnoughCoins:
        least = coins.vsize(1, (Output(pays, THEIRS),), WALLET)
        assert sum(held) < pays + max(len(held), 1) * 120 * rate + least * rate + len(held) * coins.DUST_SATS
        return
    spent = sum(each.sats for each in found.coins)
    assert spent == pays + found.change + found.fee
    assert found.outputs[0] == Output(pays, THEIRS)
    assert [out.script for out in found.outputs[1:]] == ([OURS] if found.change else [])
    assert found.change == 0 or found.change >= coins.DUST_SATS
    assert found.fee >= found.vsize * rate
    assert len(set(found.coins)) == len(found.coins)


def test_does_not_depend_on_the_order_of_the_coins() -> None:
    held = purse(50_000, 20_000, 90_000, 20_000)
    chosen = [
        coins.select(order, pays=Output(100_000, THEIRS), feerate=2, fee_cap=10**6, wallet=WALLET)
        for order in (held, held[::-1])
    ]
    assert chosen[0] == chosen[1]


def test_prefers_coins_that_need_no_change() -> None:
    pays = Output(100_000, THEIRS)
    exact = 100_000 + coins.vsize(1, (pays,), WALLET) * 2
    found = coins.select(purse(500_000, exact), pays=pays, feerate=2, fee_cap=10**6, wallet=WALLET)
    assert (len(found.coins), found.change, found.fee) == (1, 0, exact - 100_000)


def test_gives_change_below_dust_to_the_fee() -> None:
    pays = Output(100_000, THEIRS)
    with_change = coins.vsize(1, (pays, Output(0, OURS)), WALLET) * 2
    found = coins.select(
        purse(100_000 + with_change + 329), pays=pays, feerate=2, fee_cap=10**6, wallet=WALLET
    )
    assert found.change == 0


def test_refuses_a_fee_above_the_approved_cap() -> None:
    with pytest.raises(FeeAboveCap):
        coins.select(purse(10**8), pays=Output(10**6, THEIRS), feerate=100, fee_cap=5_000, wallet=WALLET)


def test_leaves_dust_where_it_is() -> None:
    with pytest.raises(NotEnoughCoins):
        coins.select(purse(*[330] * 40), pays=Output(1_000, THEIRS), feerate=1, fee_cap=10**6, wallet=WALLET)


def test_reckons_with_the_size_that_the_signed_transaction_has() -> None:
    previous = Transaction((Input(Outpoint("11" * 32, 0)),), (Output(300_000, OURS),))
    held = [Coin(Outpoint(previous.txid, 0), 300_000)]
    found = coins.select(held, pays=Output(100_000, THEIRS), feerate=1, fee_cap=10**6, wallet=WALLET)
    psbt = coins.build(found, [(previous, WITNESS)], mark=600_000_000)
    signed = psbt.with_signatures(
        (0, key.public_key, key.sign(psbt.digests()[0]) + b"\x01") for key in KEYS[:2]
    ).finalised()
    assert signed.vsize <= found.vsize <= signed.vsize + 2
    assert psbt.fee >= signed.vsize


def built() -> tuple[Psbt, Output]:
    previous = Transaction((Input(Outpoint("22" * 32, 0)),), (Output(300_000, OURS),))
    pays = Output(100_000, THEIRS)
    held = [Coin(Outpoint(previous.txid, 0), 300_000)]
    found = coins.select(held, pays=pays, feerate=2, fee_cap=10**6, wallet=WALLET)
    return coins.build(found, [(previous, WITNESS)], mark=600_000_000), pays


def test_is_checked_again_on_the_finished_transaction() -> None:
    psbt, pays = built()
    found = coins.check(psbt, pays=pays, change=OURS, fee_cap=10_000)
    assert (found.txid, found.fee, found.change) == (psbt.transaction.txid, psbt.fee, 200_000 - psbt.fee)


def altered(psbt: Psbt, *outputs: Output) -> Psbt:
    return Psbt(replace(psbt.transaction, outputs=outputs), psbt.spends)


def test_refuses_a_transaction_that_does_anything_else() -> None:
    psbt, pays = built()
    change = psbt.transaction.outputs[1]
    stranger = Output(change.sats, b"\x00\x14" + b"\x09" * 20)
    for outputs in (
        (replace(pays, sats=pays.sats + 1), change),
        (replace(pays, script=stranger.script), change),
        (pays, stranger),
        (pays, replace(change, sats=1_000), replace(change, sats=2_000)),
        (change,),
        (pays, replace(change, sats=change.sats - 20_000)),
    ):
        with pytest.raises(NotOurPayment):
            coins.check(altered(psbt, *outputs), pays=pays, change=OURS, fee_cap=10_000)


def test_takes_all_those_that_are_named_first_and_as_few_others_as_are_enough() -> None:
    held = purse(90_000, 80_000, 70_000, 60_000, 331, 330)
    pays = Output(60_000, THEIRS)
    for named, taken in (((), {0}), ((3,), {3, 0}), ((4,), {4, 0}), ((5, 2), {5, 2}), ((0, 1), {0, 1})):
        first = [held[number].outpoint for number in named]
        found = coins.select(held, pays=pays, feerate=2, fee_cap=10**6, wallet=WALLET, first=first)
        assert {one.outpoint for one in found.coins} == {held[number].outpoint for number in taken}, named
