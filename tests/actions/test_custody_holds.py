"""A payment that is signed while a freeze covers it …"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from core.action import action
from core.actor import Actor
from core.freezes.actions import pull_freeze
from core.freezes.models import Freeze
from core.outbox.models import Delivery
from core.staff.actions import suspend_person
from custody import actions, queries, tasks
from custody.adapters.bitcoin import Outcome
from custody.domain.limits import Quote
from custody.events import WithdrawalMoved
from custody.models import Payment
from custody.subscribers import move_withdrawal
from customers.actions import set_tier
from customers.domain import links
from customers.events import Event
from tests.nodes import Node
from tests.traces import Trace
from tests.traders import new_password
from tests.treasury import BTC, PRICE_CENTS, ROBOT, Treasury, raw_of

pytestmark = pytest.mark.django_db

SMALL = BTC // 100


def pull(treasury: Treasury, scope: str) -> Freeze:
    return pull_freeze(scope=scope, reason="odd", actor=treasury.staff.sam.actor, now=treasury.now)


def state(payment: Payment) -> str:
    return str(queries.payment(payment.pk).owner.state)


@pytest.mark.parametrize("scope", ["platform.withdrawals", "asset:BTC", "wallet:hot", "customer:{}"])
def test_is_held_until_the_last_release_and_then_goes_on_by_itself(
    treasury: Treasury, node: Node, drain_outbox: Callable[..., int], scope: str
) -> None:
    payment = treasury.signed()
    first, second = pull(treasury, scope.format(treasury.tom.pk)), pull(treasury, "asset:BTC")
    with Trace() as trace:
        drain_outbox()
        tasks.send_again(now=treasury.now)
    assert (state(payment), node.given, trace.events) == ("signed", [], [])
    assert queries.held_by(payment) == sorted({first, second}, key=lambda one: (one.pulled_at, one.pk))
    treasury.release(first)
    drain_outbox()
    assert len(node.given) == (first == second)
    if first != second:
        treasury.release(second)
        drain_outbox()
    assert (state(payment), node.given) == ("broadcast", [bytes.fromhex(payment.raw)])
    assert queries.held_by(queries.payment(payment.pk)) == []


def test_is_not_held_by_what_does_not_cover_it(treasury: Treasury, node: Node) -> None:
    payment = treasury.signed()
    for scope in ("trader-api", "asset:USDT", "wallet:cold", f"customer:{payment.pk}", "market:BTC-USDT"):
        pull(treasury, scope)
    with Trace() as trace:
        tasks.send(payment.pk, now=treasury.now)
    assert (state(payment), len(node.given)) == ("broadcast", 1)
    assert trace.events == ["custody.payment.handed", "custody.payment.broadcast"]


def test_is_held_where_the_freeze_comes_between_the_note_and_the_call(
    treasury: Treasury, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment, note = treasury.signed(), actions.mark_handed

    def noted(**arguments: Any) -> Payment:
        row = note(**arguments)
        pull(treasury, "platform.withdrawals")
        return row

    monkeypatch.setattr(actions, "mark_handed", noted)
    tasks.send(payment.pk, now=treasury.now)
    assert (state(payment), node.given) == ("signed", [])


def test_is_sent_again_once_the_network_has_it(treasury: Treasury, node: Node) -> None:
    payment = treasury.signed()
    tasks.send(payment.pk, now=treasury.now)
    pull(treasury, "platform.withdrawals")
    tasks.send_again(now=treasury.now)
    assert node.given == [bytes.fromhex(payment.raw)] * 2


def test_that_a_node_got_without_an_answer_is_held_and_reported_once_the_network_shows_it(
    treasury: Treasury, node: Node
) -> None:
    payment = treasury.signed()
    node.outcome = Outcome.UNKNOWN
    with pytest.raises(tasks.NotDelivered):
        tasks.send(payment.pk, now=treasury.now)
    assert queries.payment(payment.pk).handed_at == treasury.now
    pull(treasury, "wallet:hot")
    with pytest.raises(tasks.NotDelivered):
        tasks.send(payment.pk, now=treasury.now)
    node.outcome = Outcome.ACCEPTED
    tasks.send(payment.pk, now=treasury.now)
    assert (state(payment), len(node.given)) == ("signed", 1)
    node.has.add(payment.txid)
    later = treasury.now + timedelta(minutes=1)
    tasks.send(payment.pk, now=later)
    row = queries.payment(payment.pk)
    assert (state(payment), row.sent_at, len(node.given)) == ("broadcast", later, 1)


def test_asks_no_signer_meanwhile(treasury: Treasury, settings: Any, tmp_path: Any) -> None:
    payment = treasury.signing()
    settings.SIGNERS_DIR = tmp_path
    pull(treasury, f"customer:{treasury.tom.pk}")
    with pytest.raises(tasks.HeldBack, match=r"freeze of customer:"):
        tasks.ask_signers(payment.pk, now=treasury.now)


def test_asks_no_signer_once_too_few_agree(treasury: Treasury, settings: Any, tmp_path: Any) -> None:
    """It was held for hours, its approval is used up, and signers were not told of the suspension."""
    payment, staff = treasury.signing(), treasury.staff
    settings.SIGNERS_DIR = tmp_path
    suspend_person(person=staff.ben.identity.pk, reason="stolen", actor=staff.ana.actor, now=treasury.now)
    with pytest.raises(tasks.HeldBack, match="has left"):
        tasks.ask_signers(payment.pk, now=treasury.now)


def test_waits_for_a_day_wherever_it_stands_after_a_new_password_by_mail(
    treasury: Treasury, node: Node, drain_outbox: Callable[..., int], settings: Any, tmp_path: Any
) -> None:
    settings.SIGNERS_DIR = tmp_path  # whoever asks a signer finds none
    for _ in range(4):
        treasury.deposit(BTC)
    rows = [treasury.approved(sats=SMALL) for _ in range(5)]
    signed, sent = treasury.signed(rows[0]), treasury.signed(rows[1])
    treasury.signing(rows[2])
    built, approved, asked = treasury.built(rows[3]), rows[4], treasury.screened(sats=SMALL)
    tasks.send(sent.pk, now=treasury.now)
    node.given.clear()
    Delivery.objects.filter(done_at=None).update(done_at=treasury.now)
    new_password(treasury.tom.pk, now=treasury.now)
    held = treasury.now + links.HELD_FOR
    last = held - timedelta(seconds=1)
    treasury.sign_off(asked)  # officers may agree meanwhile
    stands = {rows[2].pk: "signing", rows[3].pk: "built", approved.pk: "approved", asked.pk: "approved"}

    def move(withdrawal: UUID, at: str, *, now: datetime) -> None:
        tom = treasury.tom.pk
        move_withdrawal(WithdrawalMoved(withdrawal=withdrawal, customer=tom, state=at), now=now)

    with Trace() as trace:
        tasks.send(signed.pk, now=last)
        for withdrawal, at in stands.items():
            with pytest.raises(tasks.HeldBack, match="until"):
                move(withdrawal, at, now=last)
    assert {one: str(queries.withdrawal(one).state) for one in stands} == stands
    assert (node.given, trace.events) == ([], []), "nothing was tried, so nothing was refused on record"
    for act in (
        partial(actions.store_built, owner=approved, psbt="", vsize=1),
        partial(actions.mark_asked, payment_id=built.pk),
    ):
        with pytest.raises(queries.WithdrawalsHeld):
            act(actor=ROBOT, now=last)
    tasks.send_again(now=last)
    assert node.given == [bytes.fromhex(sent.raw)], "what the network has goes on"
    tasks.send(signed.pk, now=held)
    move(rows[3].pk, "built", now=held)
    assert (state(signed), state(built)) == ("broadcast", "signing")


def test_settles_where_it_confirms_all_the_same(treasury: Treasury, node: Node) -> None:
    payment = treasury.signed()
    pull(treasury, "platform.withdrawals")
    treasury.mine(raw_of(payment), empty=2)
    treasury.book()
    assert state(payment) == "settled"


@pytest.mark.parametrize(("scope", "given"), [("wallet:cold", 0), ("wallet:hot", 0), ("customer:{}", 1)])
def test_of_a_refill_is_held_by_freezes_of_either_wallet(
    now: datetime, node: Node, scope: str, given: int
) -> None:
    treasury = Treasury.open(now, refill_below=BTC, target=2 * BTC)
    treasury.fund("cold", 50 * BTC)
    row = treasury.refill_requested()
    treasury.sign_off(row)
    payment = treasury.built(queries.refill(row.pk))
    actions.export_bundle(refill_id=row.pk, actor=treasury.staff.ana.actor, now=now)
    payment = treasury.sign(payment, "cold-1", "cold-2", "cold-3")
    raw = queries.signed_psbt(payment).finalised().encoded()
    actions.store_signed(payment_id=payment.pk, raw=raw, actor=ROBOT, now=now)
    pull(treasury, scope.format(treasury.tom.pk))
    tasks.send(payment.pk, now=now)
    assert len(node.given) == given


def test_waits_wherever_it_stands_while_the_tier_is_too_low_for_it(
    treasury: Treasury, node: Node, settings: Any, tmp_path: Any
) -> None:
    """Tom asked at tier 2; then his papers turned out to be forged."""
    settings.SIGNERS_DIR = tmp_path  # whoever asks a signer finds none
    for _ in range(3):
        treasury.deposit(BTC)
    rows = [treasury.approved(sats=SMALL) for _ in range(4)]
    signed, asked = treasury.signed(rows[0]), treasury.signing(rows[1])
    built, approved = treasury.built(rows[2]), rows[3]
    set_to(treasury, 1)
    tasks.send(signed.pk, now=treasury.now)
    assert (state(signed), node.given) == ("signed", [])
    with pytest.raises(tasks.HeldBack, match="tier, which was lowered since"):
        tasks.ask_signers(asked.pk, now=treasury.now)
    for act in (
        partial(actions.mark_asked, payment_id=built.pk),
        partial(actions.store_built, owner=approved, psbt="", vsize=0),
    ):
        with pytest.raises(queries.TierLowered, match="Nothing was done: the customer's tier was lowered"):
            act(actor=ROBOT, now=treasury.now)
    for row in (built.owner, approved):
        told = WithdrawalMoved(withdrawal=row.pk, customer=row.customer_id, state=str(row.state))
        with pytest.raises(tasks.HeldBack):
            move_withdrawal(told, now=treasury.now)
    set_to(treasury, 2)
    tasks.send(signed.pk, now=treasury.now)
    assert state(signed) == "broadcast"


def test_is_judged_by_its_own_day_and_stopped_by_no_later_request(treasury: Treasury) -> None:
    """Tier 2 has $10,000 a day; each of these is more than half of it, on another day."""
    day, rows = timedelta(days=1, seconds=1), []
    for number in range(3):
        moment = treasury.now + number * day
        actions.report_price(quote=Quote("BTC", PRICE_CENTS, moment), source="test", actor=ROBOT, now=moment)
        rows.append(treasury.request(BTC // 10, now=moment))
    assert [queries.is_above_tier(row) for row in rows] == [False] * 3
    set_to(treasury, 1)
    assert [queries.is_above_tier(row) for row in rows] == [True] * 3


@action(Event.TIER_SET)
def _set_tier(*, customer_id: UUID, tier: int, actor: Actor, now: datetime) -> None:
    set_tier(customer_id=customer_id, tier=tier, reason="forged papers", actor=actor, now=now)


def set_to(treasury: Treasury, tier: int) -> None:
    _set_tier(customer_id=treasury.tom.pk, tier=tier, actor=ROBOT, now=treasury.now)
