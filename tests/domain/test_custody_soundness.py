"""What is not sound in the books …"""

from __future__ import annotations

from dataclasses import replace

from custody.domain import booked
from custody.domain.booked import Booked
from custody.domain.reconciliations import Whole, breaks

SOUND = Whole(
    elsewhere=300,
    credited={"BTC": 50, "USDT": 0},
    left={"BTC": 0, "USDT": 0},
    lowest={("BTC", "customer_funding"): 0, ("USDT", "suspense"): 0, ("BTC", "network_fees"): 2},
)


def told(whole: Whole, *, elsewhere: int = 300, signed: int = 50) -> list[str]:
    return breaks(whole, elsewhere=elsewhere, signed={"BTC": signed})


def test_is_nothing_where_each_part_is_what_another_says() -> None:
    assert told(SOUND) == []


def test_is_said_to_the_unit_either_way() -> None:
    assert told(SOUND, elsewhere=301) == [
        (
            "The other wallets hold 0.00000301 BTC on the chain, the books say 0.000003 BTC: "
            "0.00000001 BTC too much."
        )
    ]
    assert told(SOUND, signed=51) == [
        (
            "Credits against no coins are 0.0000005 BTC in the ledger, and officers signed for 0.00000051"
            " BTC: 0.00000001 BTC too little."
        )
    ]


def test_is_an_account_that_pays_out_of_nothing() -> None:
    lowest = {**SOUND.lowest, ("BTC", "suspense"): -1}
    assert told(replace(SOUND, lowest=lowest)) == [
        "An account of the kind suspense stands at -0.00000001 BTC, below nothing."
    ]


def test_is_a_sum_that_is_not_nothing() -> None:
    assert told(replace(SOUND, left={"BTC": -7, "USDT": 7})) == [
        "All accounts of BTC together are -0.00000007 BTC, and not nothing.",
        "All accounts of USDT together are 0.000007 USDT, and not nothing.",
    ]


def test_is_all_of_it_at_once() -> None:
    lowest = {("BTC", "suspense"): -1}
    assert len(told(Whole(elsewhere=1, credited={"ETH": 1}, left={"BTC": 1}, lowest=lowest))) == 5


def test_is_what_the_books_have_of_the_chain_and_the_chain_has_not() -> None:
    books = Booked(deposits=3, payments=2, fees=500)
    agreed = {"deposits": 3, "payments": 2, "fees": 500}
    assert booked.breaks(books, **agreed) == []
    for name, fewer, said in (
        ("deposits", 2, "3 deposits are booked, and the chain has 2 of them."),
        ("payments", 3, "2 payments are booked, and the chain has 3 of them."),
        (
            "fees",
            499,
            "Network fees are 0.000005 BTC in the ledger, and the chain's come to 0.00000499 BTC.",
        ),
    ):
        assert booked.breaks(books, **{**agreed, name: fewer}) == [said]
