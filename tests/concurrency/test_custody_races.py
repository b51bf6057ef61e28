"""Customers, officers and workers who act on one withdrawal at the same moment …"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from datetime import datetime
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection

from core import action
from core.approvals.actions import submit_signature
from core.freezes.actions import ask_release, pull_freeze
from core.freezes.models import Freeze
from core.ledger import invariants
from core.ledger.models import JournalEntry
from core.refusals import Refused
from custody import actions, queries, tasks
from custody.actions.asking import LimitReached
from custody.actions.moves import NothingDue
from custody.actions.payments import CoinTaken
from custody.actions.withdrawals import ClientIdUsed
from custody.adapters.bitcoin import Broadcast, Outcome
from custody.models import Address, Payment, Refill, Sweep, UtxoLock, Withdrawal
from kernel.psbt import Psbt
from tests import sweeping
from tests.concurrency.test_freezes_races import Pause
from tests.racing import at_once, closing, done, refused, until_waiting
from tests.stockroom import Lend
from tests.traces import Trace
from tests.treasury import BTC, ROBOT, Treasury, customer_actor, funded, raw_of, signatures, trader

ROUNDS = 3
SMALL = BTC // 100


@pytest.fixture
def treasury(lend_real: Lend, now: datetime) -> Treasury:
    """Committed for real: Tom at tier 2 with one bitcoin."""
    return lend_real(funded, now)


def codes(results: list[Any]) -> set[str]:
    return {refusal.code for refusal in refused(results)}


def test_ask_once_however_often_they_click(treasury: Treasury) -> None:
    for number in range(ROUNDS):
        click = partial(treasury.request, SMALL, client_id=f"click{number}")
        results = at_once(*[click] * 4)
        assert len(done(results)) == 1
        assert codes(results) == {ClientIdUsed.code}
    assert Withdrawal.objects.count() == ROUNDS
    row = Withdrawal.objects.all()[0]
    assert treasury.funding().held.units == ROUNDS * (row.units + row.fee_units)


def test_never_pass_the_limit_together(treasury: Treasury) -> None:
    asks = [partial(treasury.request, BTC // 10, client_id=f"part{number}") for number in range(4)]
    results = at_once(*asks)
    assert len(done(results)) == 1
    assert codes(results) == {LimitReached.code}
    assert queries.used_cents(treasury.tom.pk, now=treasury.now) == 6_000_00


def test_release_it_once(treasury: Treasury) -> None:
    for _ in range(ROUNDS):
        row = treasury.request(SMALL, destination=fresh(treasury))
        actions.report_screening(withdrawal_id=row.pk, hits=[], actor=ROBOT, now=treasury.now)
        release = partial(
            actions.release_from_screening,
            withdrawal_id=row.pk,
            reason="seen",
            actor=treasury.staff.ana.actor,
            now=treasury.now,
        )
        results = at_once(release, release)
        assert len(done(results)) == 1
        assert codes(results) <= {"custody.wrong_state", "conflict", "approval.already_open"}
        assert queries.withdrawal(row.pk).state == "screened"


def test_screen_it_once(treasury: Treasury) -> None:
    row = treasury.request(SMALL)
    screen = partial(actions.report_screening, withdrawal_id=row.pk, hits=[], actor=ROBOT, now=treasury.now)
    assert not refused(at_once(screen, screen))
    assert queries.withdrawal(row.pk).state == "on_hold"


def test_cancel_it_or_approve_it_and_never_both(treasury: Treasury) -> None:
    for _ in range(ROUNDS):
        row = treasury.screened(sats=SMALL, destination=fresh(treasury))
        request, ben, cy = row.request, treasury.staff.ben, treasury.staff.cy
        assert request is not None
        submit_signature(request_id=request.pk, signed=ben.answer(request), actor=ben.actor, now=treasury.now)
        deeds: list[Callable[[], object]] = [
            partial(
                actions.cancel_withdrawal,
                withdrawal_id=row.pk,
                actor=customer_actor(treasury.tom),
                now=treasury.now,
            ),
            partial(
                submit_signature,
                request_id=request.pk,
                signed=cy.answer(request),
                actor=cy.actor,
                now=treasury.now,
            ),
        ]
        results = at_once(*deeds)
        row, before = queries.withdrawal(row.pk), treasury.funding().held.units
        assert len(done(results)) == 1
        assert row.request is not None
        assert (row.state, row.request.state) in {("cancelled", "withdrawn"), ("approved", "approved")}
        if row.state == "approved":
            actions.expire_withdrawal(withdrawal_id=row.pk, actor=ROBOT, now=row.expires_at)
            assert treasury.funding().held.units < before
        assert treasury.funding().held.units == 0


def test_build_one_transaction_for_one_withdrawal(treasury: Treasury) -> None:
    row = treasury.approved(sats=SMALL)
    psbts = [treasury.psbt_for(row, rate=rate) for rate in (2, 3)]
    builds = [
        partial(actions.store_built, owner=row, psbt=psbt, vsize=vsize, actor=ROBOT, now=treasury.now)
        for psbt, vsize in psbts
    ]
    results = at_once(*builds)
    assert not refused(results)
    assert len({payment.pk for payment in done(results)}) == 1
    assert Payment.objects.count() == UtxoLock.objects.count() == 1


@pytest.mark.parametrize("same", [True, False])
def test_never_lock_one_coin_twice(treasury: Treasury, same: bool) -> None:
    for number in range(ROUNDS):
        rows = [treasury.approved(sats=SMALL + (0 if same else place)) for place in range(3)]
        builds = []
        for row in rows:
            psbt, vsize = treasury.psbt_for(row)
            builds.append(
                partial(actions.store_built, owner=row, psbt=psbt, vsize=vsize, actor=ROBOT, now=treasury.now)
            )
        results = at_once(*builds)
        assert len(done(results)) == 1
        assert codes(results) == {CoinTaken.code}
        assert Payment.objects.count() == UtxoLock.objects.count() == number + 1
        treasury.deposit(BTC)


def test_store_one_signed_transaction(treasury: Treasury) -> None:
    payment = treasury.sign(treasury.signing(treasury.approved(sats=SMALL)), "hot-1", "hot-2", "hot-3")
    base = Psbt.parse_base64(payment.psbt)
    raws = []
    for pair in (("hot-1", "hot-2"), ("hot-2", "hot-3")):
        psbt = base
        for token in pair:
            psbt = psbt.with_signatures(
                (item["input"], bytes.fromhex(item["public_key"]), bytes.fromhex(item["signature"]))
                for item in signatures(payment.psbt, token)
            )
        raws.append(psbt.finalised().encoded())
    stores = [
        partial(actions.store_signed, payment_id=payment.pk, raw=raw, actor=ROBOT, now=treasury.now)
        for raw in raws
    ]
    results = at_once(*stores)
    assert not refused(results)
    assert len({row.raw for row in done(results)}) == 1


def test_settle_and_credit_once(treasury: Treasury) -> None:
    payment = treasury.broadcast(treasury.approved(sats=SMALL))
    treasury.mine(raw_of(payment), treasury.coin(Address.objects.get(index=1, wallet__name="hot").script, 7))
    treasury.mine()
    (deposit,) = queries.deposits_due(network="regtest")
    settle = partial(actions.settle_payment, payment_id=payment.pk, actor=ROBOT, now=treasury.now)
    credit = partial(actions.book_deposit, deposit_id=deposit, actor=ROBOT, now=treasury.now)
    deeds: list[Callable[[], object]] = [settle, settle, credit, credit]
    assert not refused(at_once(*deeds))
    assert JournalEntry.objects.filter(kind="custody.withdrawal").count() == 1
    assert JournalEntry.objects.filter(reference=str(deposit)).count() == 1
    assert not any(invariants.broken().values())


def test_send_it_or_freeze_it_and_send_nothing_after_the_freeze(
    treasury: Treasury, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[str] = []

    def broadcast(raw: bytes) -> Broadcast:
        assert (action.is_open(), connection.in_atomic_block) == (False, False)
        given.append(raw.hex())
        return Broadcast(Outcome.ACCEPTED)

    node = SimpleNamespace(broadcast=broadcast, transaction=lambda txid: None)
    monkeypatch.setattr(tasks, "BitcoinNode", lambda url: nullcontext(node))
    for _ in range(ROUNDS):
        payment, now = treasury.signed(treasury.approved(sats=SMALL)), treasury.now
        scope = f"customer:{treasury.tom.pk}"
        pull = partial(pull_freeze, scope=scope, reason="odd", actor=treasury.staff.sam.actor, now=now)
        send = partial(tasks.send, payment.pk, now=now)
        deeds: list[Callable[[], object]] = [send, pull, send]
        assert not refused(at_once(*deeds))
        sent = given.count(payment.raw)
        assert queries.payment(payment.pk).owner.state == ("broadcast" if sent else "signed")
        if not sent:
            tasks.send(payment.pk, now=now)
            assert payment.raw not in given
        release(treasury, Freeze.objects.get(scope=scope, released_at=None))
        tasks.send_unsent(now=now)
        assert queries.payment(payment.pk).owner.state == "broadcast"
        treasury.deposit(BTC)
    payment, pause = treasury.signed(treasury.approved(sats=SMALL)), Pause()

    def slowly(raw: bytes) -> Broadcast:
        pause.here()
        return broadcast(raw)

    monkeypatch.setattr(node, "broadcast", slowly)
    with ThreadPoolExecutor(2) as beside:
        try:
            sent_late = beside.submit(closing(partial(tasks.send, payment.pk, now=now)))
            pause.until_there(sent_late)
            pulled = beside.submit(closing(pull))
            until_waiting([pulled])
            waits = not pulled.done()
        finally:
            pause.end()
        sent_late.result()
        pulled.result()
    assert waits, "the freeze was answered while a node was being given the transaction"


def test_stop_what_is_let_go_at_that_moment(treasury: Treasury) -> None:
    """Sam's own freeze gets its deciding signature while he says once more that it must hold."""
    staff, now, scope = treasury.staff, treasury.now, "asset:ETH"
    pull = partial(pull_freeze, scope=scope, reason="odd", actor=staff.sam.actor, now=now)
    for held in range(1, ROUNDS + 1):
        request = ask_release(freeze_id=pull().pk, reason="fine", actor=staff.sam.actor, now=now)
        first, last = (
            partial(
                submit_signature,
                request_id=request.pk,
                signed=officer.answer(request),
                actor=officer.actor,
                now=now,
            )
            for officer in (staff.ana, staff.ben)
        )
        first()
        deeds: list[Callable[[], object]] = [last, pull]
        assert not refused(at_once(*deeds))
        assert Freeze.objects.filter(scope=scope, released_at=None).count() == 1
        assert Freeze.objects.filter(scope=scope, released_at__isnull=False).count() == held


def release(treasury: Treasury, freeze: Freeze) -> None:
    staff, now = treasury.staff, treasury.now
    request = ask_release(freeze_id=freeze.pk, reason="fine", actor=staff.sam.actor, now=now)
    for officer in (staff.ana, staff.ben):
        submit_signature(request_id=request.pk, signed=officer.answer(request), actor=officer.actor, now=now)


def test_read_each_block_once(treasury: Treasury) -> None:
    block = treasury.block(treasury.coin(Address.objects.get(index=1, wallet__name="hot").script, 9))
    read = partial(actions.read_blocks, blocks=[block], actor=ROBOT, now=treasury.now)
    results = at_once(read, read)
    assert len(done(results)) == 1
    assert codes(results) == {"chain.out_of_place"}


def test_share_no_address(treasury: Treasury) -> None:
    people = [trader(f"T{number}", tier=0) for number in range(3)]
    asks = [
        partial(
            actions.assign_address,
            customer_id=person.pk,
            asset="BTC",
            actor=customer_actor(person),
            now=treasury.now,
        )
        for person in people * 2
    ]
    results = at_once(*asks)
    assert not refused(results)
    assert len({row.pk for row in done(results)}) == 3


def test_propose_one_refill(real_database: str, now: datetime) -> None:
    treasury = Treasury.open(now, refill_below=BTC, target=2 * BTC)
    treasury.fund("cold", 50 * BTC)
    propose = partial(actions.propose_refill, target="hot", source="cold", actor=ROBOT, now=now)
    results: list[Refill | Refused] = at_once(*[propose] * 4)
    assert len(done(results)) == 1
    assert codes(results) == {NothingDue.code}


def test_propose_one_sweep_ask_signers_for_it_once_and_store_one_transaction(
    real_database: str, now: datetime
) -> None:
    treasury = sweeping.full(now)
    propose = partial(actions.propose_sweep, source="hot", target="cold", actor=ROBOT, now=now)
    results: list[Sweep | Refused] = at_once(*[propose] * 4)
    (row,) = done(results)
    assert codes(results) == {NothingDue.code}
    ana = treasury.staff.ana.actor
    treasury.sign_off(actions.request_sweep(sweep_id=row.pk, reason="full", actor=ana, now=now))
    row = queries.sweep(row.pk)
    builds = [
        partial(actions.store_built, owner=row, psbt=psbt, vsize=vsize, actor=ROBOT, now=now)
        for psbt, vsize in (treasury.psbt_for(row, rate=rate) for rate in (2, 3))
    ]
    assert len({payment.pk for payment in done(at_once(*builds))}) == 1
    ask = partial(actions.mark_sweep_asked, sweep_id=row.pk, actor=ROBOT, now=now)
    with Trace() as trace:
        assert {one.state for one in done(at_once(ask, ask))} == {"signing"}
    assert trace.events == ["custody.payment.asked"]


def fresh(treasury: Treasury) -> str:
    """A destination that nobody has used."""
    from devstack.demo.outside import Outsider

    return Outsider.fresh_address()
