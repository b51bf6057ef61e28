"""What was booked as come from the chain, and as paid …"""

from __future__ import annotations

from contextlib import nullcontext, suppress
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command

from core.ledger import AccountKind
from custody import queries
from custody.adapters.reconciler_client import NothingReconciled, reconcile
from custody.daemons import first_rounds, looking, tally
from custody.daemons.shown import Shown
from custody.daemons.tally import Tally
from custody.management.commands import look_first
from custody.models import Address, Deposit, Utxo
from engine_bridge.following import MoreToCompare
from kernel.money import Amount
from tests.lane import Scene
from tests.reconciling import Chain, book, look, reconciled, registry_of
from tests.roles import as_role
from tests.treasury import BTC, trader

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reconciler")]

COINS = 4


@pytest.fixture
def coins() -> int:
    return COINS


def test_shut_the_lane_for_a_deposit_that_never_was_beside_what_hides_it(scene: Scene) -> None:
    """Whoever writes as the worker keeps the wallet's balance so, and the sum of all accounts: by a fee that
    nobody took, or by a payment of somebody else that nobody asked for.
    """
    tom, tia = scene.treasury.tom.pk, trader("Tia", tier=2).pk
    payment = queries.payment_of(row := scene.withdraw())
    assert payment is not None
    scene.confirm(row)
    assert look(scene).agrees
    with as_role("cs_worker"):
        row_of_a_deposit(tia)
        book("custody.deposit", (AccountKind.CUSTOMER_FUNDING, tia, 7), (AccountKind.HOT_WALLET, None, -7))
        book("custody.fee_corrected", (AccountKind.HOT_WALLET, None, 7), (AccountKind.NETWORK_FEES, None, -7))
        book("custody.deposit", (AccountKind.CUSTOMER_FUNDING, tia, 7), (AccountKind.HOT_WALLET, None, -7))
        book("custody.withdrawal", (AccountKind.HOT_WALLET, None, 7), (AccountKind.CUSTOMER_FUNDING, tom, -7))
    broken = look(scene)
    assert (broken.agrees, broken.holds_what_books_say) == (False, True)
    fees = [Amount(units, "BTC") for units in (payment.fee_units + 7, payment.fee_units)]
    assert broken.breaks == [
        f"The deposit {'ab' * 32}:0 has no entry that credits whose address it came to.",
        f"{COINS + 2} deposits are booked, and the chain has {COINS} of them.",
        "2 payments are booked, and the chain has 1 of them.",
        f"Network fees are {fees[0]} BTC in the ledger, and the chain's come to {fees[1]} BTC.",
    ]


def test_shut_the_lane_for_coins_that_are_credited_to_another_than_whose_address_they_came_to(
    scene: Scene, chain: Chain
) -> None:
    """Whoever writes as the worker books it first: coins, counts and sums are those of the chain."""
    tia = trader("Tia", tier=2).pk
    script = Address.objects.get(customer=scene.treasury.tom.pk).script
    coins = [scene.treasury.coin(script, BTC // 8) for _ in range(3)]
    chain.mine(scene, *coins, empty=1)
    taken = [Deposit.objects.get(txid=coin.txid).pk for coin in coins[1:]]
    with as_role("cs_worker"):
        legs = (AccountKind.CUSTOMER_FUNDING, tia, BTC // 8), (AccountKind.HOT_WALLET, None, -BTC // 8)
        book("custody.deposit", *legs, reference=taken[0])
        book("custody.deposit", *legs)  # and the row of the other coin has no entry at all
        Deposit.objects.filter(pk__in=taken).update(state="credited", credited_at=scene.treasury.now)
    scene.treasury.book()
    broken = look(scene)
    assert (broken.agrees, broken.holds_what_books_say) == (False, True)
    *named, counted = broken.breaks
    assert set(named) == {
        f"The deposit {coin.txid}:0 has no entry that credits whose address it came to." for coin in coins[1:]
    }
    assert counted == f"{COINS + 3} deposits are booked, and the chain has {COINS + 1} of them."


def row_of_a_deposit(customer: UUID) -> None:
    """Of a coin that never was, as the watcher would write it."""
    address = Address.objects.filter(wallet__name="hot", index__gt=0).order_by("index")[1]
    now = datetime.now(UTC)
    coin = Utxo.objects.create(
        wallet=address.wallet,
        address=address,
        txid="ab" * 32,
        vout=0,
        units=7,
        height=1,
        spent_in=1,
        spent_by="x",
    )
    Deposit.objects.create(
        coin=coin,
        address=address,
        customer_id=customer,
        asset="BTC",
        units=7,
        txid=coin.txid,
        vout=0,
        height=1,
        state="credited",
        seen_at=now,
        credited_at=now,
    )


def test_are_looked_for_on_the_chain_once_and_some_at_a_time(
    scene: Scene, chain: Chain, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: Any
) -> None:
    scene.confirm(scene.withdraw())
    monkeypatch.setattr(looking, "AT_ONCE", COINS)
    monkeypatch.setattr(looking, "FOR_S", 0)
    path = tmp_path / "shown"
    reconciled(scene, chain, monkeypatch, shown=Shown(path))
    with pytest.raises(NothingReconciled, match=f"{COINS} bookings were looked for, and more wait"):
        reconcile(settings.RECONCILER_SOCKET, "hot")
    agreed: list[bool] = []
    looks = 0
    while not agreed:
        looks += 1
        reconciled(scene, chain, monkeypatch, shown=Shown(path))  # another process goes on
        with suppress(NothingReconciled):
            agreed.append(reconcile(settings.RECONCILER_SOCKET, "hot").agrees)
        assert looks < 10
    assert looks > 2
    assert agreed == [True]
    assert look(scene).agrees
    reconciled(scene, chain, monkeypatch, shown=Shown(path))
    chain.scene = None  # the node has forgotten all of them
    assert look(scene).agrees
    monkeypatch.setattr(looking, "FOR_S", 60)
    reconciled(scene, chain, monkeypatch)
    chain.scene = None
    assert len(look(scene).breaks) == 3


class Venue:
    """A venue of two pieces, one a look; the process ends once, between them."""

    looks = 0

    def __init__(self, target: str, followed: object) -> None:
        pass

    def breaks(self) -> list[str]:
        Venue.looks += 1
        if Venue.looks == 2:
            raise RuntimeError("killed")
        if Venue.looks == 3:
            raise MoreToCompare("1 balances at the venue were compared, and more wait")
        return []


def test_are_looked_for_beside_the_reconciler_that_runs_so_that_the_next_ones_first_look_is_whole(
    scene: Scene, chain: Chain, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    scene.confirm(scene.withdraw())
    chain.scene = scene
    for room, name, value in (
        *((looking, "AT_ONCE", 1), (looking, "FOR_S", 0), (tally, "PIECE", 1), (tally, "FOR_S", 0)),
        *((first_rounds, "Following", Venue), (look_first, "BitcoinNode", lambda url: nullcontext(chain))),
        (look_first.Registry, "parse", lambda raw: registry_of(scene)),
    ):
        monkeypatch.setattr(room, name, value)
    monkeypatch.setattr(Venue, "looks", 0)
    running, folder, said = tmp_path / "running", tmp_path / "new", StringIO()
    for made in (running, folder):
        made.mkdir()
    Shown(running / "shown").add_payment("coin:0", "shown", 5)
    first: dict[str, Any] = {"running": running, "registry": Path(__file__), "stdout": said}
    with pytest.raises(CommandError, match="a folder of its own"):
        call_command("look_first", folder=running, **first)
    with pytest.raises(RuntimeError, match="killed"):
        call_command("look_first", folder=folder, **first)
    call_command("look_first", folder=folder, **first)
    lines = said.getvalue().splitlines()
    assert lines[0] == "what the chain has shown was copied"
    assert "accounts were counted" in lines[1]
    assert "bookings were looked for" in lines[1]
    assert [line for line in lines if "1 balances at the venue were compared" in line]
    assert [line.endswith("all was looked at once") for line in lines][-2:] == [False, True]
    assert Shown(folder / "shown").has_payment("shown")
    assert Shown(running / "shown").round() is None, "it is as the one that runs knows it"
    (folder / "shown").unlink()  # of which one payment was no booking of ours
    call_command("look_first", folder=folder, **{**first, "running": None})
    reconciled(scene, chain, monkeypatch, shown=Shown(folder / "shown"), tally=Tally(folder / "tally"))
    assert look(scene).agrees


def test_count_a_payment_once_whichever_version_the_chain_has(tmp_path: Path) -> None:
    shown = Shown(tmp_path / "shown")
    shown.add_payment("coin:0", "first", 200)
    shown.add_payment("coin:0", "dearer", 300)
    shown.add_payment("coin:1", "other", 50)
    for one in (shown, Shown(tmp_path / "shown")):
        assert (one.payments, one.fees) == (2, 350)
        assert [one.has_payment(txid) for txid in ("first", "dearer", "other")] == [False, True, True]
