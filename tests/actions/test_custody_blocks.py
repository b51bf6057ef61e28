"""A block …"""

from __future__ import annotations

from datetime import datetime

import pytest

from core import ledger
from core.freezes import Frozen, check
from core.freezes.domain import scopes
from core.ledger import AccountKind, invariants
from custody import actions, queries
from custody.actions.blocks import OutOfPlace
from custody.actions.settling import NotDeepEnough
from custody.domain.chain import SeenBlock
from custody.models import Address, Block, Deposit, Utxo
from kernel.transaction import Input, Outpoint, Output, Transaction
from tests.stockroom import Lend
from tests.traces import Trace
from tests.treasury import BTC, ROBOT, Treasury, customer_actor, raw_of, trader

pytestmark = pytest.mark.django_db


@pytest.fixture
def treasury(lend: Lend, now: datetime) -> Treasury:
    return lend(Treasury.open, now)


def address(treasury: Treasury) -> Address:
    return actions.assign_address(
        customer_id=treasury.tom.pk, asset="BTC", actor=customer_actor(treasury.tom), now=treasury.now
    )


def test_shows_a_deposit_and_credits_it_once_it_is_deep(treasury: Treasury) -> None:
    made = treasury.coin(address(treasury).script, BTC)
    with Trace() as trace:
        treasury.mine(made)
    deposit = Deposit.objects.get()
    assert (deposit.state, deposit.customer_id, deposit.units) == ("seen", treasury.tom.pk, BTC)
    assert trace.events == ["custody.block.read"]
    assert trace.topics == ["custody.block_read"]
    assert queries.deposits_due(network="regtest") == []
    with pytest.raises(NotDeepEnough):
        actions.book_deposit(deposit_id=deposit.pk, actor=ROBOT, now=treasury.now)
    treasury.mine()
    assert queries.deposits_due(network="regtest") == [deposit.pk]
    with Trace() as trace:
        deposit = actions.book_deposit(deposit_id=deposit.pk, actor=ROBOT, now=treasury.now)
    assert (deposit.state, queries.confirmations_of(deposit)) == ("credited", 2)
    assert treasury.funding().available.units == BTC
    assert trace.events == ["custody.deposit.booked"]
    assert trace.topics == ["custody.deposit_booked"]
    with Trace() as again:
        actions.book_deposit(deposit_id=deposit.pk, actor=ROBOT, now=treasury.now)
    assert again.events == []


def test_leaves_coins_that_nobody_owns_in_suspense(treasury: Treasury) -> None:
    treasury.fund("cold", BTC)
    deposit = Deposit.objects.get()
    assert (deposit.state, deposit.customer) == ("in_suspense", None)
    balances = {
        kind: ledger.balance(ledger.account(kind, "BTC")).posted.units
        for kind in (AccountKind.SUSPENSE, AccountKind.COLD_WALLET, AccountKind.HOT_WALLET)
    }
    assert balances == {AccountKind.SUSPENSE: BTC, AccountKind.COLD_WALLET: BTC, AccountKind.HOT_WALLET: 0}
    assert not any(invariants.broken().values())


def test_credits_each_output_of_one_transaction(treasury: Treasury) -> None:
    tia = trader("Tia", tier=2)
    hers = actions.assign_address(
        customer_id=tia.pk, asset="BTC", actor=customer_actor(tia), now=treasury.now
    )
    outputs = tuple(
        Output(sats, bytes.fromhex(script))
        for sats, script in ((5, address(treasury).script), (7, hers.script), (11, address(treasury).script))
    )
    treasury.mine(Transaction((Input(Outpoint("33" * 32, 0)),), outputs), empty=1)
    treasury.book()
    assert treasury.funding().posted.units == 16
    assert treasury.funding(tia).posted.units == 7


def test_does_not_take_our_own_change_for_a_deposit(treasury: Treasury) -> None:
    treasury.deposit(BTC)
    payment = treasury.broadcast()
    treasury.mine(raw_of(payment), empty=1)
    treasury.book()
    assert Deposit.objects.count() == 1
    change = Utxo.objects.get(txid=payment.txid)
    assert (change.units, change.address.index) == (payment.change_units, 0)


@pytest.mark.parametrize("fault", ["height", "previous"])
def test_out_of_place_is_not_read(treasury: Treasury, fault: str) -> None:
    treasury.mine()
    good = treasury.block()
    bad = SeenBlock(
        height=good.height + (fault == "height"),
        hash=good.hash,
        previous="ff" * 32 if fault == "previous" else good.previous,
    )
    with Trace() as trace, pytest.raises(OutOfPlace):
        actions.read_blocks(blocks=[bad], actor=ROBOT, now=treasury.now)
    trace.only_refused("custody.block.read")
    assert Block.objects.count() == 1


def test_is_read_with_all_its_batch_or_not_at_all(treasury: Treasury) -> None:
    first = treasury.block(treasury.coin(address(treasury).script, BTC))
    second = SeenBlock(height=5, hash="5" * 64, previous=first.hash)
    with pytest.raises(OutOfPlace):
        actions.read_blocks(blocks=[first, second], actor=ROBOT, now=treasury.now)
    assert not Block.objects.exists()
    assert not Utxo.objects.exists()


def test_taken_back_takes_a_deposit_with_it_that_was_only_seen(treasury: Treasury) -> None:
    made = treasury.coin(address(treasury).script, BTC)
    treasury.mine()
    treasury.mine(made)
    with Trace() as trace:
        treasury.unwind()
    deposit = Deposit.objects.get()
    assert (deposit.state, deposit.height) == ("orphaned", None)
    assert not queries.free_coins(queries.wallet_named("hot")).exists()
    assert trace.events == ["custody.block.unwound"]
    assert trace.topics == ["custody.block_read"]
    treasury.mine(made, empty=1)
    treasury.book()
    assert Deposit.objects.get().state == "credited"
    assert treasury.funding().posted.units == BTC


def test_taken_back_after_crediting_freezes_the_customer_and_credits_nothing_twice(
    treasury: Treasury,
) -> None:
    made = treasury.deposit(BTC)
    treasury.unwind()
    treasury.unwind()
    assert Deposit.objects.get().state == "missing"
    assert treasury.funding().posted.units == BTC
    with pytest.raises(Frozen):
        check(scopes.customer(treasury.tom.pk))
    treasury.mine(made, empty=1)
    treasury.book()
    assert Deposit.objects.get().state == "credited"
    assert treasury.funding().posted.units == BTC
    assert not any(invariants.broken().values())


def test_is_taken_back_from_the_top_only(treasury: Treasury) -> None:
    treasury.mine(empty=2)
    lower = Block.objects.get(height=1)
    with pytest.raises(OutOfPlace):
        actions.unwind_block(block_hash=lower.hash, actor=ROBOT, now=treasury.now)


def test_freezes_the_wallet_when_a_coin_leaves_by_a_foreign_transaction(treasury: Treasury) -> None:
    made = treasury.deposit(BTC)
    theft = Transaction((Input(Outpoint(made.txid, 0)),), (Output(BTC, b"\x00\x14" + b"\x02" * 20),))
    with Trace() as trace:
        treasury.mine(theft)
    assert trace.events == ["freezes.freeze.pulled", "custody.block.read"]
    with pytest.raises(Frozen, match="wallet hot"):
        check("wallet:hot")
    coin = Utxo.objects.get()
    assert (coin.spent_by, coin.spent_in) == (theft.txid, queries.tip_height())


def test_spends_what_it_has_itself_received(treasury: Treasury) -> None:
    made = treasury.coin(address(treasury).script, BTC)
    onward = Transaction((Input(Outpoint(made.txid, 0)),), (Output(BTC, b"\x00\x14" + b"\x02" * 20),))
    treasury.mine(made, onward)
    assert Utxo.objects.get().spent_by == onward.txid
