"""A ceremony with the code of an app …"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from core import clock
from core.approvals.actions import submit_signature
from core.factors.actions import (
    begin_code,
    end_factor,
    propose_code,
)
from core.factors.domain.strength import Needs
from core.factors.given import Typed
from core.factors.models import Code
from fixtures.authenticator import App
from tests.actions.test_factors_ceremonies import act, answered, asked, touched
from tests.officers import Staff

pytestmark = pytest.mark.django_db


def test_of_an_app_that_was_replaced_is_worth_nothing(staff: Staff) -> None:
    now, ana = clock.now(), staff.ana

    def types(code: str, moment: datetime) -> str:
        row = asked(ana, act(), needs=Needs.ACT)
        return answered(ana, row, Typed(code), act(), needs=Needs.ACT, now=moment).fault

    old = Code.objects.get(user=ana.identity)
    end_factor(factor_id=old.pk, reason="a lost telephone", actor=ana.actor, now=now)
    assert types(ana.app.code(now.timestamp()), now) == "factors.unknown"
    draft = begin_code(label="a new telephone", actor=ana.actor, now=now)
    new = App(draft.secret)
    request = propose_code(
        factor_id=draft.code.pk,
        digits=new.code(now.timestamp()),
        reason="the old one is lost",
        actor=ana.actor,
        now=now,
    )
    assert types(new.code(now.timestamp() + 30), now) == "factors.unknown", "nobody has agreed to it yet"
    submit_signature(request_id=request.pk, signed=staff.ben.answer(request), actor=staff.ben.actor, now=now)
    assert types(new.code(now.timestamp()), now) == "factors.wrong_code", "it was used to show that it works"
    later = now + timedelta(minutes=1)
    assert types(ana.app.code(later.timestamp()), later) == "factors.wrong_code"
    later += timedelta(minutes=1)
    assert types(new.code(later.timestamp()), later) == ""


def test_that_is_guessed_at_keeps_its_owner_from_nothing_but_the_app(staff: Staff) -> None:
    """Whoever stole a token guesses on and on: the passkey answers, and the wait is as long as theirs."""
    began = moment = clock.now()
    right = {staff.ana.app.code(began.timestamp() + 30 * step) for step in range(-3, 400)}
    wrong = next(f"{number:06d}" for number in range(1000) if f"{number:06d}" not in right)
    for number in range(12):
        row = asked(staff.ana, act(), needs=Needs.ACT)
        assert (
            answered(staff.ana, row, Typed(wrong), act(), needs=Needs.ACT, now=moment).fault
            == "factors.wrong_code"
        )
        moment += timedelta(seconds=2**number)
    row, digest = asked(staff.ana, act()), act()
    assert answered(staff.ana, row, touched(staff.ana, row, digest), digest, now=moment).fault == ""
    row = asked(staff.ana, act(), needs=Needs.ACT)
    typed = Typed(staff.ana.app.code(moment.timestamp()))
    assert answered(staff.ana, row, typed, act(), needs=Needs.ACT, now=moment).fault == ""
    assert moment - began < timedelta(hours=2), "twelve guesses take it, of a million codes"


def test_never_takes_a_code_where_money_moves(staff: Staff) -> None:
    now, digest = clock.now(), act()
    row = asked(staff.ana, digest)
    typed = Typed(staff.ana.app.code(now.timestamp()))
    assert answered(staff.ana, row, typed, digest, now=now).fault == "challenge.too_weak"
    row = asked(staff.ana, digest, needs=Needs.ACT)
    assert answered(staff.ana, row, typed, digest, needs=Needs.ACT, now=now).kind == "code"


def test_takes_each_code_once(staff: Staff) -> None:
    now, digest = clock.now(), act()
    typed = Typed(staff.ana.app.code(now.timestamp()))
    faults = []
    for moment in (now, now, now + timedelta(seconds=2)):
        row = asked(staff.ana, digest, needs=Needs.ACT)
        faults.append(answered(staff.ana, row, typed, digest, needs=Needs.ACT, now=moment).fault)
    assert faults == ["", "factors.wrong_code", "factors.wrong_code"]


def test_makes_whoever_guesses_wait_longer_each_time(staff: Staff) -> None:
    now, digest = clock.now(), act()

    def guess(code: str, moment: datetime) -> str:
        row = asked(staff.ana, digest, needs=Needs.ACT)
        return answered(staff.ana, row, Typed(code), digest, needs=Needs.ACT, now=moment).fault

    right = staff.ana.app.code(now.timestamp() + 30)
    wrong = "000000" if right != "000000" else "000001"
    assert guess(wrong, now) == "factors.wrong_code"
    assert guess(right, now) == "factors.wait"
    assert guess(wrong, now + timedelta(seconds=1)) == "factors.wrong_code"
    assert guess(right, now + timedelta(seconds=2)) == "factors.wait"
    assert guess(right, now + timedelta(seconds=30)) == ""
    assert Code.objects.get(user=staff.ana.identity).throttling_failure_count == 0


def test_follows_an_app_whose_clock_drifts(staff: Staff) -> None:
    digest, start = act(), datetime(2026, 11, 28, 9, 0, tzinfo=UTC)
    for day, late in enumerate((30, 60, 90)):
        now = start + timedelta(days=day)
        row = asked(staff.ana, digest, needs=Needs.ACT)
        typed = Typed(staff.ana.app.code(now.timestamp() - late))
        assert answered(staff.ana, row, typed, digest, needs=Needs.ACT, now=now).fault == ""
    assert Code.objects.get(user=staff.ana.identity).drift == -3
