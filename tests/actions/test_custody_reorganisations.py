"""A chain that takes back what was booked …"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from core.freezes.models import Freeze
from core.health import Status
from core.ledger import invariants
from custody import actions, probes, queries, tasks
from custody.actions.claims import StillPayable
from custody.domain.coins import NotEnoughCoins
from custody.domain.payments import CONFIRMED_WITHIN
from custody.models import Deposit, Payment, Utxo, Wallet
from custody.queries.treasury import free_units
from kernel.psbt import Psbt
from kernel.transaction import Output, Transaction
from tests.nodes import Node
from tests.traces import Trace
from tests.treasury import BTC, ROBOT, Treasury, customer_actor, raw_of, trader

pytestmark = pytest.mark.django_db

SMALL = BTC // 100
DEPTHS = (1, 2, 6, 9)


def rival_of(payment: Payment) -> Transaction:
    """Somebody who has our keys, or once had our signatures, spends the same coin."""
    return replace(raw_of(payment), outputs=(Output(1_000, b"\x00\x14" + b"\x01" * 20),))


def stuck(treasury: Treasury) -> str:
    found = probes.read_payments(treasury.now)
    assert (found.status is Status.UP) == (not any(found.facts.values()))
    return found.sentence


@pytest.mark.parametrize("depth", DEPTHS)
def test_is_given_a_payment_again_that_was_settled_and_pays_and_books_it_once(
    treasury: Treasury, node: Node, depth: int
) -> None:
    """The node that has forgotten it (its memory is full, or it is another node) is handed the same bytes."""
    payment = treasury.signed()
    tasks.send(payment.pk, now=treasury.now)
    treasury.mine(raw_of(payment), empty=depth - 1)
    treasury.book()
    before, node.given = treasury.funding().posted.units, []
    is_settled = depth >= 2
    assert queries.payment(payment.pk).owner.state == ("settled" if is_settled else "confirmed")
    tasks.send_again(now=treasury.now)
    assert node.given == []
    treasury.unwind(depth)
    with Trace() as trace:
        tasks.send_again(now=treasury.now)
    assert [each.hex() for each in node.given] == [payment.raw]
    assert trace.events == []
    assert ("1 settled payments that left the chain" in stuck(treasury)) == is_settled
    treasury.mine(raw_of(payment), empty=1)
    treasury.book()
    assert queries.payment(payment.pk).owner.state == "settled"
    assert treasury.funding().posted.units == before - (0 if is_settled else SMALL * 10 + 5_000)
    assert "left the chain" not in stuck(treasury)
    assert not any(invariants.broken().values())


def test_names_a_settled_payment_whose_coin_somebody_took_meanwhile(treasury: Treasury, node: Node) -> None:
    payment = treasury.broadcast()
    treasury.mine(raw_of(payment), empty=5)
    treasury.book()
    treasury.unwind(6)
    treasury.mine(rival_of(payment), empty=5)
    treasury.book()
    assert queries.payment(payment.pk).owner.state == "settled"
    assert "1 settled payments that left the chain" in stuck(treasury)


@pytest.mark.parametrize("asked", [False, True])
def test_gives_a_coin_to_a_rival_before_its_payment_is_signed(
    treasury: Treasury, node: Node, asked: bool
) -> None:
    payment = treasury.signing() if asked else treasury.built()
    rival = replace(
        Psbt.parse_base64(payment.psbt).transaction, outputs=(Output(1_000, b"\x00\x14" + b"\x01" * 20),)
    )
    treasury.mine(rival, empty=1)
    treasury.release(Freeze.objects.get())
    if not asked:
        actions.mark_asked(payment_id=payment.pk, actor=ROBOT, now=treasury.now)
    payment = treasury.sign(payment, "hot-1", "hot-3")
    raw = queries.signed_psbt(payment).finalised().encoded()
    with Trace() as trace:
        actions.store_signed(payment_id=payment.pk, raw=raw, actor=ROBOT, now=treasury.now)
    row = queries.withdrawal(payment.owner.pk)
    assert (row.state, row.reason) == ("conflicted", f"spent by {rival.txid}")
    assert trace.events == ["custody.payment.signed"]
    assert "1 withdrawals with a rival" in stuck(treasury)
    actions.fail_withdrawal(withdrawal_id=row.pk, reason="stolen", actor=ROBOT, now=treasury.now)
    assert treasury.funding().held.units == 0


def test_lends_no_payment_a_deposit_that_is_not_booked(treasury: Treasury, node: Node) -> None:
    """Eve sends coins, has another's withdrawal spend them in the next block, and takes them back: that
    withdrawal could never be paid.
    """
    eve = trader("Eve", tier=2)
    hers = actions.assign_address(
        customer_id=eve.pk, asset="BTC", actor=customer_actor(eve), now=treasury.now
    )
    arriving = treasury.coin(hers.script, 5 * BTC)
    treasury.mine(arriving)
    wallet = queries.wallet_named("hot")
    free = {coin.txid for coin in queries.free_coins(wallet)}
    assert arriving.txid not in free
    assert_sums(wallet)
    payment = treasury.broadcast()
    assert_sums(wallet)
    assert not payment.locks.filter(utxo__txid=arriving.txid).exists()
    with pytest.raises(NotEnoughCoins):
        treasury.psbt_for(treasury.approved(sats=SMALL))
    treasury.mine()
    treasury.book()
    assert arriving.txid in {coin.txid for coin in queries.free_coins(wallet)}
    assert_sums(wallet)


def assert_sums(wallet: Wallet) -> None:
    """What is free comes to what each free coin does."""
    assert free_units(wallet) == sum(coin.units for coin in queries.free_coins(wallet))


def test_names_a_payment_whose_coin_it_took_back(treasury: Treasury, node: Node) -> None:
    """A deposit of six blocks is spent by another's withdrawal, and then paid to somebody else."""
    treasury.mine(empty=4)
    payment = treasury.broadcast()
    treasury.unwind(7)
    assert Deposit.objects.get().state == "missing"
    assert not Utxo.objects.filter(height__isnull=False).exists()
    treasury.mine(empty=8)
    assert "1 payments whose coins left the chain" in stuck(treasury)
    assert "1 credited deposits that left the chain" in stuck(treasury)
    with pytest.raises(StillPayable):
        actions.fail_withdrawal(withdrawal_id=payment.owner.pk, reason="x", actor=ROBOT, now=treasury.now)
    treasury.mine(*treasury.transactions.values(), raw_of(payment), empty=1)
    treasury.book()
    assert queries.payment(payment.pk).owner.state == "settled"
    assert Deposit.objects.get().state == "credited"
    assert not any(invariants.broken().values())


def test_leaves_out_for_a_day_a_payment_and_that_is_told(treasury: Treasury, node: Node) -> None:
    """Its fee is too low for this week's blocks, or the nodes have dropped it."""
    payment = treasury.signed()
    tasks.send(payment.pk, now=treasury.now)
    assert stuck(treasury) == "Every payment and deposit is on its way."
    treasury.now += CONFIRMED_WITHIN
    assert "1 payments signed a day ago and in no block" in stuck(treasury)
    treasury.mine(raw_of(payment))
    assert stuck(treasury) == "Every payment and deposit is on its way."


def test_is_not_followed_by_a_node_that_gives_no_blocks_and_that_is_told(
    treasury: Treasury, settings: object, monkeypatch: pytest.MonkeyPatch, now: datetime
) -> None:
    monkeypatch.setattr(probes, "_is_led", lambda daemon: True)
    late = treasury.now + timedelta(hours=2, seconds=1)
    assert probes.read_watcher(late).status is Status.UP, "on regtest blocks come when somebody mines"
    settings.NETWORK = "mainnet"  # type: ignore[attr-defined]
    assert probes.read_watcher(late - timedelta(seconds=1)).status is Status.UP
    found = probes.read_watcher(late)
    assert found.status is Status.DEGRADED
    assert "No block was read for 120 minutes" in found.sentence
