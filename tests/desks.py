"""A signer in this process that pays without officers, and what it is asked to pay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.customers import DAY, SITE, Customer, Reconciler, payout, section, unattended
from tests.messages import request
from tests.softtoken import Desk, SoftToken, hot_registry


def desk_with_lane(folder: Path, *, token: str = "hot-1", **changes: Any) -> Desk:
    registry = hot_registry(lanes={"hot": section(**changes)}, customers=SITE)
    return Desk(folder / token, registry=registry, token=SoftToken(token))


def seasoned_desk(folder: Path) -> Desk:
    """A signer that has known Tom's key and destination for long, with fresh word that the books agree."""
    desk = desk_with_lane(folder)
    assert desk.ask(Customer().key()) == {
        "v": 1,
        "type": "learnt",
        "token": "hot-1",
        "new": True,
        "alert": "",
    }
    assert desk.code(Customer().beneficiary()) == "learnt"
    desk.now += 2 * DAY
    assert attest(desk) == "attested"
    return desk


def attest(desk: Desk, **changes: Any) -> str:
    return desk.code(Reconciler().attests(desk.in_hours(0), **changes))


def outstanding(*desks: Desk) -> dict[str, str]:
    """What an attestation names once the chain has all that they signed: each coin, and what spent it."""
    return {
        coin: txid
        for desk in desks
        for txid, one in desk.signer.memory.outstanding.spends.items()
        for coin in one.coins
    }


def pay(desk: Desk, coins: Any = None, fee: int = 2_000, **changes: Any) -> str:
    intent = payout(**{"expires": desk.in_hours(1), **changes})
    return desk.code(unattended(request(desk.registry, [intent], coins=coins, fee=fee)))
