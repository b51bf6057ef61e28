"""Reads of authenticators and of the ceremonies in which they were used."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from core.access.domain.sessions import ABSOLUTE
from core.access.models import Identity
from core.approvals.expiry import DatabaseClock
from core.factors.domain import glass
from core.factors.domain.factors import State
from core.factors.domain.strength import Needs
from core.factors.models import Challenge, Code, Factor, Glass, Passkey, Registration
from core.outbox import queries as outbox
from core.refusals import NotFound

ALERTED_WITHIN: Final = timedelta(minutes=1)
ALERTS: Final = (
    "factors.mail",
    "factors.webhook",
    "factors.mail_notice",
    "factors.webhook_notice",
    "factors.mail_way_back",
    "factors.webhook_way_back",
)
"""The subscribers that bring alerts and notices out of the house."""


def factors_of(person: UUID, *, states: Sequence[State] = (State.PENDING, State.ACTIVE)) -> list[Factor]:
    """Somebody's authenticators in these states, oldest first; the caller answers for their being seen."""
    wanted = {"user_id": person, "state__in": list(states)}
    keys = Passkey.objects.filter(sealed=False, **wanted)
    found: list[Factor] = [*keys, *Code.objects.filter(**wanted)]
    return sorted(found, key=lambda factor: (factor.begun_at, factor.pk))


def registration_for(registration_id: UUID, *, officer: Identity) -> Registration:
    """Somebody's own invitation to the approver host's registration page; NotFound."""
    row = Registration.objects.filter(pk=registration_id, officer=officer).first()
    if row is None:
        raise NotFound(
            "There is no such invitation of yours.", target=f"factors.registration/{registration_id}"
        )
    return row


def sealed_keys(*, states: Sequence[State] = (State.PENDING, State.ACTIVE)) -> list[Passkey]:
    """The keys in the safes, oldest first."""
    rows = Passkey.objects.filter(sealed=True, state__in=list(states)).select_related("user")
    return list(rows.order_by("begun_at", "id"))


def broken_seals() -> frozenset[UUID]:
    """The keys that have opened an emergency: they open no other, and are to be replaced."""
    opened = Glass.objects.filter(opened_at__isnull=False).values_list("first_key_id", "second_key_id")
    return frozenset(key for pair in opened for key in pair if key is not None)


def opened_lately(*people: UUID) -> bool:
    """Whether these two have opened an emergency together of late, whoever of them asked for it."""
    late = Glass.objects.filter(opened_at__gt=DatabaseClock() - glass.APART)
    return late.filter(asked_by_id__in=people, seconded_by_id__in=people).exists()


def whole_keys() -> list[Passkey]:
    """The keys in the safes with which an emergency can be opened."""
    broken = broken_seals()
    return [key for key in sealed_keys(states=[State.ACTIVE]) if key.pk not in broken]


def glass_in_force() -> Glass | None:
    """The emergency that lasts now, by the database's clock, if there is one."""
    rows = Glass.objects.filter(state=glass.State.OPEN, ends_at__gt=DatabaseClock())
    return rows.select_related("asked_by", "seconded_by").first()


def glass_waiting() -> Glass | None:
    """An emergency that one person has asked for, and that a second may open now."""
    rows = Glass.objects.filter(state=glass.State.ASKED, asked_at__gt=DatabaseClock() - glass.SECOND_WITHIN)
    return rows.select_related("asked_by").order_by("-asked_at").first()


def glasses(*, limit: int = 20) -> list[Glass]:
    """Every emergency, the newest first; the caller has decided that they may be seen."""
    rows = Glass.objects.exclude(state=glass.State.ASKED).select_related(
        "asked_by", "seconded_by", "ended_by"
    )
    return list(rows.order_by("-asked_at")[:limit])


def alerts_waiting(*, now: datetime) -> int:
    """How many alerts nobody outside has taken a minute after they were due for the first time."""
    return outbox.undelivered(ALERTS, before=now - ALERTED_WITHIN)


def active(identity: Identity) -> list[Factor]:
    """The authenticators that this person can use now."""
    return factors_of(identity.pk, states=[State.ACTIVE])


def entered(identity: Identity, *, challenge: str) -> bool:
    """Whether a session that was entered by this ceremony still stands.

    The ceremony was this person's own, is not too old, and its authenticator is still theirs. Whoever holds
    the glass open has entered by the key of the safe.
    """
    row = Challenge.objects.filter(
        pk=challenge, identity=identity, outcome="accepted", used_at__gt=DatabaseClock() - ABSOLUTE
    ).first()
    if row is None:
        return False
    if row.purpose == Needs.SEALED:
        lasting = glass_in_force()
        return lasting is not None and identity.pk in (lasting.asked_by_id, lasting.seconded_by_id)
    theirs = {"pk": row.factor, "user": identity, "state": State.ACTIVE}
    return row.purpose == Needs.ENTER and (
        Passkey.objects.filter(sealed=False, **theirs).exists() or Code.objects.filter(**theirs).exists()
    )


def proves(challenge: str) -> bool:
    """Whether what the ceremony was held with has not been taken away since."""
    row = Challenge.objects.filter(pk=challenge, outcome="accepted").first()
    if row is None:
        return False
    active = {"pk": row.factor, "state": State.ACTIVE}
    return bool(Passkey.objects.filter(**active).exists() or Code.objects.filter(**active).exists())
