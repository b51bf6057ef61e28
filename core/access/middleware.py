"""Who is asking: settled for every request, from the edge's token alone, before any view runs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, ClassVar, Final

from django.http import HttpRequest, HttpResponse

from core import clock
from core.access import doors, pages, postures
from core.access.actions.refusing import record_door_refusal
from core.access.domain import tokens
from core.access.models import Identity
from core.actor import Actor
from core.refusals import Refused

log = logging.getLogger(__name__)

BOUND: Final = "access_subject"
"""The session's key for the subject that it belongs to."""


class Nobody:
    """`request.user` where nobody is known."""

    pk: ClassVar[None] = None
    is_authenticated: ClassVar[bool] = False
    is_anonymous: ClassVar[bool] = True
    is_active: ClassVar[bool] = False


class AccessMiddleware:
    """Set `request.identity`, `request.actor`, `request.access`, `request.posture`, or answer 403.

    On the console and service doors nothing gets past without a token that passes every check: there is no
    session, cookie, address or switch that stands in for it. On the other doors the token is not even looked
    at, so it can be no right to anything there.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> HttpResponse:
        request.identity, request.user, request.posture = None, Nobody(), None
        request.actor = _actor(request, None, "")
        rules = doors.rules_of(request.door)
        if rules is None:
            return self.get_response(request)
        now = clock.now()
        request.assertion = request.headers.get(doors.ASSERTION, "")
        try:
            who = doors.bearer(request.assertion, rules=rules, now=now)
        except tokens.BadToken as error:
            # Not audited: anybody can send rubbish, and the log must not grow at their pleasure. But only the
            # edge can have signed a name that cannot be read.
            log.warning("%s door: %s from %s", request.door, error.fault, request.actor.ip or "?")
            if error.fault is tokens.Fault.ILLEGIBLE:
                refusal = doors.Illegible("The edge names somebody in letters that nobody can read.")
                record_door_refusal(refusal=refusal, actor=request.actor, now=now)
            return pages.refused(
                request, "You are not signed in at the edge, or no longer.", code=error.fault
            )
        subject = who.subject if isinstance(who, tokens.User) else who.common_name
        try:
            identity = doors.identity_of(who)
        except Refused as turned_away:
            request.actor = _actor(request, None, subject)
            record_door_refusal(refusal=turned_away, actor=request.actor, now=now)
            return pages.refused(request, str(turned_away), code=turned_away.code)
        request.identity = request.user = identity
        request.access = who
        answer = postures.known(request.assertion, who)
        request.posture = answer.posture if answer else None
        request.actor = _actor(request, identity, subject)
        _keep_session_apart(request, subject)
        response = self.get_response(request)
        _bind_session(request, subject)
        return response

    def process_exception(self, request: Any, exception: Exception) -> HttpResponse | None:
        """A refusal that no view has answered becomes its page."""
        if isinstance(exception, Refused) and doors.rules_of(request.door) is not None:
            return pages.refused(request, str(exception), code=exception.code, status=exception.status)
        return None


def _actor(request: Any, identity: Identity | None, subject: str) -> Actor:
    return Actor(
        identity=identity.pk if identity else None,
        kind=identity.kind if identity else "system",
        label=identity.display_name if identity else f"{request.door} door",
        subject=subject,
        device=request.posture.device if request.posture else "",
        ip=doors.client_ip(request.headers, request.META.get("REMOTE_ADDR", "")),
        request_id=getattr(request, "id", ""),
    )


def _keep_session_apart(request: Any, subject: str) -> None:
    """A session that belongs to another subject ends here; its cookie is worth nothing to anybody else."""
    session = getattr(request, "session", None)
    if session is not None and session.get(BOUND, subject) != subject:
        session.flush()


def _bind_session(request: Any, subject: str) -> None:
    """A session that a view has begun belongs to this subject from now on."""
    session = getattr(request, "session", None)
    if session is not None and session.modified and not session.is_empty():
        session[BOUND] = subject
