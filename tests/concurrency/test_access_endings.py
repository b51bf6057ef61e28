"""An act that is under way while a right of its officer's ends …"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Any

import pytest
from django.conf import settings
from django.db import transaction

from core import clock
from core.access.actions.sessions import end_all_sessions, end_session, mark_moved, start_session
from core.access.domain.networks import Whence
from core.access.domain.sessions import Why
from core.access.models import OfficerCredential, RoleGrant
from core.access.roles import Role
from core.action import action
from core.actor import Actor
from core.approvals.actions import submit_signature
from core.approvals.models import ApprovalRequest
from core.endings import RightEnded
from core.factors.actions import (
    answer_challenge,
    ask_glass,
    end_factor,
    end_glass,
    issue_challenge,
    open_glass,
)
from core.factors.domain import acts
from core.factors.domain.strength import STRONG_ENOUGH, Needs
from core.factors.given import Touched
from core.factors.models import Passkey
from core.staff.actions import (
    end_elevation,
    propose_change,
    revoke_passkey,
    suspend_person,
)
from core.staff.domain import changes
from tests.emergencies import DIGEST, SESSION, at_the_safe
from tests.officers import SAFES, Officer, Staff, enrol
from tests.racing import closing, until_waiting

HERE = Whence("203.0.113.7", country="DE", device="laptop-1")


class Event(StrEnum):
    DONE = "test.done"


@action(Event.DONE)
def do(*, meanwhile: Callable[[], None], actor: Actor, now: datetime) -> str:
    meanwhile()
    return "done"


@dataclass(frozen=True)
class Ending:
    """One way in which a right ends: whose, what their act rests on, and the act that ends it."""

    of: Officer
    rests_on: tuple[str, ...]
    end: Callable[[], Any]


def decided(change: changes.Change, *, maker: Officer, first: Officer, by: Officer) -> Callable[[], Any]:
    """The second signature under a change of the staff; the first is there."""
    now = clock.now()
    request = propose_change(change=change, reason="it is time", actor=maker.actor, now=now)
    sign(first, request)
    return partial(sign, by, request)


def sign(officer: Officer, request: ApprovalRequest) -> ApprovalRequest:
    return submit_signature(
        request_id=request.pk, signed=officer.answer(request), actor=officer.actor, now=clock.now()
    )


SENIORS = {"ben": Role.SENIOR_OFFICER, "cy": Role.SENIOR_OFFICER}


def elevated(staff: Staff) -> RoleGrant:
    """Sam asked for a role for a shift, and two who may grant it agreed."""
    change = changes.GrantRole(staff.sam.identity.pk, Role.AUDITOR, 1)
    request = propose_change(change=change, reason="a shift", actor=staff.sam.actor, now=clock.now())
    sign(staff.ben, request)
    sign(staff.cy, request)
    return RoleGrant.objects.get(request=request.pk)


def entered(officer: Officer) -> tuple[str, ...]:
    """A session of theirs, entered with the key on their ring: what an act in it rests on."""
    now, key = clock.now(), officer.key
    row = issue_challenge(
        purpose=Needs.ENTER, act="enter", digest=DIGEST, session=SESSION, actor=officer.actor, now=now
    )
    where = {"origin": settings.CONSOLE_ORIGIN, "rp_id": "console.localhost"}
    answered = answer_challenge(
        challenge_id=row.pk,
        given=Touched(key.credential_id, key.assertion(acts.challenge(bytes(row.nonce), DIGEST), **where)),
        purpose=Needs.ENTER,
        digest=DIGEST,
        session=SESSION,
        admits=STRONG_ENOUGH[Needs.ENTER],
        actor=officer.actor,
        now=now,
    )
    assert answered.fault == ""
    sitting = started(officer)
    return (f"access.session/{sitting}", f"factors.entrance/{row.pk}", f"factors.challenge/{row.pk}")


def started(officer: Officer) -> str:
    now = clock.now()
    return str(start_session(idles=True, whence=HERE, issued_at=now, actor=officer.actor, now=now).pk)


def every(staff: Staff) -> dict[str, Callable[[], Ending]]:
    """Each ending, made ready when its turn comes: those before it have ended other rights."""
    ana, sam, dot = staff.ana, staff.sam, staff.dot

    def own(way: Callable[[str], Callable[[], Any]]) -> Ending:
        rests_on = entered(sam)
        return Ending(sam, rests_on, way(rests_on[0].partition("/")[2]))

    def session(act: Callable[..., Any], **given: Any) -> Callable[[str], Callable[[], Any]]:
        return lambda sitting: partial(act, session_id=sitting, actor=sam.actor, now=clock.now(), **given)

    def by_ana(act: Callable[..., Any], **given: Any) -> Callable[[], Any]:
        return partial(act, reason="it was stolen", actor=ana.actor, now=clock.now(), **given)

    def elevation() -> Ending:
        grant = elevated(staff)
        ends = partial(end_elevation, grant=grant.pk, actor=ana.actor, now=clock.now())
        return Ending(sam, (f"access.rolegrant/{grant.pk}",), ends)

    def emergency() -> Ending:
        at_safes = (
            replace(who.actor, proof=at_the_safe(who, safe))
            for who, safe in zip((dot, ana), SAFES, strict=True)
        )
        glass = ask_glass(reason="fire", actor=next(at_safes), now=clock.now())
        open_glass(glass_id=glass.pk, actor=next(at_safes), now=clock.now())
        grant = RoleGrant.objects.get(identity=dot.identity, request=glass.pk)
        ends = partial(end_glass, glass_id=glass.pk, actor=sam.actor, now=clock.now())
        return Ending(dot, (f"access.rolegrant/{grant.pk}",), ends)

    def factor() -> Ending:
        key = Passkey.objects.get(user=sam.identity, sealed=False)
        return Ending(sam, entered(sam)[1:], by_ana(end_factor, factor_id=key.pk))

    def signing() -> Ending:
        """What it has signed is looked at by every act that counts it; there is nothing else to rest on."""
        mine = OfficerCredential.objects.get(officer=sam.identity)
        return Ending(sam, (), by_ana(revoke_passkey, credential=mine.pk))

    def role() -> Ending:
        change = changes.EndRole(dot.identity.pk, Role.AUDITOR)
        ends = decided(change, maker=ana, first=staff.ben, by=staff.cy)
        return Ending(dot, ("access.permission/audit:event:read",), ends)

    def leaving() -> Ending:
        ends = decided(changes.Leave(sam.identity.pk), maker=ana, first=staff.ben, by=staff.cy)
        return Ending(sam, ("access.permission/health:probe:read",), ends)

    def suspension() -> Ending:
        rests_on = ("access.permission/custody:withdrawal:approve",)
        return Ending(staff.cy, rests_on, by_ana(suspend_person, person=staff.cy.identity.pk))

    return {
        "a session's end": lambda: own(session(end_session, why=Why.ENDED)),
        "another session": lambda: own(lambda _: partial(started, sam)),
        "another network": lambda: own(session(mark_moved, whence=Whence("198.51.100.7"))),
        "all sessions' end": lambda: own(lambda _: by_ana(end_all_sessions, person=sam.identity.pk)),
        "an elevation's end": elevation,
        "an emergency's end": emergency,
        "an authenticator's end": factor,
        "a signing passkey's end": signing,
        "a role's end": role,
        "leaving": leaving,
        "a suspension": suspension,
    }


@pytest.mark.usefixtures("real_database")
def test_is_waited_for_and_none_that_rested_on_it_follows() -> None:
    staff = enrol(now=clock.now(), more=SENIORS)
    for name, made in every(staff).items():
        ending = made()
        actor = replace(ending.of.actor, rests_on=ending.rests_on)
        begun, go_on = threading.Event(), threading.Event()

        def slowly(begun: threading.Event = begun, go_on: threading.Event = go_on) -> None:
            begun.set()
            assert go_on.wait(60)

        with ThreadPoolExecutor(2) as beside:
            act = beside.submit(closing(partial(do, meanwhile=slowly, actor=actor, now=clock.now())))
            assert begun.wait(60), act.result()
            ended = beside.submit(closing(ending.end))
            until_waiting([ended])
            waits = not ended.done()
            go_on.set()
            assert act.result() == "done", name
            ended.result()
        assert waits, f"{name} was told to be done while something that rested on it was on its way"
        if ending.rests_on:
            with pytest.raises(RightEnded):
                do(meanwhile=lambda: None, actor=actor, now=clock.now())


@pytest.mark.usefixtures("real_database")
def test_of_two_officers_who_decide_that_the_other_leaves_one_is_second() -> None:
    """Each holds what the other is about to change, or would, if they were not held in one order first."""
    more = {"dot": Role.COMPLIANCE_OFFICER, "eve": Role.SENIOR_OFFICER, "sam": Role.SENIOR_OFFICER}
    staff = enrol(now=clock.now(), more=more)
    two = (staff.cy, staff.dot)
    leaves = [changes.Leave(one.identity.pk) for one in two]
    deeds = [
        decided(leaves[0], maker=staff.ana, first=staff.ben, by=staff.dot),
        decided(leaves[1], maker=staff.sam, first=staff.eve, by=staff.cy),
    ]
    with ThreadPoolExecutor(2) as beside:
        with transaction.atomic():
            list(RoleGrant.objects.select_for_update().filter(identity__in=[one.identity for one in two]))
            begun = [beside.submit(closing(deed)) for deed in deeds]
            until_waiting(begun)
        ends = [one.exception() for one in begun]
    assert sorted(type(end).__name__ for end in ends) == ["NoneType", "NotInQuorum"]


@pytest.mark.django_db
def test_does_not_happen_once_the_elevation_has_run_out_that_it_was_begun_under() -> None:
    staff = enrol(now=clock.now(), more=SENIORS)
    grant = elevated(staff)
    assert grant.valid_until is not None
    actor = replace(staff.sam.actor, rests_on=(f"access.rolegrant/{grant.pk}",))
    soon = grant.valid_until - timedelta(milliseconds=2)
    with pytest.raises(RightEnded, match="ran out"):
        do(meanwhile=partial(time.sleep, 0.003), actor=actor, now=soon)
    assert do(meanwhile=lambda: None, actor=actor, now=grant.granted_at) == "done"


@pytest.mark.django_db
def test_is_not_kept_on_a_word_of_the_device_that_serves_no_longer() -> None:
    sam = enrol(now=clock.now()).sam
    until = clock.now()
    actor = replace(sam.actor, rests_on=(f"access.posture/{until.timestamp():.3f}",))
    with pytest.raises(RightEnded, match="your device, ran out"):
        do(meanwhile=partial(time.sleep, 0.006), actor=actor, now=until - timedelta(milliseconds=5))
    with pytest.raises(RightEnded):
        do(meanwhile=lambda: None, actor=actor, now=until + timedelta(milliseconds=1))
    assert do(meanwhile=lambda: None, actor=actor, now=until - timedelta(minutes=1)) == "done"
