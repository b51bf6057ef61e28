"""A withdrawal that the signers' lane refused, and that is then ended without payment …"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from core.ledger import invariants
from custody import actions, lane_tasks, probes, queries
from custody.adapters import judge
from custody.models import Payment, Withdrawal
from kernel.intent import time_text
from kernel.psbt import Psbt
from kernel.transaction import Transaction
from tests.lane import Scene
from tests.signers import HOT
from tests.traces import Trace
from tests.treasury import ROBOT, customer_actor

pytestmark = pytest.mark.django_db

VOID = timedelta(hours=2)
"""An hour in which signers take what the lane was offered, and one by which their clocks may differ."""


@pytest.fixture
def refused(scene: Scene) -> Withdrawal:
    """The books are broken, so every signer says no, and officers are asked."""
    broken = time_text(scene.treasury.now + timedelta(seconds=1))
    assert scene.attest(on_chain="1", time=broken) == ["attested"] * 3
    row = scene.withdraw()
    assert (row.state, "SIGNER_BOOKS_BROKEN" in row.reason) == ("screened", True)
    return row


def reject(scene: Scene, row: Withdrawal) -> object:
    return actions.reject_withdrawal(
        withdrawal_id=row.pk, reason="no", actor=scene.treasury.staff.ana.actor, now=scene.treasury.now
    )


def cancel(scene: Scene, row: Withdrawal) -> object:
    return actions.cancel_withdrawal(
        withdrawal_id=row.pk, actor=customer_actor(scene.treasury.tom), now=scene.treasury.now
    )


def held(scene: Scene) -> tuple[int, int]:
    """The customer's funds on hold, and the coins that are claimed."""
    return scene.treasury.funding().held.units, scene.claims()


@pytest.mark.parametrize("end", [reject, cancel])
def test_keeps_funds_and_coin_until_every_signer_finds_the_old_message_void(
    scene: Scene, refused: Withdrawal, end: Callable[[Scene, Withdrawal], object]
) -> None:
    end(scene, refused)
    kept = (refused.units + refused.fee_units, 1)
    start, (old,) = scene.treasury.now, scene.old_messages()
    assert held(scene) == kept
    for moment in (start, start + VOID - timedelta(seconds=1)):
        with Trace() as trace:
            lane_tasks.tend_lane(now=moment)
        assert (held(scene), trace.events) == (kept, [])
    scene.pass_time(VOID - timedelta(hours=1))
    assert scene.signers.codes(old) == ["SIGNER_INTENT_EXPIRED"] * 3
    scene.pass_time(timedelta(hours=1))
    with Trace() as trace:
        lane_tasks.tend_lane(now=scene.treasury.now)
        lane_tasks.tend_lane(now=scene.treasury.now)
    assert held(scene) == (0, 0)
    assert trace.events == ["custody.withdrawal.let_go"]
    assert trace.topics == ["custody.withdrawal_moved"]
    assert Payment.objects.get().abandoned_at == scene.treasury.now
    assert not any(invariants.broken().values())


def test_gives_everything_back_at_once_where_the_message_is_void_already(
    scene: Scene, refused: Withdrawal
) -> None:
    scene.pass_time(VOID)
    reject(scene, refused)
    assert held(scene) == (0, 0)
    with Trace() as trace:
        lane_tasks.tend_lane(now=scene.treasury.now)
    assert trace.events == []


def test_is_not_paid_and_refunded_where_somebody_completes_it_meanwhile(
    scene: Scene, refused: Withdrawal
) -> None:
    """Whoever has the old message asks again within the hour, and the signers have changed their minds."""
    reject(scene, refused)
    (old,) = scene.old_messages()
    scene.attest(time=time_text(scene.treasury.now + timedelta(seconds=2)))
    answers = [scene.signers.desks[token].ask(old) for token in HOT[:2]]
    payment = Payment.objects.get()
    whole = Psbt.parse_base64(payment.psbt).with_signatures(
        (item["input"], bytes.fromhex(item["public_key"]), bytes.fromhex(item["signature"]))
        for answer in answers
        for item in answer["signatures"]
    )
    scene.treasury.mine(Transaction.parse(judge.finalise(whole)), empty=2)
    scene.pass_time(VOID)
    lane_tasks.tend_lane(now=scene.treasury.now)
    actions.let_go(withdrawal_id=refused.pk, actor=ROBOT, now=scene.treasury.now)
    assert queries.withdrawal(refused.pk).state == "rejected"
    assert held(scene) == (refused.units + refused.fee_units, 1)
    found = probes.read_payments(scene.treasury.now)
    assert "1 ended withdrawals that were paid all the same" in found.sentence
