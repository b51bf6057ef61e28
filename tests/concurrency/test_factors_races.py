"""Two answers at the same moment …"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from core import clock
from core.access.models import RoleGrant
from core.access.roles import Role
from core.approvals.actions import withdraw_request
from core.approvals.models import ApprovalRequest
from core.audit.models import AuditEvent
from core.factors import queries
from core.factors.actions import (
    Outcome,
    answer_challenge,
    ask_glass,
    end_factor,
    end_glass,
    issue_challenge,
    open_glass,
)
from core.factors.domain import acts
from core.factors.domain.strength import STRONG_ENOUGH, Needs
from core.factors.given import Given, Touched, Typed
from core.factors.models import Challenge, Glass, Passkey
from customers.actions import check_code
from fixtures.authenticator import Authenticator
from tests import traders
from tests.actions.test_factors_enrolment import register, sign
from tests.emergencies import at_the_safe
from tests.officers import SAFES, Officer, enrol
from tests.racing import at_once, done
from tests.treasury import ROBOT

ROUNDS = 6
SESSION = "a" * 64
DIGEST = b"\x06" * 32


def asked(officer: Officer) -> Challenge:
    return issue_challenge(
        purpose=Needs.ACT, act="x", digest=DIGEST, session=SESSION, actor=officer.actor, now=clock.now()
    )


def answered(officer: Officer, row: Challenge, given: Given) -> Outcome:
    return answer_challenge(
        challenge_id=row.pk,
        given=given,
        purpose=Needs.ACT,
        digest=DIGEST,
        session=SESSION,
        admits=STRONG_ENOUGH[Needs.ACT],
        actor=officer.actor,
        now=clock.now(),
    )


@pytest.mark.usefixtures("real_database")
def test_to_one_question_one_is_heard() -> None:
    ana = enrol(now=clock.now()).ana
    for _ in range(ROUNDS):
        row = asked(ana)
        challenge = acts.challenge(bytes(row.nonce), DIGEST)
        where = {"origin": "http://console.localhost:8000", "rp_id": "console.localhost"}
        # Each is good by itself: two assertions, with two counters, over the same question.
        given = [Touched(ana.key.credential_id, ana.key.assertion(challenge, **where)) for _ in range(4)]
        faults = [one.fault for one in done(at_once(*(partial(answered, ana, row, each) for each in given)))]
        assert "" in faults or "factors.counter" in faults
        assert faults.count("challenge.used") == 3
        assert len([fault for fault in faults if fault != "challenge.used"]) == 1
    events = AuditEvent.objects.filter(doc__action__startswith="factors.ceremony.")
    assert events.count() == ROUNDS * 5


@pytest.mark.usefixtures("real_database")
def test_with_one_code_to_two_questions_one_is_heard() -> None:
    staff = enrol(now=clock.now())
    for officer in (staff.ana, staff.ben, staff.cy, staff.dot):
        typed = Typed(officer.app.code(clock.now().timestamp()))
        rows = [asked(officer) for _ in range(3)]
        faults = [
            one.fault for one in done(at_once(*(partial(answered, officer, row, typed) for row in rows)))
        ]
        assert faults.count("") == 1
        assert set(faults) <= {"", "factors.wrong_code", "factors.wait"}


@pytest.mark.usefixtures("real_database")
def test_with_one_code_of_a_customer_one_is_heard() -> None:
    now = clock.now()
    tom = traders.enrol("Tom", now=now, scopes=("read",)).customer
    app = traders.second_factor(tom.pk, now=now)
    later = now + timedelta(seconds=30)
    for code in (app.code(later), app.recovery_codes[0]):
        check = partial(check_code, customer_id=tom.pk, code=code, act="x", actor=ROBOT, now=later)
        faults = [one.fault for one in done(at_once(*[check] * 4))]
        assert faults.count("") == 1, faults
        assert {*faults} <= {"", "factors.wrong_code", "factors.wait"}


@pytest.mark.usefixtures("real_database")
def test_to_agree_to_a_key_and_to_lose_it_leave_it_lost() -> None:
    """The second person's signature arrives while its owner says that the key was stolen."""
    staff = enrol(now=clock.now())
    for _ in range(ROUNDS):
        request = register(staff.eve, Authenticator())
        key = Passkey.objects.get(user=staff.eve.identity, state="pending")
        lose = partial(end_factor, factor_id=key.pk, reason="stolen", actor=staff.eve.actor, now=clock.now())
        at_once(partial(sign, staff.ben, request), lose)
        key.refresh_from_db()
        assert key.state == "ended"
        assert key not in queries.active(staff.eve.identity)
        if ApprovalRequest.objects.get(pk=request.pk).state == "open":  # nobody could agree to it any more
            withdraw_request(request_id=request.pk, reason="stolen", actor=staff.eve.actor, now=clock.now())


@pytest.mark.usefixtures("real_database")
def test_to_two_emergencies_open_one_and_it_is_ended_once() -> None:
    """Each of two people asked for one, and both open the other's at the same moment. Then one of the two and
    somebody else end it, twice.
    """
    staff = enrol(now=clock.now())
    dot, ana = (
        replace(who.actor, proof=at_the_safe(who, safe))
        for who, safe in zip((staff.dot, staff.ana), SAFES, strict=True)
    )
    one, other = (ask_glass(reason="fire", actor=actor, now=clock.now()) for actor in (dot, ana))
    at_once(
        partial(open_glass, glass_id=one.pk, actor=ana, now=clock.now()),
        partial(open_glass, glass_id=other.pk, actor=dot, now=clock.now()),
    )
    assert sorted(Glass.objects.values_list("state", flat=True)) == ["asked", "open"]
    assert RoleGrant.objects.filter(role=Role.BREAK_GLASS, revoked_at=None).count() == 2
    opened = Glass.objects.get(state="open").pk
    ends = [partial(end_glass, glass_id=opened, actor=who, now=clock.now()) for who in (dot, staff.sam.actor)]
    assert len(done(at_once(*ends, *ends))) == 1
    assert not RoleGrant.objects.filter(role=Role.BREAK_GLASS, revoked_at=None).exists()
    assert AuditEvent.objects.filter(doc__action="factors.glass.ended").count() == 1
