"""A sweep …"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from core import ledger
from core.freezes import Frozen
from core.freezes.actions import pull_freeze
from core.ledger import AccountKind, invariants
from core.outbox.models import OutboxMessage
from core.refusals import NotAllowed
from custody import actions, queries, subscribers, tasks, tending_tasks
from custody.actions.moves import NothingDue, Outdated
from custody.actions.payments import NotAsApproved
from custody.domain import coins, sweeps
from custody.domain.withdrawals import CLOCKS_DIFFER_MAX
from custody.events import SweepMoved
from custody.models import PaymentPolicy, Sweep, UtxoLock, Wallet
from custody.models.moving import WrongState
from kernel.intent import SWEEP, Intent
from kernel.money import Amount
from tests import refilling
from tests.nodes import Node
from tests.stockroom import Lend
from tests.sweeping import HOT, asked, built, full, signed
from tests.traces import Trace
from tests.treasury import BTC, ROBOT, Treasury, raw_of

pytestmark = pytest.mark.django_db

DUE = Amount(6 * BTC - sweeps.FEE_CAP.units, "BTC")


@pytest.fixture
def treasury(lend: Lend, now: datetime) -> Treasury:
    return lend(full, now)


def propose(treasury: Treasury) -> Sweep:
    return actions.propose_sweep(source="hot", target="cold", actor=ROBOT, now=treasury.now)


def emptier(treasury: Treasury) -> None:
    """What lies in the hot wallet is what treasury wants there by now."""
    treasury.fund("cold", 200 * BTC)
    Wallet.objects.filter(name="hot").update(target=9 * BTC)


def test_is_proposed_once_back_to_the_target_at_address_0_of_the_cold_wallet(treasury: Treasury) -> None:
    with Trace() as trace:
        tending_tasks.look_for_sweep(now=treasury.now)
    row = Sweep.objects.get()
    cold = queries.wallet_named("cold")
    assert (row.state, row.amount, row.target) == ("proposed", DUE, cold)
    assert row.destination == cold.addresses.get(index=0).address
    assert trace.events == ["custody.sweep.proposed"]
    assert trace.topics == ["custody.sweep_moved"]
    tending_tasks.look_for_sweep(now=treasury.now)
    with Trace() as trace, pytest.raises(NothingDue):
        propose(treasury)
    trace.only_refused("custody.sweep.proposed")


def test_is_not_proposed_while_the_wallet_is_not_full_nor_where_no_registry_says_who_approves(
    treasury: Treasury,
) -> None:
    policies = PaymentPolicy.objects.filter(kind=SWEEP)
    (kept,) = policies.values()
    policies.delete()
    tending_tasks.look_for_sweep(now=treasury.now)
    PaymentPolicy.objects.create(**kept)
    emptier(treasury)
    tending_tasks.look_for_sweep(now=treasury.now)
    assert not Sweep.objects.exists()
    with pytest.raises(NothingDue):
        propose(treasury)


def test_waits_for_a_refill_that_somebody_asked_for_and_for_no_mere_proposal(now: datetime) -> None:
    treasury = refilling.low(now)
    refill = treasury.refill_requested()
    treasury.deposit(8 * BTC)
    with pytest.raises(NothingDue):
        propose(treasury)
    request = refill.request
    assert request is not None
    late = request.approve_by + timedelta(days=9)
    type(refill).objects.filter(pk=refill.pk).update(state="expired")
    assert propose(treasury).state == "proposed", late


def test_becomes_a_request_of_the_officer_who_adopts_it_and_of_nobody_else(treasury: Treasury) -> None:
    row, staff = propose(treasury), treasury.staff
    for who in (staff.ben, staff.dot, staff.eve, staff.sam):
        with pytest.raises(NotAllowed):
            actions.request_sweep(sweep_id=row.pk, reason="full", actor=who.actor, now=treasury.now)
    with Trace() as trace:
        row = actions.request_sweep(
            sweep_id=row.pk, reason="hot is full", actor=staff.ana.actor, now=treasury.now
        )
    assert row.request is not None
    meant = Intent.parse(bytes(row.request.payload))
    assert (row.state, row.maker) == ("requested", staff.ana.identity)
    assert (meant.kind, meant.amount, meant.source) == (SWEEP, DUE, "hot")
    assert (meant.destination, meant.reference, meant.customer) == (row.destination, row.pk, None)
    assert trace.events == ["approvals.request.opened", "custody.sweep.requested"]


def test_is_put_aside_with_a_reason_and_refused_once_the_wallets_hold_something_else(
    treasury: Treasury,
) -> None:
    row, ana = propose(treasury), treasury.staff.ana.actor
    actions.dismiss_sweep(sweep_id=row.pk, reason="audit week", actor=ana, now=treasury.now)
    row = propose(treasury)
    emptier(treasury)
    with Trace() as trace, pytest.raises(Outdated):
        actions.request_sweep(sweep_id=row.pk, reason="hot is full", actor=ana, now=treasury.now)
    trace.only_refused("custody.sweep.requested")


@pytest.mark.parametrize("scope", ["wallet:cold", "wallet:hot", "asset:BTC"])
def test_stops_at_a_freeze_before_it_is_asked_for_and_before_signers_see_it(
    treasury: Treasury, scope: str
) -> None:
    row, sam, ana = propose(treasury), treasury.staff.sam.actor, treasury.staff.ana.actor
    pulled = pull_freeze(scope=scope, reason="odd", actor=sam, now=treasury.now)
    with pytest.raises(Frozen):
        actions.request_sweep(sweep_id=row.pk, reason="hot is full", actor=ana, now=treasury.now)
    treasury.release(pulled)
    row = actions.request_sweep(sweep_id=row.pk, reason="hot is full", actor=ana, now=treasury.now)
    treasury.sign_off(row)
    treasury.built(queries.sweep(row.pk))
    pull_freeze(scope=scope, reason="odd", actor=sam, now=treasury.now)
    with Trace() as trace, pytest.raises(Frozen):
        actions.mark_sweep_asked(sweep_id=row.pk, actor=ROBOT, now=treasury.now)
    trace.only_refused("custody.payment.asked")


def test_moves_the_coins_and_is_shown_on_its_way_until_a_block_has_it(treasury: Treasury) -> None:
    row, payment = signed(treasury)
    hot, _ = queries.all_standings()
    assert (row.state, hot.leaving, hot.is_full) == ("broadcast", DUE, False)
    assert queries.refill_need(hot.wallet, row.target) is None, "what is left is the target"
    treasury.mine(raw_of(payment), empty=1)
    treasury.book()
    hot, cold = queries.all_standings()
    assert (queries.sweep(row.pk).state, hot.leaving.units) == ("settled", 0)
    assert hot.total + payment.fee == Amount(2 * BTC + sweeps.FEE_CAP.units, "BTC")
    for standing, kind in ((hot, AccountKind.HOT_WALLET), (cold, AccountKind.COLD_WALLET)):
        assert ledger.balance(ledger.account(kind, "BTC")).posted == standing.total
    assert ledger.balance(ledger.account(AccountKind.NETWORK_FEES, "BTC")).posted == payment.fee
    assert not any(invariants.broken().values())
    assert queries.sweep_due(hot.wallet) is None


def test_goes_on_from_wherever_a_worker_died_and_takes_no_step_twice(treasury: Treasury) -> None:
    """Every message ever sent is delivered again after each step; what is over stays over."""
    seen: set[str] = set()

    def deliver_again(row: Sweep) -> None:
        seen.add(row.state)
        before = queries.sweep(row.pk).state
        with Trace() as trace:
            for state in seen - {"approved", "signing", "signed"}:  # these ask outside, below
                subscribers.move_sweep(SweepMoved(sweep=row.pk, state=state), now=treasury.now)
        assert (queries.sweep(row.pk).state, trace.events) == (before, []), before

    row = treasury.sweep_requested()
    deliver_again(row)
    treasury.sign_off(row)
    payment = treasury.built(queries.sweep(row.pk))
    psbt, vsize = payment.psbt, payment.vsize
    for _ in range(2):
        subscribers.move_sweep(SweepMoved(sweep=row.pk, state="built"), now=treasury.now)
    row = queries.sweep(row.pk)
    assert row.state == "signing"
    deliver_again(row)
    again = actions.store_built(owner=row, psbt=psbt, vsize=vsize, actor=ROBOT, now=treasury.now)
    assert again.pk == payment.pk
    for _ in range(2):
        treasury.sign(payment, *HOT)
        raw = queries.signed_psbt(payment).finalised().encoded()
        actions.store_signed(payment_id=payment.pk, raw=raw, actor=ROBOT, now=treasury.now)
        actions.report_broadcast(payment_id=payment.pk, actor=ROBOT, now=treasury.now)
        deliver_again(queries.sweep(row.pk))
    treasury.mine(raw_of(queries.payment(payment.pk)), empty=1)
    for _ in range(2):
        treasury.book()
        deliver_again(queries.sweep(row.pk))
    assert queries.sweep(row.pk).state == "settled"
    told = OutboxMessage.objects.filter(topic="custody.sweep_moved").count()
    assert told == len(["proposed", "requested", "approved", "built", "signing", "signed", "broadcast"]) + 2


def test_is_given_up_before_signers_see_it_once_the_wallet_is_not_full_any_more(treasury: Treasury) -> None:
    row, payment = built(treasury)
    emptier(treasury)
    with Trace() as trace:
        row = actions.mark_sweep_asked(sweep_id=row.pk, actor=ROBOT, now=treasury.now)
    assert (row.state, trace.events) == ("failed", ["custody.sweep.failed"])
    assert not UtxoLock.objects.filter(payment=payment, released_at=None).exists()
    with Trace() as trace:
        assert actions.mark_sweep_asked(sweep_id=row.pk, actor=ROBOT, now=treasury.now).state == "failed"
    assert trace.events == []


def test_waits_with_a_wallet_of_one_coin_while_somebody_is_to_be_paid(now: datetime) -> None:
    treasury = Treasury.open(now, refill_below=BTC, target=2 * BTC)
    treasury.deposit(8 * BTC)
    treasury.fund("cold", 92 * BTC)
    row = treasury.sweep_requested()
    treasury.sign_off(row)
    asked_for = treasury.request(BTC // 10)
    with pytest.raises(coins.NotEnoughCoins):
        treasury.psbt_for(queries.sweep(row.pk))
    actions.cancel_withdrawal(
        withdrawal_id=asked_for.pk, actor=replace(ROBOT, identity=treasury.tom.pk), now=now
    )
    assert treasury.built(queries.sweep(row.pk)).wallet.name == "hot"


def test_takes_a_fee_for_six_blocks_and_waits_where_that_is_above_its_cap(
    treasury: Treasury, monkeypatch: pytest.MonkeyPatch
) -> None:
    within = []

    class Dear(Node):
        def fee_rate(self, *, within_blocks: int) -> int | None:
            within.append(within_blocks)
            return 10_000

    monkeypatch.setattr(tasks, "BitcoinNode", lambda url: nullcontext(Dear()))
    row = treasury.sweep_requested()
    treasury.sign_off(row)
    with pytest.raises(coins.FeeAboveCap):
        tasks.build(queries.sweep(row.pk), now=treasury.now)
    assert (within, queries.sweep(row.pk).state) == ([6], "approved")


def test_is_refused_once_too_few_signers_are_left_asked_again_by_treasury_and_lapses_with_its_approval(
    treasury: Treasury,
) -> None:
    row, payment = asked(treasury)
    ana, ben = treasury.staff.ana.actor, treasury.staff.ben.actor

    def refuse(token: str) -> str:
        actions.report_refusal(
            payment_id=payment.pk, token=token, code="SIGNER_FROZEN", detail="", actor=ROBOT, now=treasury.now
        )
        return str(queries.sweep(row.pk).state)

    assert [refuse("hot-1"), refuse("hot-2")] == ["signing", "refused"]
    with pytest.raises(WrongState):
        actions.fail_sweep(sweep_id=row.pk, reason="enough", actor=ana, now=treasury.now)
    with pytest.raises(NotAllowed):
        actions.ask_sweep_again(sweep_id=row.pk, reason="released", actor=ben, now=treasury.now)
    treasury.now += timedelta(seconds=1)
    with Trace() as trace:
        actions.ask_sweep_again(sweep_id=row.pk, reason="released", actor=ana, now=treasury.now)
    assert (queries.sweep(row.pk).state, trace.events) == ("signing", ["custody.payment.asked"])
    with pytest.raises(NotAsApproved):
        actions.ask_sweep_again(sweep_id=row.pk, reason="released", actor=ana, now=treasury.now)
    assert row.expires_at is not None
    treasury.now = row.expires_at + CLOCKS_DIFFER_MAX - timedelta(seconds=1)
    tending_tasks.tend_all(now=treasury.now)
    assert queries.sweep(row.pk).state == "signing"
    treasury.now += timedelta(seconds=1)
    tending_tasks.tend_all(now=treasury.now)
    assert queries.sweep(row.pk).state == "lapsed"
    assert not UtxoLock.objects.filter(payment=payment, released_at=None).exists()
    treasury.sign(payment, *HOT)  # whoever had the signatures sends it after all
    treasury.mine(queries.signed_psbt(payment).finalised(), empty=1)
    treasury.book()
    assert queries.sweep(row.pk).state == "settled"
    assert not any(invariants.broken().values())
