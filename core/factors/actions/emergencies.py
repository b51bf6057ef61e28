"""Breaking the glass. Each step is proved by a sealed key's answer to a question about exactly that step."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from core import audit, endings, outbox
from core.access import rights
from core.access.models import Identity, Kind, RoleGrant
from core.access.roles import Role
from core.action import action
from core.actor import Actor
from core.approvals.expiry import DatabaseClock
from core.factors.domain.glass import LASTS, NEXT, SECOND_WITHIN, State
from core.factors.domain.strength import CHALLENGE_FOR, Needs
from core.factors.events import Event, GlassAlerted, OfficerAlerted
from core.factors.models import Challenge, Glass, Passkey
from core.factors.queries import broken_seals, glass_in_force, opened_lately
from core.refusals import NotAllowed, NotFound, Refused

REASON_CHARS_MAX: Final = 500


class NoSealedKey(NotAllowed):
    """The act was not confirmed with a key out of a safe."""

    code = "factors.no_sealed_key"


class NotBroken(Refused):
    """The glass stays whole; the sentence says why."""

    code = "factors.not_broken"


class BrokenSeal(NotAllowed):
    """The key has opened an emergency before: two people with two keys would go on for ever with them."""

    code = "factors.broken_seal"


class SameTwo(NotAllowed):
    """The two have opened one together of late: with more keys they would go on for as long as these last."""

    code = "factors.same_two"


class TwoPeople(NotAllowed):
    """One person, or one key, is not enough."""

    code = "factors.two_people"


@action(Event.GLASS_ASKED)
def ask_glass(*, reason: str, actor: Actor, now: datetime) -> Glass:
    """The first of two: nothing is open yet, and everybody is told that somebody is at the safe."""
    officer, key = _with_sealed_key(actor)
    if not reason.strip() or len(reason.strip()) > REASON_CHARS_MAX:
        raise NotBroken("Nothing was opened: say what has happened, in a few sentences.")
    if glass_in_force() is not None:
        raise NotBroken("An emergency lasts already; see the band over every screen.")
    _ask_for_a_whole_seal(key)
    row = Glass.objects.create(state=State.ASKED, reason=reason.strip(), asked_by=officer, first_key=key)
    audit.record(Event.GLASS_ASKED, row, actor=actor, now=now, after={"key": key.label}, reason=row.reason)
    _alert_everybody(row, "asked", now=now)
    return row


@action(Event.GLASS_OPENED)
def open_glass(*, glass_id: UUID, actor: Actor, now: datetime) -> Glass:
    """The second person, with the other key: both may stop and see for half an hour, and everybody is told.

    The rights are those of `roles.BREAK_GLASS`, beside what the two may do anyway; no seat in any quorum. The
    database lets one emergency last at a time, and takes no key for a second one, nor the same two people
    within twelve hours: two who can open every safe get one half hour, whatever lies in there.
    """
    officer, key = _with_sealed_key(actor)
    # All that could be open, in one order: of two that are opened at once the second sees the first.
    list(Glass.objects.select_for_update(no_key=True).exclude(state=State.ENDED).order_by("pk"))
    row = _locked(glass_id)
    if State.OPEN not in NEXT[State(row.state)]:
        raise NotBroken("It is open or over already.", target=_name(row))
    if officer.pk == row.asked_by_id or key.pk == row.first_key_id:
        raise TwoPeople("It takes another person, with the other key.", target=_name(row))
    if glass_in_force() is not None:
        raise NotBroken("An emergency lasts already; see the band over every screen.", target=_name(row))
    if opened_lately(row.asked_by_id, officer.pk):
        raise SameTwo(
            "Nothing was opened: you two have opened an emergency together within the last twelve hours, and "
            "what was stopped then is stopped still. Another opens with anybody else on the staff as one of "
            "the two.",
            target=_name(row),
        )
    _ask_for_a_whole_seal(key)
    opened = Glass.objects.filter(
        pk=row.pk, state=State.ASKED, asked_at__gt=DatabaseClock() - SECOND_WITHIN
    ).update(
        state=State.OPEN,
        seconded_by=officer,
        second_key=key,
        opened_at=DatabaseClock(),
        ends_at=DatabaseClock() + LASTS,
    )
    if not opened:
        raise NotBroken("The first person asked too long ago; begin again.", target=_name(row))
    row.refresh_from_db()
    for person in (row.asked_by_id, officer.pk):
        RoleGrant.objects.create(
            identity_id=person,
            role=Role.BREAK_GLASS,
            granted_at=now,
            valid_until=row.ends_at,
            request=row.pk,
        )
    audit.record(
        Event.GLASS_OPENED,
        row,
        actor=actor,
        now=now,
        after={"people": [row.asked_by_id, officer.pk], "key": key.label, "ends_at": row.ends_at},
        reason=row.reason,
    )
    _alert_everybody(row, "opened", now=now)
    return row


def _whose(*, glass_id: UUID, **_: object) -> endings.People:
    both = Glass.objects.filter(pk=glass_id).values_list("asked_by", "seconded_by").first()
    return endings.of(*(both or ()))


@action(Event.GLASS_ENDED, people=_whose)
def end_glass(*, glass_id: UUID, actor: Actor, now: datetime) -> Glass:
    """Anybody on the staff ends it, at once: taking power away needs nobody's leave."""
    officer = rights.officer_behind(actor)
    row = _locked(glass_id)
    if officer is None or not rights.roles_of(officer, now):
        raise NotAllowed("Only the staff ends an emergency.", target=_name(row))
    if State.ENDED not in NEXT[State(row.state)]:
        raise NotBroken("It is over already.", target=_name(row))
    endings.hold_alone(endings.of(row.seconded_by_id))  # who opened it while this waited for them
    Glass.objects.filter(pk=row.pk, state=row.state).update(
        state=State.ENDED, ended_at=DatabaseClock(), ended_by=officer
    )
    RoleGrant.objects.filter(request=row.pk, role=Role.BREAK_GLASS, revoked_at=None).update(revoked_at=now)
    row.refresh_from_db()
    audit.record(Event.GLASS_ENDED, row, actor=actor, now=now, after={"state": row.state})
    _alert_everybody(row, "ended", now=now)
    return row


def _with_sealed_key(actor: Actor) -> tuple[Identity, Passkey]:
    """Who acts, and the sealed key with which they have just confirmed this; NoSealedKey."""
    officer = rights.officer_behind(actor)
    table, _, identifier = actor.proof.partition("/")
    if officer is None or table != "factors.challenge":
        raise NoSealedKey("This takes a key out of the safe.")
    answered = Challenge.objects.filter(
        pk=identifier,
        identity=officer,
        purpose=Needs.SEALED,
        outcome="accepted",
        used_at__gt=DatabaseClock() - CHALLENGE_FOR,
    ).first()
    key = Passkey.objects.filter(pk=answered.factor, sealed=True).first() if answered else None
    if key is None:
        raise NoSealedKey("This takes a key out of the safe.")
    return officer, key


def _ask_for_a_whole_seal(key: Passkey) -> None:
    if key.pk in broken_seals():
        raise BrokenSeal(f"“{key.label}” has opened an emergency before. Take a key whose seal is whole.")


def _locked(glass_id: UUID) -> Glass:
    row = Glass.objects.select_for_update(no_key=True).filter(pk=glass_id).first()
    if row is None:
        raise NotFound("There is no such emergency.", target=f"factors.glass/{glass_id}")
    return row


def _name(row: Glass) -> str:
    return f"factors.glass/{row.pk}"


def _alert_everybody(row: Glass, what: str, *, now: datetime) -> None:
    for person in Identity.objects.filter(kind=Kind.OFFICER, is_active=True).values_list("pk", flat=True):
        outbox.publish(OfficerAlerted(identity=str(person), glass=str(row.pk), what=what), now=now)
    outbox.publish(GlassAlerted(glass=str(row.pk), what=what), now=now)
