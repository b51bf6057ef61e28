"""Whoever owns database, web process and worker, and drains the lane by many small payouts …

The road is the real one: withdrawals asked for by a customer, the worker's own tasks, three signers on their
sockets. What the application itself would refuse is out of the way: the customer has no limit, and rows say
what the attacker likes. No key of a customer, officer or reconciler is theirs.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from custody import actions, lane_tasks, queries
from custody.models import Payment, StatementAnswer, Withdrawal
from custody.queries.payments import lane_request
from kernel import lane, script
from tests.lane import DAY, SMALL, Drain, Scene, Seasoned, opened
from tests.signers import HOT
from tests.stockroom import Lend
from tests.treasury import BTC, ROBOT

pytestmark = pytest.mark.django_db

TOMS = tuple(script.address_of(b"\x00\x14" + bytes([n]) * 20, "regtest") for n in range(1, 11))
COINS = 7
"""What waits for officers keeps the coin that it was to be paid with."""
MINE = script.address_of(b"\x00\x14" + b"\x66" * 20, "regtest")


@pytest.fixture
def scene(lend: Lend, now: datetime, monkeypatch: pytest.MonkeyPatch, drain_outbox: Drain) -> Iterator[Scene]:
    ready = lend(Seasoned(COINS, more=TOMS), now)
    with opened(ready, patch=monkeypatch, drain=drain_outbox) as found:
        yield found


def taken() -> int:
    """What left, or can leave, by transactions that enough signers signed."""
    complete = [row for row in Payment.objects.all() if row.signatures.count() >= row.wallet.threshold]
    return sum(row.owner.units + row.fee_units for row in complete)


def drain(scene: Scene, sats: int) -> int:
    """Withdrawals of so much to one destination after the other, until two in turn are not paid."""
    paid = missed = 0
    while missed < 2:
        row = scene.withdraw(sats, destination=TOMS[(paid + missed) % len(TOMS)])
        is_paid = row.state == "broadcast"
        paid, missed = paid + is_paid, 0 if is_paid else missed + 1
        if is_paid:
            scene.confirm(row)
    return paid


def rotate(scene: Scene) -> None:
    """What the worker was refused is put to every pair of signers once more, in every order."""
    for number, payment in enumerate(Payment.objects.filter(withdrawal__state="screened")):
        order = [HOT[(number + place) % 3] for place in range(3)]
        for token in order:
            answer = scene.signers.desks[token].ask(lane_request(queries.payment(payment.pk)))
            if answer["type"] == "signed":
                actions.store_signature(
                    payment_id=payment.pk,
                    token=token,
                    signatures=answer["signatures"],
                    actor=ROBOT,
                    now=scene.treasury.now,
                )


def test_ends_at_the_stated_worst_loss_with_every_signers_counter_full(scene: Scene) -> None:
    worst = lane.worst_loss(15_000_000, threshold=2, tokens=3)
    for sats in (2 * SMALL, SMALL):
        drain(scene, sats)
        rotate(scene)
    assert 0.5 * worst < taken() <= worst == 15_000_000
    used = sorted(scene.signers.used().values())
    assert 0.8 * 10_000_000 < used[1] <= used[2] <= 10_000_000  # two are full, so no pair is left
    # What nobody took waits for officers, its money on hold; and the next window has its own cap.
    waiting = Withdrawal.objects.exclude(state__in=("broadcast", "confirmed", "settled"))
    assert {row.state for row in waiting} == {"screened"}
    assert all("SIGNER_" in row.reason for row in waiting)
    before = taken()
    scene.finish()
    scene.pass_time(DAY)
    drain(scene, 2 * SMALL)
    assert 0 < taken() - before <= worst


def test_ends_at_one_windows_worth_of_signatures_that_are_kept_back_for_many(scene: Scene) -> None:
    """The worker takes signatures window by window, to send them all on one day; no block has any of them."""
    worst, held = lane.worst_loss(15_000_000, threshold=2, tokens=3), list[int]()
    for window in range(4):
        for number in range(6 if window == 0 else 2):
            scene.withdraw(2 * SMALL, destination=TOMS[(window + number) % len(TOMS)])
        rotate(scene)
        held.append(taken())
        scene.pass_time(DAY + timedelta(seconds=1))
        scene.treasury.deposit(BTC)
        scene.treasury.deposit(BTC)
    assert 0.5 * worst < held[0] <= worst
    assert held == [held[0]] * 4
    assert all("SIGNER_WINDOW_FULL" in row.reason for row in Withdrawal.objects.filter(state="screened"))
    # They are sent after all: once the chain has them for good, and a window later, the lane pays again.
    for row in Withdrawal.objects.filter(state="broadcast"):
        scene.confirm(row)
    scene.finish()
    assert scene.withdraw(2 * SMALL).state == "screened"
    scene.pass_time(DAY)
    scene.treasury.deposit(BTC)
    assert scene.withdraw(2 * SMALL).state == "broadcast"


def test_brings_no_destination_of_their_own_into_it_by_writing_that_it_is_old(scene: Scene) -> None:
    scene.sign(MINE)  # Tom's key for a minute: the best that rows cannot give them
    StatementAnswer.objects.update(answered_at=scene.treasury.now - 365 * DAY)
    row = scene.withdraw(destination=MINE)
    assert row.state == "screened"
    assert "SIGNER_COOLING_OFF" in row.reason
    lane_tasks.offer(row.pk, now=scene.treasury.now)
    rotate(scene)
    assert taken() == 0
