"""The treasury's rules …"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custody.domain import beneficiaries, chain, deposits, payments, refills, wallets, withdrawals
from custody.domain.beneficiaries import BadLabel, Verdict
from custody.domain.chain import DoesNotConnect, SeenBlock
from custody.domain.wallets import BadTargets, Targets
from custody.domain.withdrawals import NotWithdrawable, TooSmall
from kernel.money import Amount

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
