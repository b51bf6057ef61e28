"""Workers that bring one withdrawal before the signers' lane at the same moment …"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest

from core.approvals.models import ApprovalRequest, Waiver
from core.freezes.actions import pull_freeze
from core.ledger import invariants
from core.refusals import Refused
from custody import actions, lane_tasks, queries
from custody.models import Payment, UtxoLock
from kernel import encodings
from kernel.intent import time_text
from tests.customers import Customer
from tests.lane import SMALL, Scene, Seasoned, opened
from tests.racing import at_once, refused
from tests.relay import work
from tests.signers import HOT
from tests.stockroom import Lend
from tests.treasury import HOME, ROBOT, customer_actor

ROUNDS = 3


@pytest.fixture
def scene(lend_real: Lend, now: datetime, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    with opened(lend_real(Seasoned(2 * ROUNDS), now), patch=monkeypatch, drain=work) as found:
        yield found


def screened(scene: Scene) -> Any:
    """A withdrawal, and the reports that it may be offered: two at once."""
    row = scene.treasury.request(SMALL)
    screen = partial(
        actions.report_screening, withdrawal_id=row.pk, hits=[], actor=ROBOT, now=scene.treasury.now
    )
    assert not refused(at_once(screen, screen))
    assert queries.withdrawal(row.pk).state == "offered"
    return row


def test_waive_build_and_sign_it_once(scene: Scene) -> None:
    for number in range(1, ROUNDS + 1):
        row = screened(scene)
        offer = partial(lane_tasks.offer, row.pk, now=scene.treasury.now)
        assert not refused(at_once(offer, offer, offer))
        work(now=scene.treasury.now)
        assert queries.withdrawal(row.pk).state == "broadcast"
        assert Waiver.objects.count() == Payment.objects.count() == UtxoLock.objects.count() == number
        payment = queries.payment_of(row)
        assert payment is not None
        assert payment.signatures.count() >= payment.wallet.threshold
    # However many asked, no signer counted it twice.
    for desk in scene.signers.desks.values():
        spends = [entry for entry in desk.journal.weighty if entry.event == "spend"]
        assert len(spends) == len(desk.signer.memory.signed) <= ROUNDS
    assert not ApprovalRequest.objects.exists()


def test_put_it_before_officers_once(scene: Scene) -> None:
    for number in range(1, ROUNDS + 1):
        for token in HOT[1:]:
            scene.signers.desks[token].signer._attested.clear()
        row = screened(scene)
        offer = partial(lane_tasks.offer, row.pk, now=scene.treasury.now)
        at_once(offer, offer, offer)  # a loser may hear that it moved on meanwhile
        work(now=scene.treasury.now)
        row = queries.withdrawal(row.pk)
        assert (row.state, ApprovalRequest.objects.count()) == ("screened", number)
        assert scene.approve(row).state == "broadcast"
        assert Payment.objects.count() == UtxoLock.objects.count() == number
    assert not any(invariants.broken().values())


def test_give_it_back_or_sign_it_and_never_both(scene: Scene) -> None:
    """One worker is still asking when another finds that its time is over."""
    for _ in range(ROUNDS):
        row = screened(scene)
        late = scene.treasury.now + timedelta(hours=2, seconds=1)
        deeds: list[Callable[[], object]] = [
            partial(lane_tasks.offer, row.pk, now=scene.treasury.now),
            partial(actions.return_offer, withdrawal_id=row.pk, actor=ROBOT, now=late),
        ]
        at_once(*deeds)
        work(now=scene.treasury.now)
        row = queries.withdrawal(row.pk)
        about = ApprovalRequest.objects.filter(subject=f"custody.withdrawal/{row.pk}").count()
        assert (row.state, about) in {("broadcast", 0), ("screened", 1)}
        if row.state == "screened":
            assert scene.approve(row).state == "broadcast"
    assert Payment.objects.count() == ROUNDS


def test_lose_against_the_customers_removal_and_against_a_freeze(scene: Scene) -> None:
    """Whichever is first, it ends in one of the ways that there are, and no later step goes on."""
    row = screened(scene)
    offer = partial(lane_tasks.offer, row.pk, now=scene.treasury.now)
    said = Customer(str(scene.treasury.tom.pk)).removal(
        HOME, deployment="test", time=time_text(scene.treasury.now + timedelta(seconds=1))
    )
    remove = partial(
        actions.take_statement,
        customer_id=scene.treasury.tom.pk,
        payload=encodings.from_base64url(said["payload"]),
        proof=said["proof"],
        label="",
        actor=customer_actor(scene.treasury.tom),
        now=scene.treasury.now + timedelta(seconds=1),
    )
    stop = partial(
        pull_freeze,
        scope="wallet:hot",
        reason="look",
        actor=scene.treasury.staff.ana.actor,
        now=scene.treasury.now,
    )
    deeds: list[Callable[[], object]] = [offer, remove, stop]
    results = at_once(*deeds)
    assert not [result for result in results[1:] if isinstance(result, Refused)]
    asked = len(scene.signers.asked)
    work(now=scene.treasury.now)
    row = queries.withdrawal(row.pk)
    assert row.state == "screened"
    assert "the customer removed the destination" in row.reason
    later = scene.signers.asked[asked:]
    assert not [message for _, message in later if message["type"] == "sign_unattended"]
