"""A scope …"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.freezes.domain.scopes import BadScope, checked, customer, described

CUSTOMER = "0192f5d8-7c1a-7000-8000-000000000001"


@pytest.mark.parametrize(
    ("scope", "words"),
    [
        ("platform.withdrawals", "All withdrawals are"),
        ("trader-api", "The trader API is"),
        ("asset:BTC", "The asset BTC is"),
        ("wallet:hot", "The wallet hot is"),
        ("market:BTC-USDT", "The market BTC-USDT is"),
        (f"customer:{CUSTOMER}", "This account is"),
    ],
)
def test_is_said_in_words(scope: str, words: str) -> None:
    assert described(checked(scope)) == words


@pytest.mark.parametrize(
    "scope",
    ["", "platform", "asset:", "asset:btc", "customer:7", "wallet:hot\n", "trader-api ", "market:BTC"],
)
def test_that_is_misspelt_is_refused(scope: str) -> None:
    with pytest.raises(BadScope):
        checked(scope)


@given(st.text(max_size=40))
def test_is_known_or_refused(text: str) -> None:
    try:
        assert described(checked(text))
    except BadScope:
        assert text not in ("platform.withdrawals", "trader-api")


def test_of_a_customer_is_made_from_the_id() -> None:
    assert customer(CUSTOMER) == f"customer:{CUSTOMER}"
    with pytest.raises(BadScope):
        customer("x")
