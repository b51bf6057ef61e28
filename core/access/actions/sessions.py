"""Sessions at the console: one per officer, entered by a ceremony, and ended at once."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import ClassVar, Final
from uuid import UUID

from core import audit, endings
from core.access import rights
from core.access.domain.networks import Whence
from core.access.domain.sessions import Why
from core.access.events import Event
from core.access.models import Identity, Kind, OfficerSession, SignedOutSubject
from core.access.permissions import Permission
from core.action import action
from core.actor import Actor
from core.refusals import NotAllowed, NotFound, Refused

GROUPS_MAX: Final = 50
"""How many groups of a person the log keeps."""


class SignedOut(NotAllowed):
    """All sessions of the person were ended after this token was issued."""

    code: ClassVar[str] = "access.signed_out"


class WhyMissing(Refused):
    """Ending somebody else's sessions says why."""

    code: ClassVar[str] = "session.reason_missing"
    status: ClassVar[int] = 422


def _own(*, actor: Actor, **_: object) -> endings.People:
    return endings.of(actor.identity)


def _of_person(*, person: UUID, **_: object) -> endings.People:
    return endings.of(person)


@action(Event.SESSION_STARTED, people=_own)
def start_session(
    *,
    idles: bool,
    whence: Whence,
    issued_at: datetime,
    groups: Collection[str] | None = None,
    actor: Actor,
    now: datetime,
) -> OfficerSession:
    """Begin a session for the officer who acts; the one that they had elsewhere ends with it.

    Their token was issued at `issued_at`. Whoever was let in by it before all their sessions were ended, and
    comes here after, gets none: SignedOut. `groups` are those in which the identity provider counts the
    person, None where the edge did not say. They are written down and open nothing.
    """
    officer = actor.identity and (
        Identity.objects.select_for_update(no_key=True)
        .filter(pk=actor.identity, kind=Kind.OFFICER, is_active=True)
        .first()
    )
    if not officer:
        raise NotAllowed("Only an officer has a session here.")
    if is_signed_out(officer.access_subject, issued_at):
        raise SignedOut(
            "No session was started: all your sessions were ended meanwhile. Sign out at the edge "
            "(/cdn-cgi/access/logout) and in again.",
            target=f"access.identity/{officer.pk}",
        )
    before = close_sessions(officer.pk, Why.REPLACED, now=now)
    row = OfficerSession.objects.create(
        officer=officer,
        idles=idles,
        device=whence.device or "",
        ip=whence.ip,
        country=whence.country,
        asn=whence.asn,
        started_at=now,
        seen_at=now,
    )
    audit.record(
        Event.SESSION_STARTED,
        f"access.session/{row.pk}",
        actor=actor,
        now=now,
        before={"replaced": before},
        after={**_facts(whence), "groups": None if groups is None else sorted(groups)[:GROUPS_MAX]},
    )
    return row


@action(Event.SESSION_MOVED, people=_own)
def mark_moved(*, session_id: UUID, whence: Whence, actor: Actor, now: datetime) -> OfficerSession:
    """Write down that a session is used from elsewhere: from now on it only reads. The first move counts."""
    target = f"access.session/{session_id}"
    row = OfficerSession.objects.select_for_update(no_key=True).filter(pk=session_id).first()
    if row is None or row.officer_id != actor.identity:
        raise NotFound("There is no such session.", target=target)
    if row.moved_at is None and row.ended_at is None:
        OfficerSession.objects.filter(pk=row.pk).update(moved_at=now)
        row.moved_at = now
        audit.record(
            Event.SESSION_MOVED,
            target,
            actor=actor,
            now=now,
            before=_facts(whence_of(row)),
            after=_facts(whence),
        )
    return row


@action(Event.SESSION_ENDED, people=_own)
def end_session(*, session_id: UUID, why: Why, actor: Actor, now: datetime) -> None:
    """End one session, by its officer or because a limit has passed. Ending it twice changes nothing."""
    target = f"access.session/{session_id}"
    row = OfficerSession.objects.filter(pk=session_id, officer_id=actor.identity).first()
    if row is None:
        raise NotFound("There is no such session.", target=target)
    if _close(row.pk, why, now=now):
        audit.record(Event.SESSION_ENDED, target, actor=actor, now=now, after={"why": why.value})


@action(Event.SESSIONS_ALL_ENDED, people=_of_person)
def end_all_sessions(*, person: UUID, reason: str, actor: Actor, now: datetime) -> None:
    """End everything that a person has open, and put their subject on the kill list.

    No token that was issued before this moment opens the console again, so that a stolen one is worth nothing
    either; the person signs in anew at the edge. One's own, or with the right to suspend, anybody's.
    """
    target = f"access.identity/{person}"
    if person != actor.identity:
        if not rights.allowed(rights.officer_behind(actor), Permission.SUSPEND_STAFF, now):
            raise NotAllowed("Your role ends nobody else's sessions; nothing was ended.", target=target)
        if not reason.strip():
            raise WhyMissing("Nothing was ended: say why.", target=target)
    officer = Identity.objects.select_for_update(no_key=True).filter(pk=person, kind=Kind.OFFICER).first()
    if officer is None or officer.access_subject is None:
        raise NotFound("There is no such member of staff.", target=target)
    ended = close_sessions(officer.pk, Why.ALL_ENDED, now=now)
    listed, is_new = SignedOutSubject.objects.get_or_create(
        subject=officer.access_subject, defaults={"tokens_before": now}
    )
    if not is_new and listed.tokens_before < now:  # of two at once the later counts, whoever was first here
        SignedOutSubject.objects.filter(pk=listed.pk).update(tokens_before=now)
    audit.record(
        Event.SESSIONS_ALL_ENDED, target, actor=actor, now=now, before={"sessions": ended}, reason=reason
    )


def is_signed_out(subject: str | None, issued_at: datetime) -> bool:
    """Whether all sessions of this subject were ended after the token that was issued then."""
    return SignedOutSubject.objects.filter(subject=subject, tokens_before__gt=issued_at).exists()


def whence_of(row: OfficerSession) -> Whence:
    """Where the session was begun."""
    return Whence(ip=row.ip, asn=row.asn, country=row.country, device=row.device)


def _facts(whence: Whence) -> dict[str, str | None]:
    return {"device": whence.device, "ip": whence.ip, "country": whence.country, "asn": whence.asn}


def close_sessions(person: UUID, why: Why, *, now: datetime) -> list[str]:
    """End what the person has open, in the action that is open here and records it; the sessions' ids."""
    found = list(OfficerSession.objects.filter(officer_id=person, ended_at=None).values_list("pk", flat=True))
    return [str(each) for each in found if _close(each, why, now=now)]


def _close(session: UUID, why: Why, *, now: datetime) -> bool:
    rows = OfficerSession.objects.filter(pk=session, ended_at=None)
    return bool(rows.update(ended_at=now, ended_why=why.value))
