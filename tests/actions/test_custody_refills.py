"""A refill …"""

from __future__ import annotations

from contextlib import nullcontext
from datetime import datetime

import pytest

from core import ledger
from core.freezes import Frozen
from core.freezes.actions import pull_freeze
from core.freezes.models import Freeze
from core.ledger import AccountKind, invariants
from core.refusals import NotAllowed, NotFound
from custody import actions, queries, tasks, tending_tasks
from custody.actions.entitled import ReasonMissing
from custody.actions.moves import NothingDue, Outdated
from custody.adapters.bitcoin import NodeUnreachable
from custody.models import Refill, Wallet
from custody.models.moving import WrongState
from kernel.intent import Intent
from kernel.money import Amount
from kernel.transaction import Input, Outpoint, Output, Transaction
from tests.nodes import Node
from tests.refilling import exported, low, signed
from tests.stockroom import Lend
from tests.traces import Trace
from tests.treasury import BTC, ROBOT, Treasury, raw_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def treasury(lend: Lend, now: datetime) -> Treasury:
    return lend(low, now)


@pytest.mark.parametrize("scope", ["wallet:cold", "wallet:hot", "asset:BTC"])
def test_stops_at_a_freeze_before_it_is_asked_for_and_before_it_leaves_the_house(
    treasury: Treasury, scope: str
) -> None:
    row = actions.propose_refill(target="hot", source="cold", actor=ROBOT, now=treasury.now)
    ana = treasury.staff.ana.actor

    def pull() -> Freeze:
        return pull_freeze(scope=scope, reason="odd", actor=treasury.staff.sam.actor, now=treasury.now)

    def ask() -> Refill:
        return actions.request_refill(refill_id=row.pk, reason="hot is low", actor=ana, now=treasury.now)

    pulled = pull()
    with pytest.raises(Frozen):
        ask()
    treasury.release(pulled)
    treasury.sign_off(ask())
    treasury.built(queries.refill(row.pk))
    pull()
    with Trace() as trace, pytest.raises(Frozen):
        actions.export_bundle(refill_id=row.pk, actor=ana, now=treasury.now)
    trace.only_refused("custody.payment.exported")


def test_is_proposed_by_itself_up_to_the_target(treasury: Treasury) -> None:
    with Trace() as trace:
        row = actions.propose_refill(target="hot", source="cold", actor=ROBOT, now=treasury.now)
    hot = queries.wallet_named("hot")
    assert (row.state, row.amount) == ("proposed", Amount(2 * BTC, "BTC"))
    assert row.destination == hot.addresses.get(index=0).address
    assert trace.events == ["custody.refill.proposed"]
    assert trace.topics == ["custody.refill_moved"]


def test_is_proposed_once_at_a_time(treasury: Treasury) -> None:
    actions.propose_refill(target="hot", source="cold", actor=ROBOT, now=treasury.now)
    with Trace() as trace, pytest.raises(NothingDue):
        actions.propose_refill(target="hot", source="cold", actor=ROBOT, now=treasury.now)
    trace.only_refused("custody.refill.proposed")


def test_is_not_proposed_while_nothing_is_due(now: datetime) -> None:
    treasury = Treasury.open(now, refill_below=BTC, target=3 * BTC)
    treasury.deposit(BTC)
    treasury.fund("cold", 100 * BTC)
    with pytest.raises(NothingDue):
        actions.propose_refill(target="hot", source="cold", actor=ROBOT, now=now)
    treasury.request(BTC // 10)
    actions.propose_refill(target="hot", source="cold", actor=ROBOT, now=now)


def test_is_proposed_within_the_band_only_whatever_target_somebody_wrote_into_the_wallets_row(
    treasury: Treasury,
) -> None:
    Wallet.objects.filter(name="hot").update(refill_below=50 * BTC, target=80 * BTC)
    row = actions.propose_refill(target="hot", source="cold", actor=ROBOT, now=treasury.now)
    assert row.amount == Amount(101 * BTC * 5 // 100 - BTC, "BTC")


def test_is_not_due_where_the_treasury_is_empty_or_cold_has_nothing(now: datetime) -> None:
    treasury = Treasury.open(now, refill_below=2 * BTC, target=3 * BTC)
    for fill in (lambda: None, lambda: treasury.deposit(BTC)):
        fill()
        with pytest.raises(NothingDue):
            actions.propose_refill(target="hot", source="cold", actor=ROBOT, now=now)


def test_becomes_a_request_of_the_officer_who_adopts_it(treasury: Treasury) -> None:
    row = actions.propose_refill(target="hot", source="cold", actor=ROBOT, now=treasury.now)
    for who in ("ben", "dot", "eve", "sam"):
        with pytest.raises(NotAllowed):
            actions.request_refill(
                refill_id=row.pk,
                reason="hot is low",
                actor=getattr(treasury.staff, who).actor,
                now=treasury.now,
            )

    def adopt(reason: str) -> Refill:
        return actions.request_refill(
            refill_id=row.pk, reason=reason, actor=treasury.staff.ana.actor, now=treasury.now
        )

    with pytest.raises(ReasonMissing):
        adopt(reason=" ")
    with Trace() as trace:
        row = adopt(reason="hot is low")
    assert (row.reason, queries.refill(row.pk).reason) == ("hot is low", "hot is low")
    assert row.request is not None
    meant = Intent.parse(bytes(row.request.payload))
    assert (row.state, row.maker) == ("requested", treasury.staff.ana.identity)
    assert (meant.amount, meant.destination, meant.source) == (row.amount, row.destination, "cold")
    assert trace.events == ["approvals.request.opened", "custody.refill.requested"]
    with pytest.raises(WrongState):
        adopt(reason="hot is low")


def test_is_put_aside_with_a_reason(treasury: Treasury) -> None:
    row = actions.propose_refill(target="hot", source="cold", actor=ROBOT, now=treasury.now)
    row = actions.dismiss_refill(
        refill_id=row.pk, reason="audit week", actor=treasury.staff.ana.actor, now=treasury.now
    )
    assert (row.state, row.reason) == ("dismissed", "audit week")
    assert actions.propose_refill(target="hot", source="cold", actor=ROBOT, now=treasury.now) != row


def test_is_built_for_the_very_next_blocks_since_nobody_raises_its_fee(
    treasury: Treasury, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    class Asked(Node):
        def fee_rate(self, *, within_blocks: int) -> int | None:
            asked.append(within_blocks)
            raise NodeUnreachable("that is enough")

    monkeypatch.setattr(tasks, "BitcoinNode", lambda url: nullcontext(Asked()))
    row = treasury.refill_requested()
    treasury.sign_off(row)
    with pytest.raises(NodeUnreachable):
        tasks.build(queries.refill(row.pk), now=treasury.now)
    assert asked == [2]


def test_ends_by_itself_once_a_coin_of_it_is_spent_otherwise_for_good(treasury: Treasury) -> None:
    row, payment = signed(treasury)
    theft = Transaction(
        raw_of(queries.payment(payment.pk)).inputs, (Output(BTC, b"\x00\x14" + b"\x02" * 20),)
    )
    treasury.mine(theft)
    assert queries.refill(row.pk).state == "conflicted"
    tending_tasks.tend_all(now=treasury.now)
    assert queries.refill(row.pk).state == "conflicted", "the chain may still turn"
    treasury.mine()
    tending_tasks.tend_all(now=treasury.now)
    assert queries.refill(row.pk).state == "failed"


def test_comes_back_signed_and_moves_the_coins(treasury: Treasury) -> None:
    row, payment = signed(treasury)
    actions.report_broadcast(payment_id=payment.pk, actor=ROBOT, now=treasury.now)
    for step in (lambda: None, lambda: treasury.mine(raw_of(queries.payment(payment.pk)))):
        step()
        with pytest.raises(NothingDue):
            actions.propose_refill(target="hot", source="cold", actor=ROBOT, now=treasury.now)
    treasury.mine()
    treasury.book()
    assert queries.refill(row.pk).state == "settled"
    hot, cold = queries.all_standings()
    assert hot.total == Amount(3 * BTC, "BTC")
    assert cold.total == Amount(98 * BTC, "BTC") - payment.fee
    for kind, total in ((AccountKind.HOT_WALLET, hot.total), (AccountKind.COLD_WALLET, cold.total)):
        assert ledger.balance(ledger.account(kind, "BTC")).posted == total
    assert not any(invariants.broken().values())


def test_is_given_up_before_its_bundle_left(treasury: Treasury) -> None:
    row = treasury.refill_requested()
    treasury.sign_off(row)
    payment = treasury.built(queries.refill(row.pk))
    actions.fail_refill(
        refill_id=row.pk, reason="wrong week", actor=treasury.staff.ana.actor, now=treasury.now
    )
    assert queries.refill(row.pk).state == "failed"
    assert queries.free_coins(payment.wallet).exists()
    other = exported(treasury)
    with pytest.raises(WrongState):
        actions.fail_refill(refill_id=other.pk, reason="x", actor=treasury.staff.ana.actor, now=treasury.now)


def test_is_shown_to_the_treasury_and_to_nobody_else(treasury: Treasury) -> None:
    row, now = treasury.refill_requested(), treasury.now
    assert queries.refill_for(row.pk, identity=treasury.staff.ben.identity, now=now) == row
    for stranger in (treasury.staff.eve.identity, treasury.tom.identity, None):
        assert list(queries.refills_for(identity=stranger, now=now)) == []
        assert queries.standings(identity=stranger, now=now) == []
        with pytest.raises(NotFound):
            queries.refill_for(row.pk, identity=stranger, now=now)


def test_is_not_asked_for_once_the_hot_wallet_was_filled_otherwise(treasury: Treasury) -> None:
    """A proposal of last week, after deposits: approved as it is it would leave too much online."""
    row = actions.propose_refill(target="hot", source="cold", actor=ROBOT, now=treasury.now)
    ana = treasury.staff.ana.actor

    def ask() -> Refill:
        return actions.request_refill(refill_id=row.pk, reason="hot is low", actor=ana, now=treasury.now)

    treasury.deposit(BTC)
    with Trace() as trace, pytest.raises(Outdated):
        ask()
    trace.only_refused("custody.refill.requested")
    treasury.request(BTC // 10)
    assert ask().state == "requested", "too much by less than the band between mark and target"


def test_is_not_asked_for_once_cold_has_not_so_much(treasury: Treasury) -> None:
    row = actions.propose_refill(target="hot", source="cold", actor=ROBOT, now=treasury.now)
    made = queries.free_coins(row.source).get()
    theft = Transaction((Input(Outpoint(made.txid, 0)),), (Output(BTC, b"\x00\x14" + b"\x02" * 20),))
    treasury.mine(theft)
    treasury.release(Freeze.objects.get())
    with pytest.raises(Outdated):
        actions.request_refill(
            refill_id=row.pk, reason="hot is low", actor=treasury.staff.ana.actor, now=treasury.now
        )
