"""Whoever stops or ends a withdrawal at the moment when others move it on …"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from core.action import action
from core.actor import Actor
from core.approvals.models import ApprovalRequest
from core.ledger import invariants
from core.refusals import Refused
from custody import actions, queries
from custody.actions.asking import LimitReached
from custody.domain.limits import Quote
from custody.models import Payment, UtxoLock
from customers.actions import set_tier
from customers.events import Event
from tests.policies import enact, founding
from tests.racing import at_once, done, refused
from tests.stockroom import Lend
from tests.treasury import BTC, PRICE_CENTS, ROBOT, Treasury, funded, trader

ROUNDS = 3
SMALL = BTC // 100


@pytest.fixture
def treasury(lend_real: Lend, now: datetime) -> Treasury:
    """Committed for real: Tom at tier 2 with one bitcoin."""
    return lend_real(funded, now)


@action(Event.TIER_SET)
def _set_tier(*, customer_id: Any, tier: int, actor: Actor, now: datetime) -> None:
    set_tier(customer_id=customer_id, tier=tier, reason="forged papers", actor=actor, now=now)


def test_lowers_the_tier_and_lets_nothing_above_it_through(treasury: Treasury) -> None:
    """Whichever comes first: what was asked for at the old tier waits, or is not asked for."""
    for number in range(ROUNDS):
        to = partial(_set_tier, customer_id=treasury.tom.pk, actor=ROBOT, now=treasury.now)
        deeds: list[Callable[[], Any]] = [
            partial(treasury.request, SMALL, client_id=f"w{number}a"),
            partial(to, tier=1),
            partial(treasury.request, SMALL, client_id=f"w{number}b"),
        ]
        results = at_once(*deeds)
        assert {refusal.code for refusal in refused(results)} <= {LimitReached.code}
        rows = [row for row in done(results) if row is not None]
        assert all(queries.is_above_tier(queries.withdrawal(row.pk)) for row in rows)
        to(tier=2)
        for row in rows:
            assert not queries.is_above_tier(queries.withdrawal(row.pk))


def test_asks_on_both_sides_of_midnight_and_has_one_days_limit(treasury: Treasury) -> None:
    """No day begins anew for a rolling window, on no connection."""
    midnight = datetime.combine(treasury.now.date() + timedelta(days=1), datetime.min.time(), UTC)
    actions.report_price(quote=Quote("BTC", PRICE_CENTS, midnight), source="test", actor=ROBOT, now=midnight)
    asks = [
        partial(treasury.request, BTC // 10, client_id=f"m{place}", now=midnight + timedelta(milliseconds=ms))
        for place, ms in enumerate((-1, 0, 1, 2))
    ]
    results = at_once(*asks)
    assert len(done(results)) == 1
    assert {refusal.code for refusal in refused(results)} == {LimitReached.code}


def test_is_counted_by_the_policys_window_however_many_are_judged_at_once(treasury: Treasury) -> None:
    """Three in ten days: of two that would be the third only one is, and the other takes compliance."""
    window = {
        "name": "three",
        "when": [["kind", "is", "custody.withdrawal"]],
        "sum": "count",
        "per": "customer",
        "seconds": 864_000,
        "at_most": "3",
        "rejections": 1,
        "teams": {"compliance": 1, "treasury": 2},
    }
    enact(treasury.staff, treasury.now, founding(), [window])
    for number in range(ROUNDS):
        treasury.tom = trader(f"Tom{number}", tier=4)
        treasury.deposit(BTC)
        for _ in range(2):
            treasury.screened(sats=SMALL)
        rows = [treasury.request(SMALL) for _ in range(3)]
        screen = partial(actions.report_screening, hits=[], actor=ROBOT, now=treasury.now)
        results = at_once(*[partial(screen, withdrawal_id=row.pk) for row in rows])
        assert not refused(results)
        teams = [dict(ApprovalRequest.objects.get(withdrawal=row).teams) for row in rows]
        assert sorted(map(len, teams)) == [1, 2, 2]


@pytest.mark.parametrize("ending", ["expires", "is rejected"])
def test_never_both_ends_and_builds(treasury: Treasury, ending: str) -> None:
    for _ in range(ROUNDS):
        row = treasury.approved(sats=SMALL)
        psbt, vsize = treasury.psbt_for(row)
        build = partial(actions.store_built, owner=row, psbt=psbt, vsize=vsize, actor=ROBOT, now=treasury.now)
        end: Callable[[], Any] = (
            partial(actions.expire_withdrawal, withdrawal_id=row.pk, actor=ROBOT, now=row.expires_at)
            if ending == "expires"
            else partial(
                actions.reject_withdrawal,
                withdrawal_id=row.pk,
                reason="odd",
                actor=treasury.staff.ana.actor,
                now=treasury.now,
            )
        )
        at_once(build, end, build)
        state = queries.withdrawal(row.pk).state
        is_built = Payment.objects.filter(withdrawal=row).exists()
        assert (state, is_built) in {("built", True), ("expired", False), ("rejected", False)}
        if is_built:
            actions.fail_withdrawal(withdrawal_id=row.pk, reason="over", actor=ROBOT, now=treasury.now)
        assert treasury.funding().held.units == 0
        assert not UtxoLock.objects.filter(released_at=None).exists()
    assert not any(invariants.broken().values())


def test_gives_a_payment_up_or_asks_signers_and_never_both(treasury: Treasury) -> None:
    for _ in range(ROUNDS):
        payment = treasury.built(treasury.approved(sats=SMALL))
        row = payment.owner
        fail = partial(
            actions.fail_withdrawal, withdrawal_id=row.pk, reason="over", actor=ROBOT, now=treasury.now
        )
        ask = partial(actions.mark_asked, payment_id=payment.pk, actor=ROBOT, now=treasury.now)
        deeds: list[Callable[[], Any]] = [fail, ask, ask]
        results: list[Any | Refused] = at_once(*deeds)
        found = queries.payment(payment.pk)
        assert (found.owner.state, found.asked_at is None) in {("failed", True), ("signing", False)}
        if found.owner.state == "failed":
            assert treasury.funding().held.units == 0
            assert queries.free_coins(found.wallet).exists()
        else:
            assert {refusal.code for refusal in refused(results)} == {"payment.still_payable"}
            assert treasury.funding().held.units > 0
            assert not queries.free_coins(found.wallet).exists()
            return  # its coin stays with it
