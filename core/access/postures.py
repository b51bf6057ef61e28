"""Whether the device behind a token is good enough for an act, for HTTP and WebSockets alike.

Nothing here takes a request: a token that was verified, whom it names, a permission and the time are enough.
Every function may wait for the network, so none may be called inside a transaction.
"""

from __future__ import annotations

import functools
from datetime import datetime, timedelta
from typing import ClassVar, Final

from django.conf import settings
from django.db import connection

from core import action
from core.access import sessions
from core.access.adapters.identities import AGAIN_S, FRESH_S, Answer, Desk, asker
from core.access.adapters.shelf import Shelf
from core.access.demands import DEMANDS
from core.access.domain import tokens
from core.access.domain.postures import Check, Meaning, Posture, Verdict, is_member, verdict
from core.refusals import NotAllowed

ACT_S: Final = 60.0
"""How old an answer may be for an act that demands something of the device, while the edge answers."""
LABELS: Final = {Check.MANAGED: "Managed by the exchange", Check.DISK_ENCRYPTION: "Disk encrypted"}
_OPEN: Final = "Freezing, halting and suspending work all the same."


class PostureMissing(NotAllowed):
    """The permission is there, and the device is not good enough, or not known to be."""

    code: ClassVar[str] = "access.posture_unknown"


class PostureFailed(PostureMissing):
    """The edge says that the device lacks what the act demands."""

    code: ClassVar[str] = "access.posture_failed"


class PostureStale(PostureMissing):
    """What the edge knows of the device is too old."""

    code: ClassVar[str] = "access.posture_stale"


class OutsideGroups(PostureMissing):
    """The person is in none of the identity provider's groups that this deployment asks for."""

    code: ClassVar[str] = "access.outside_groups"


_UNKNOWN: Final = (
    "Nothing was done: the edge does not say how this device is. See that the Cloudflare One client is "
    "connected on your work laptop, wait five seconds and send the form again. If it stays so, call whoever "
    f"is on call for the edge. {_OPEN}"
)
_STALE: Final = (
    "Nothing was done: what the edge knows of this device is too old. Disconnect and connect the Cloudflare "
    f"One client, wait a minute, and send the form again. {_OPEN}"
)
_FAILED: Final = {
    Check.MANAGED: (
        "Nothing was done: this is not a device that the exchange manages. Use your work laptop, with the "
        f"Cloudflare One client connected. {_OPEN}"
    ),
    Check.DISK_ENCRYPTION: (
        "Nothing was done: the disk of this device is not encrypted. Turn encryption on (FileVault, "
        "BitLocker, LUKS), or take another work laptop; it is asked anew after five seconds. "
        f"{_OPEN}"
    ),
}
_GROUPS: Final = (
    "Nothing was done: your identity provider no longer counts you among the staff of the console. Ask "
    f"whoever runs it. {_OPEN}"
)


@functools.cache
def desk(team_url: str) -> Desk:
    """This process's desk for questions about bearers."""
    return Desk(asker(team_url), shelf=Shelf(settings.REDIS_URL, apart=str(connection.settings_dict["NAME"])))


def meaning() -> Meaning:
    """What this deployment reads out of an answer; docs/configuration.md."""
    return Meaning(
        rules={check: settings.POSTURE_RULES[check.value] for check in Check},
        groups=settings.STAFF_GROUPS,
        lasts=timedelta(seconds=settings.POSTURE_AGE_S),
    )


def known(token: str, who: tokens.Bearer, *, within_s: float = FRESH_S) -> Answer | None:
    """What the edge says of the bearer; None where it says nothing, and of programs, which have no device.

    What was known ends with the person's session: whoever comes in again is asked about again.
    """
    if not isinstance(who, tokens.User):
        return None
    if action.is_open():
        raise RuntimeError("the network is not asked inside an action")
    ended = sessions.last_end(who.subject)
    since = ended.timestamp() if ended is not None else 0.0
    return desk(settings.ACCESS_TEAM_URL).of(token, who, within_s=within_s, since=since)


def findings(posture: Posture | None, *, now: datetime) -> list[tuple[str, Verdict]]:
    """Each check and what is known of it, for the person's own screen."""
    read = meaning()
    return [(LABELS[check], verdict(check, posture, meaning=read, now=now)) for check in Check]


def demand(permission: str, *, token: str, who: tokens.Bearer, now: datetime) -> datetime | None:
    """Until when the edge's word serves that the device is good enough for what the permission opens; None
    where that takes no posture; else PostureMissing.

    A device that fails is asked about again as soon as the edge may be asked, so that whoever has repaired
    it waits seconds and not minutes.
    """
    checks = DEMANDS[permission]
    if not checks:
        return None
    answer = known(token, who, within_s=ACT_S)
    refusal = lacking(checks, answer.posture if answer else None, now=now)
    if refusal is not None and answer is not None and answer.age_s >= AGAIN_S:
        answer = known(token, who, within_s=AGAIN_S)
        refusal = lacking(checks, answer.posture if answer else None, now=now)
    if refusal is not None or answer is None:
        raise refusal or PostureMissing(_UNKNOWN)
    return now + timedelta(seconds=FRESH_S - answer.age_s)


def lacking(checks: tuple[Check, ...], posture: Posture | None, *, now: datetime) -> PostureMissing | None:
    """What is missing, as the refusal that says what the person can do; None where nothing is."""
    read = meaning()
    said = {check: verdict(check, posture, meaning=read, now=now) for check in checks}
    for check, found in said.items():
        if found is Verdict.FAILED:
            return PostureFailed(_FAILED[check], target=f"posture/{check}")
    for found, kind, sentence in (
        (Verdict.STALE, PostureStale, _STALE),
        (Verdict.UNKNOWN, PostureMissing, _UNKNOWN),
    ):
        if found in said.values():
            named = ",".join(check for check, each in said.items() if each is found)
            return kind(sentence, target=f"posture/{named}")
    if not is_member(posture, meaning=read):
        return OutsideGroups(_GROUPS, target="posture/groups")
    return None
