"""An amount …"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.money import ASSETS, Amount, AssetMismatch, BadAmount, UnknownAsset

units = st.integers(min_value=0, max_value=10**40)
codes = st.sampled_from(sorted(ASSETS))


@given(units, codes)
def test_reads_back_what_it_prints(value: int, code: str) -> None:
    assert Amount.parse(str(Amount(value, code)), code) == Amount(value, code)


@pytest.mark.parametrize(
    ("text", "expected"), [("1", 10**8), ("0.00000001", 1), ("0.10", 10**7), ("21000000", 21 * 10**14)]
)
def test_counts_smallest_units(text: str, expected: int) -> None:
    assert Amount.parse(text, "BTC").units == expected


@pytest.mark.parametrize(
    "text",
    ["", "-1", "+1", "1e3", "NaN", "inf", ".5", "5.", "01", "1,0", " 1", "1 ", "٣", "0.000000001", "1_0"],
)
def test_refuses_what_is_no_plain_decimal(text: str) -> None:
    with pytest.raises(BadAmount):
        Amount.parse(text, "BTC")


@pytest.mark.parametrize("bad", [1.0, True, "1", None])
def test_holds_integers_only(bad: object) -> None:
    with pytest.raises(BadAmount):
        Amount(bad, "BTC")  # type: ignore[arg-type]


def test_never_mixes_assets() -> None:
    with pytest.raises(AssetMismatch):
        Amount(1, "BTC") + Amount(1, "USDT")
    with pytest.raises(UnknownAsset):
        Amount(1, "XXX")


def test_prints_a_sign_and_no_trailing_zeros() -> None:
    assert str(Amount(-150_000_000, "BTC")) == "-1.5"
    assert str(Amount(0, "BTC")) == "0"
