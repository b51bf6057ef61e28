"""A raised fee …"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as some

from custody.domain import coins, raising
from custody.domain.coins import DUST_SATS, Script
from custody.domain.raising import Caps, NoChange, NotHigher, NotRaisable, TooDear, Version
from kernel import script
from kernel.psbt import Psbt
from kernel.transaction import Input, Outpoint, Output, Transaction, multisig_vsize
from tests.treasury import KEYS

TO = b"\x00\x14" + b"\x07" * 20
WITNESS = script.sorted_multisig(2, [KEYS[f"hot-{number}"][0].public_key for number in (1, 2, 3)])
OWN = script.p2wsh(WITNESS)
SHAPE = Script(2, 3, OWN)
CAPS = Caps(50_000, 200)


def first(pays: int = 1_000_000, change: int = 500_000, rate: int = 2, count: int = 1) -> Psbt:
    """A payment as it is built, with so much change at this rate."""
    outputs = (Output(pays, TO), Output(change, OWN)) if change else (Output(pays, TO),)
    fee = rate * coins.vsize(count, outputs, SHAPE)
    each, rest = divmod(pays + change + fee, count)
    sources = []
    for place in range(count):
        sats = each + (rest if place == 0 else 0)
        made = Transaction((Input(Outpoint(f"{place:064x}", 0)),), (Output(sats, OWN),))
        sources.append(made)
    return Psbt.build([(Outpoint(made.txid, 0), made, WITNESS) for made in sources], outputs)


def of(psbt: Psbt) -> Version:
    outputs = psbt.transaction.outputs
    change = outputs[1].sats if len(outputs) == 2 else 0
    return Version(change, psbt.fee, coins.vsize(len(psbt.spends), outputs, SHAPE))


def raised(psbt: Psbt, rate: int, **changes: object) -> Version:
    arguments: dict[str, object] = {"over": [of(psbt)], "evicted": 0, "caps": CAPS}
    return raising.raised(psbt, feerate=rate, **(arguments | changes))  # type: ignore[arg-type]


def test_comes_out_of_the_change_alone() -> None:
    psbt = first()
    found = raised(psbt, 10)
    built = raising.build(psbt, found.change)
    assert built.transaction.inputs == psbt.transaction.inputs
    assert built.transaction.outputs == (Output(1_000_000, TO), Output(found.change, OWN))
    assert (built.fee, found.fee) == (10 * found.vsize, 10 * found.vsize)
    assert built.transaction.txid != psbt.transaction.txid


def test_takes_change_with_it_that_would_be_dust() -> None:
    psbt = first(change=3_000)
    found = raised(psbt, 17)
    built = raising.build(psbt, found.change)
    assert built.transaction.outputs == (Output(1_000_000, TO),)
    assert (found.change, built.fee) == (0, of(psbt).fee + 3_000)
    assert found.fee >= 17 * found.vsize


def test_ends_where_the_change_does() -> None:
    psbt = first(change=3_000)
    with pytest.raises(NoChange, match=r"reaches for \d+ sats a vbyte at the most"):
        raised(psbt, 30)
    gone = raised(psbt, 17)
    with pytest.raises(NoChange, match="nothing comes back"):
        raised(psbt, 20, over=[of(psbt), gone])
    bare = first(change=0)
    for refused in (lambda: raised(bare, 9), lambda: raising.highest(bare, CAPS)):
        with pytest.raises(NoChange):
            refused()


def test_is_never_above_what_was_approved_or_what_signers_take() -> None:
    psbt = first()
    with pytest.raises(TooDear, match="where 1000 are allowed"):
        raised(psbt, 10, caps=Caps(1_000, 200))
    with pytest.raises(TooDear, match="signers take 9 sats a vbyte"):
        raised(psbt, 10, caps=Caps(50_000, 9))


def test_is_higher_by_what_nodes_ask_for() -> None:
    """BIP 125: more a vbyte than each that it replaces, and more in all by the relay of its own bytes; also
    than what somebody laid behind it.
    """
    psbt = first()
    size = of(psbt).vsize
    for rate in (1, 2):
        with pytest.raises(NotHigher, match="it takes 3 sats a vbyte"):
            raised(psbt, rate)
    assert raised(psbt, 3).fee == of(psbt).fee + size
    with pytest.raises(NotHigher):
        raised(psbt, 3, evicted=of(psbt).fee + 1)
    with pytest.raises(NotHigher, match="it takes 8 sats a vbyte"):
        raised(psbt, 7, over=[of(psbt), replace(of(psbt), fee=7 * size)])
    assert raising.least(psbt, [of(psbt)]) == 3


@given(
    count=some.integers(1, 6),
    change=some.integers(DUST_SATS, 200_000),
    rate=some.integers(1, 60),
    steps=some.lists(some.integers(1, 120), max_size=6),
    cap=some.integers(500, 60_000),
    feerate=some.none() | some.integers(1, 150),
)
def test_keeps_payment_coins_and_caps_however_often_it_is_raised(
    count: int, change: int, rate: int, steps: list[int], cap: int, feerate: int | None
) -> None:
    psbt, caps = first(change=change, rate=rate, count=count), Caps(cap, feerate)
    over = [of(psbt)]
    for step in steps:
        try:
            found = raised(psbt, step, over=over, caps=caps)
        except NotRaisable:
            continue
        built = raising.build(psbt, found.change)
        paid, *back = built.transaction.outputs
        assert built.transaction.inputs == psbt.transaction.inputs
        assert (paid.sats, paid.script) == (1_000_000, TO)
        assert all(one.script == OWN and one.sats >= DUST_SATS for one in back)
        assert found == of(built)
        assert found.fee <= cap
        shortest = multisig_vsize(count, built.transaction.outputs, threshold=2, keys=3)
        assert feerate is None or found.fee <= feerate * shortest
        for one in over:
            assert found.fee >= one.fee + raising.INCREMENT * found.vsize
            assert found.fee * one.vsize > one.fee * found.vsize
        over.append(found)


@given(
    change=some.integers(DUST_SATS, 100_000),
    rate=some.integers(1, 20),
    cap=some.integers(2_000, 60_000),
    data=some.data(),
)
def test_can_be_anything_between_the_lowest_and_the_highest_that_are_shown(
    change: int, rate: int, cap: int, data: some.DataObject
) -> None:
    psbt, caps = first(change=change, rate=rate), Caps(cap)
    lowest, highest = raising.least(psbt, [of(psbt)]), raising.highest(psbt, caps)
    if lowest <= highest:
        raised(psbt, data.draw(some.integers(lowest, highest)), caps=caps)
    with pytest.raises((NoChange, TooDear)):
        raised(psbt, max(lowest, cap), caps=caps)
