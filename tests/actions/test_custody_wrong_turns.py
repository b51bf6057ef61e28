"""A payment on a wrong turn: refused, overtaken by a rival, or given up …"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from core.freezes import Frozen
from core.ledger import invariants
from core.refusals import NotAllowed
from custody import actions, queries, tending_tasks
from custody.actions.claims import StillPayable
from custody.domain.withdrawals import CLOCKS_DIFFER_MAX
from custody.models import Payment, TokenRefusal, Utxo
from kernel.transaction import Output
from tests.traces import Trace
from tests.treasury import BTC, ROBOT, Treasury, raw_of

pytestmark = pytest.mark.django_db

SMALL = BTC // 100


def test_goes_back_to_broadcast_when_its_block_leaves_the_chain(treasury: Treasury) -> None:
    payment = treasury.broadcast()
    treasury.mine(raw_of(payment))
    tip = queries.tip()
    assert tip is not None
    actions.unwind_block(block_hash=tip.hash, actor=ROBOT, now=treasury.now)
    payment = queries.payment(payment.pk)
    assert (payment.owner.state, payment.height) == ("broadcast", None)
    assert Utxo.objects.filter(spent_in=None, height__isnull=False).count() == 1
    treasury.mine(raw_of(payment), empty=1)
    treasury.book()
    assert queries.payment(payment.pk).owner.state == "settled"


def refuse(treasury: Treasury, payment: Payment, *tokens: str, code: str = "SIGNER_FROZEN") -> None:
    for token in tokens:
        actions.report_refusal(
            payment_id=payment.pk, token=token, code=code, detail="a test", actor=ROBOT, now=treasury.now
        )


def test_is_refused_once_too_few_signers_could_still_say_yes(treasury: Treasury) -> None:
    payment = treasury.signing()
    with Trace() as trace:
        refuse(treasury, payment, "hot-1")
    assert queries.payment(payment.pk).owner.state == "signing"
    assert trace.events == ["custody.payment.refused"]
    refuse(treasury, payment, "hot-1")
    assert TokenRefusal.objects.count() == 1
    refuse(treasury, payment, "hot-3")
    row = queries.payment(payment.pk).owner
    assert (row.state, row.reason) == ("refused", "hot-3: SIGNER_FROZEN")
    assert list(queries.needs_care(identity=treasury.staff.ana.identity, now=treasury.now)) == [row]


def test_is_put_before_the_signers_again_by_an_officer_with_a_reason(treasury: Treasury) -> None:
    payment = treasury.signing()
    refuse(treasury, payment, "hot-1", "hot-3")
    row, later = payment.owner, treasury.now + timedelta(minutes=5)
    with pytest.raises(NotAllowed):
        actions.ask_again(withdrawal_id=row.pk, reason="x", actor=treasury.staff.dot.actor, now=later)
    with Trace() as trace:
        payment = actions.ask_again(
            withdrawal_id=row.pk, reason="thawed", actor=treasury.staff.ana.actor, now=later
        )
    assert (payment.owner.state, payment.asked_at) == ("signing", later)
    assert trace.events == ["custody.payment.asked"]
    assert queries.payment(payment.pk).signatures.count() == 0


def test_is_given_up_freely_before_a_signer_was_asked(treasury: Treasury) -> None:
    payment = treasury.built()
    row = payment.owner
    with Trace() as trace:
        actions.fail_withdrawal(withdrawal_id=row.pk, reason="ran out", actor=ROBOT, now=treasury.now)
    row = queries.withdrawal(row.pk)
    assert row.state == "failed"
    assert treasury.funding().held.units == 0
    assert queries.free_coins(payment.wallet).count() == 1
    assert trace.events == ["custody.withdrawal.failed"]


@pytest.mark.parametrize("state", ["signing", "signed", "broadcast"])
def test_is_never_given_up_while_it_could_pay(treasury: Treasury, state: str) -> None:
    payment: Payment = getattr(treasury, state)()
    late = timedelta(days=30) if state != "signing" else timedelta(days=1)
    for moment in (treasury.now, treasury.now + late):
        with Trace() as trace, pytest.raises(StillPayable):
            actions.fail_withdrawal(
                withdrawal_id=payment.owner.pk, reason="x", actor=treasury.staff.ana.actor, now=moment
            )
        trace.only_refused("custody.withdrawal.failed")
    assert treasury.funding().held.units > 0


def test_refused_is_given_up_when_its_intent_is_void_for_every_clock_and_keeps_its_coins(
    treasury: Treasury,
) -> None:
    payment = treasury.sign(treasury.signing(), "hot-2")
    refuse(treasury, payment, "hot-1", "hot-3")
    row = queries.withdrawal(payment.owner.pk)
    void = row.expires_at + CLOCKS_DIFFER_MAX
    with pytest.raises(StillPayable):
        actions.fail_withdrawal(
            withdrawal_id=row.pk, reason="x", actor=ROBOT, now=void - timedelta(seconds=1)
        )
    actions.fail_withdrawal(withdrawal_id=row.pk, reason="void", actor=ROBOT, now=void)
    assert queries.withdrawal(row.pk).state == "failed"
    assert treasury.funding().held.units == 0
    assert not queries.free_coins(payment.wallet).exists()


@pytest.mark.parametrize("signed", [0, 1])
def test_held_for_good_before_its_signers_is_given_up_by_itself_once_it_is_void(
    treasury: Treasury, signed: int
) -> None:
    """Its customer's tier was lowered, so nobody asks the signers, and so none of them refuses it."""
    payment = treasury.sign(treasury.signing(), *("hot-1",)[:signed])
    row = queries.withdrawal(payment.owner.pk)
    void = row.expires_at + CLOCKS_DIFFER_MAX
    tending_tasks.tend_all(now=void - timedelta(seconds=1))
    assert queries.withdrawal(row.pk).state == "signing"
    with Trace() as trace:
        tending_tasks.tend_all(now=void)
    assert trace.events == ["custody.withdrawal.failed"]
    found = queries.withdrawal(row.pk)
    assert (found.state, found.reason) == ("failed", "the approval ran out unsigned")
    assert treasury.funding().held.units == 0
    assert not queries.free_coins(payment.wallet).exists(), "an answer may be in somebody's hands"


def test_with_all_signatures_is_put_together_however_late(treasury: Treasury) -> None:
    payment = treasury.sign(treasury.signing(), "hot-1", "hot-3")
    late = queries.withdrawal(payment.owner.pk).expires_at + timedelta(days=3)
    with Trace() as trace:
        tending_tasks.tend_all(now=late)
    assert not [event for event in trace.events if "withdrawal" in event]
    raw = queries.signed_psbt(payment).finalised().encoded()
    found = actions.store_signed(payment_id=payment.pk, raw=raw, actor=ROBOT, now=late)
    assert found.owner.state == "signed"


def test_with_a_rival_is_given_up_once_the_rival_is_deep(treasury: Treasury) -> None:
    payment = treasury.broadcast()
    rival = replace(raw_of(payment), outputs=(Output(1_000, b"\x00\x14" + b"\x01" * 20),))
    treasury.mine(rival)
    row = queries.withdrawal(payment.owner.pk)
    assert (row.state, row.reason) == ("conflicted", f"spent by {rival.txid}")
    with pytest.raises(Frozen):
        treasury.request(SMALL)
    with pytest.raises(StillPayable):
        actions.fail_withdrawal(withdrawal_id=row.pk, reason="stolen", actor=ROBOT, now=treasury.now)
    treasury.mine()
    actions.fail_withdrawal(withdrawal_id=row.pk, reason="stolen", actor=ROBOT, now=treasury.now)
    assert queries.withdrawal(row.pk).state == "failed"
    assert treasury.funding().held.units == 0


def test_wins_over_its_rival_when_the_chain_turns(treasury: Treasury) -> None:
    payment = treasury.broadcast()
    rival = replace(raw_of(payment), outputs=(Output(1_000, b"\x00\x14" + b"\x01" * 20),))
    treasury.mine(rival)
    tip = queries.tip()
    assert tip is not None
    actions.unwind_block(block_hash=tip.hash, actor=ROBOT, now=treasury.now)
    treasury.mine(raw_of(payment), empty=1)
    treasury.book()
    assert queries.payment(payment.pk).owner.state == "settled"
    assert not any(invariants.broken().values())


def test_is_another_transaction_than_an_equal_one_that_was_abandoned(treasury: Treasury) -> None:
    first = treasury.built(treasury.approved(sats=SMALL))
    actions.fail_withdrawal(withdrawal_id=first.owner.pk, reason="x", actor=ROBOT, now=treasury.now)
    second = treasury.broadcast(treasury.approved(sats=SMALL))
    assert second.txid != first.txid
    treasury.mine(raw_of(second), empty=1)
    treasury.book()
    assert queries.payment(second.pk).owner.state == "settled"
    assert queries.payment(first.pk).owner.state == "failed"
