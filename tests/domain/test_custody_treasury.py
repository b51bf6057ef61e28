"""The treasury's rules …"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custody.domain import (
    beneficiaries,
    chain,
    deposits,
    payments,
    refills,
    sweeps,
    wallets,
    withdrawals,
)
from custody.domain.beneficiaries import BadLabel, Verdict
from custody.domain.chain import DoesNotConnect, SeenBlock
from custody.domain.coins import Coin
from custody.domain.wallets import BadTargets, Targets
from custody.domain.withdrawals import NotWithdrawable, TooSmall
from kernel.money import Amount
from kernel.transaction import Outpoint

BTC = 100_000_000
UNITS = st.integers(min_value=0, max_value=1_000 * BTC)


def btc(units: int) -> Amount:
    return Amount(units, "BTC")


def need(
    hot: int, *, promised: int = 0, below: int = BTC, target: int = 3 * BTC, cold: int = 10 * BTC
) -> int:
    found = refills.amount_to_propose(
        hot=btc(hot), promised=btc(promised), marks=Targets(btc(below), btc(target)), cold=btc(cold)
    )
    return 0 if found is None else found.units


def test_propose_no_refill_while_the_hot_wallet_has_enough() -> None:
    assert need(BTC) == 0
    assert need(BTC - 1) == 2 * BTC + 1


def test_reckon_with_what_withdrawals_will_take() -> None:
    assert need(2 * BTC, promised=3 * BTC // 2) == 3 * BTC - BTC // 2


def test_propose_no_more_than_cold_can_pay_and_nothing_that_is_not_worth_it() -> None:
    assert need(0, cold=BTC) == BTC - refills.FEE_CAP.units
    assert need(0, cold=refills.FEE_CAP.units + refills.SMALLEST.units - 1) == 0
    assert need(0, cold=refills.FEE_CAP.units + refills.SMALLEST.units) == refills.SMALLEST.units
    assert need(0, cold=0) == 0


def test_drop_a_refill_only_once_it_would_fill_up_further_than_a_band_above_the_target() -> None:
    marks = Targets(btc(BTC), btc(3 * BTC))
    assert refills.is_stale(btc(2 * BTC), None, marks)
    assert not refills.is_stale(btc(2 * BTC), btc(2 * BTC), marks)
    assert not refills.is_stale(btc(4 * BTC), btc(2 * BTC), marks)
    assert refills.is_stale(btc(4 * BTC + 1), btc(2 * BTC), marks)


@pytest.mark.parametrize(
    ("refused", "signed", "hopeless"),
    [
        ([], [], False),
        (["a"], [], False),
        (["a", "a"], [], False),
        (["a", "b"], [], True),
        (["a", "b"], ["a"], False),
    ],
)
def test_give_a_payment_up_once_too_few_signers_are_left(
    refused: list[str], signed: list[str], hopeless: bool
) -> None:
    """Of two of three; one that refused and signed since has signed."""
    assert payments.is_hopeless(refused=refused, signed=signed, threshold=2, tokens=3) is hopeless


@given(UNITS, UNITS, UNITS, UNITS, UNITS)
def test_fill_up_to_the_target_and_never_beyond(
    hot: int, promised: int, below: int, more: int, cold: int
) -> None:
    target = below + more
    amount = need(hot, promised=promised, below=below, target=target, cold=cold)
    assert amount == 0 or hot - promised + amount <= target
    assert amount == 0 or amount + refills.FEE_CAP.units <= cold
    assert amount == 0 or hot - promised < below


def marks(below: int, target: int, *, whole: int) -> tuple[int, int]:
    found = wallets.in_band(Targets(btc(below), btc(target)), btc(whole))
    return found.refill_below.units, found.target.units


def test_keep_treasurys_marks_up_to_the_very_borders_of_the_band_and_not_one_unit_beyond() -> None:
    assert marks(2 * BTC, 5 * BTC, whole=100 * BTC) == (2 * BTC, 5 * BTC)
    assert marks(2 * BTC + 1, 5 * BTC + 1, whole=100 * BTC) == (2 * BTC, 5 * BTC)
    assert marks(2 * BTC, 5 * BTC, whole=100 * BTC - 1) == (2 * BTC - 1, 5 * BTC - 1)
    assert marks(2 * BTC, 900 * BTC, whole=0) == marks(2 * BTC, 900 * BTC, whole=-BTC) == (0, 0)


@given(UNITS, UNITS, UNITS, UNITS, UNITS)
def test_fill_up_no_further_than_the_band_whatever_the_marks_say_and_then_rest(
    hot: int, promised: int, below: int, more: int, cold: int
) -> None:
    found = wallets.in_band(Targets(btc(below), btc(below + more)), btc(hot + cold - promised))
    marks_now = (found.refill_below.units, found.target.units)
    amount = need(hot, promised=promised, below=marks_now[0], target=marks_now[1], cold=cold)
    if amount:
        left = hot - promised
        assert left * 10_000 < (hot + cold - promised) * wallets.HOT_BPS_MIN
        assert (left + amount) * 10_000 <= (hot + cold - promised) * wallets.HOT_BPS_MAX
        full = left + amount == marks_now[1]
        again = need(left + amount, below=marks_now[0], target=marks_now[1], cold=cold - amount)
        assert not (full and again), "filled up, nothing is due: it does not swing"


def swept(free: int, *, promised: int = 0, below: int = BTC, target: int = 2 * BTC, whole: int) -> int:
    found = sweeps.amount_to_propose(
        free=btc(free),
        promised=btc(promised),
        marks=wallets.overflow(Targets(btc(below), btc(target)), btc(whole)),
    )
    return 0 if found is None else found.units


FEE = sweeps.FEE_CAP.units


def test_sweep_what_is_above_the_upper_mark_back_to_the_target() -> None:
    assert swept(3 * BTC, whole=100 * BTC) == 0, "as far above the target as refills begin below it"
    assert swept(3 * BTC + 1, whole=100 * BTC) == BTC + 1 - FEE
    assert swept(6 * BTC, whole=100 * BTC) == 4 * BTC - FEE
    assert swept(6 * BTC, promised=3 * BTC, whole=100 * BTC) == 0, "withdrawals will take it"
    assert swept(6 * BTC, promised=2 * BTC, whole=100 * BTC) == 2 * BTC - FEE


def test_sweep_at_the_bands_border_whatever_marks_somebody_set_and_then_to_the_middle_of_it() -> None:
    high = {"below": 50 * BTC, "target": 80 * BTC, "whole": 100 * BTC}
    assert swept(5 * BTC, **high) == 0
    assert swept(5 * BTC + 1, **high) == 3 * BTC // 2 + 1 - FEE


def test_sweep_nothing_that_is_not_worth_a_fee_and_two_peoples_time() -> None:
    tight = {"below": 2 * BTC, "target": 2 * BTC, "whole": 100 * BTC}
    assert swept(2 * BTC + FEE + sweeps.SMALLEST.units - 1, **tight) == 0
    assert swept(2 * BTC + FEE + sweeps.SMALLEST.units, **tight) == sweeps.SMALLEST.units


@given(UNITS, UNITS, UNITS, UNITS, UNITS)
def test_leave_at_least_what_a_refill_would_bring_after_a_sweep_and_then_rest(
    free: int, promised: int, below: int, more: int, cold: int
) -> None:
    whole = free - promised + cold
    band = Targets(btc(below), btc(below + more))
    marks_now = wallets.in_band(band, btc(whole))
    amount = swept(free, promised=promised, below=below, target=below + more, whole=whole)
    if amount:
        upper, left = wallets.overflow(band, btc(whole)), free - promised
        assert left > upper.above.units >= upper.back_to.units >= marks_now.refill_below.units
        assert left * 10_000 > whole * wallets.HOT_BPS_MAX or left > marks_now.target.units
        for fee in (1, FEE):
            kept = left - amount - fee
            assert marks_now.refill_below.units <= upper.back_to.units <= kept <= upper.back_to.units + FEE
            again = {"below": below, "target": below + more, "whole": whole - fee}
            assert not swept(kept, **again), "swept once, nothing more is due"
            low = wallets.in_band(band, btc(whole - fee))
            assert not need(
                kept, below=low.refill_below.units, target=low.target.units, cold=cold + amount
            ), "and neither is a refill"


@given(UNITS, UNITS, UNITS, UNITS, UNITS, UNITS)
def test_carry_out_no_older_proposal_that_would_leave_less_than_the_mark_for_refills(
    free: int, promised: int, below: int, more: int, cold: int, older: int
) -> None:
    marks_now = wallets.overflow(Targets(btc(below), btc(below + more)), btc(free - promised + cold))
    due = sweeps.amount_to_propose(free=btc(free), promised=btc(promised), marks=marks_now)
    if not sweeps.is_stale(btc(older), due, marks_now):
        assert free - promised - older - FEE >= marks_now.refill_below.units
    assert due is None or not sweeps.is_stale(due, due, marks_now)
    assert sweeps.is_stale(btc(older), None, marks_now)


@given(st.lists(st.integers(min_value=1, max_value=9 * BTC), max_size=8), UNITS)
def test_leave_whole_coins_for_whom_is_to_be_paid_before_they_sweep(sizes: list[int], promised: int) -> None:
    coins = [Coin(Outpoint("ab" * 32, place), sats) for place, sats in enumerate(sizes)]
    taken = sweeps.spendable(coins, promised=promised)
    kept = [coin.sats for coin in coins if coin not in taken]
    assert sum(kept) >= min(promised, sum(sizes))
    assert all(sum(kept) - sats < promised for sats in kept), "none of them is there for nothing"
    assert not kept or promised


@given(st.dictionaries(st.text(min_size=1, max_size=5), UNITS, min_size=1, max_size=6))
def test_share_out_everything(totals: dict[str, int]) -> None:
    shares = wallets.shares(totals)
    assert shares.keys() == totals.keys()
    assert sum(shares.values()) == (wallets.WHOLE_BPS if any(totals.values()) else 0)
    assert all(share >= 0 for share in shares.values())


def test_refuse_a_target_below_the_threshold() -> None:
    with pytest.raises(BadTargets):
        Targets(refill_below=btc(2), target=btc(1))


def test_hold_the_amount_and_the_fee() -> None:
    agreed = withdrawals.terms("BTC")
    assert withdrawals.to_hold(agreed.minimum) == agreed.minimum + agreed.fee
    with pytest.raises(TooSmall):
        withdrawals.to_hold(agreed.minimum - btc(1))
    with pytest.raises(NotWithdrawable):
        withdrawals.to_hold(Amount(10**9, "USDT"))


def test_let_a_known_destination_pass_and_hold_every_other() -> None:
    assert beneficiaries.screened(is_known=True, hits=[]).verdict is Verdict.CLEAR
    assert beneficiaries.screened(is_known=False, hits=[]).reasons == (beneficiaries.FIRST_USE,)
    assert beneficiaries.screened(is_known=True, hits=["listed"]).verdict is Verdict.HOLD


@pytest.mark.parametrize(
    "text", ["", "   ", "x" * 81, "a\u202eb", "a\x00b", "a\u200bb", "\u3164", "a\u034fb", "\u2800"]
)
def test_refuse_labels_that_officers_could_not_read(text: str) -> None:
    with pytest.raises(BadLabel):
        beneficiaries.label(text)


def test_write_labels_in_one_line() -> None:
    assert beneficiaries.label("  Mum's \n  house ") == "Mum's house"


def test_count_the_block_itself_as_a_confirmation() -> None:
    assert [deposits.confirmations(height, 10) for height in (None, 11, 10, 9)] == [0, 0, 1, 2]
    assert deposits.is_final(9, 10, "regtest")
    assert not deposits.is_final(10, 10, "regtest")
    with pytest.raises(deposits.UnknownNetwork):
        deposits.is_final(9, 10, "moon")


def test_read_blocks_in_order_only() -> None:
    block = SeenBlock(height=5, hash="b", previous="a")
    chain.connects(block, tip_height=4, tip_hash="a")
    chain.connects(block, tip_height=-1, tip_hash=None)
    for height, name in ((3, "a"), (4, "x"), (5, "a")):
        with pytest.raises(DoesNotConnect):
            chain.connects(block, tip_height=height, tip_hash=name)
