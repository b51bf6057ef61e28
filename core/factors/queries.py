"""Reads of authenticators and of the ceremonies in which they were used."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from core.access.models import Identity
from core.approvals.expiry import DatabaseClock
from core.factors.domain.factors import State
from core.factors.domain.strength import RECENT_FOR
from core.factors.models import Challenge, Code, Factor, Passkey


def factors_of(person: UUID, *, states: Sequence[State] = (State.PENDING, State.ACTIVE)) -> list[Factor]:
    """Somebody's authenticators in these states, oldest first; the caller answers for their being seen."""
    wanted = {"user_id": person, "state__in": list(states)}
    found: list[Factor] = [*Passkey.objects.filter(**wanted), *Code.objects.filter(**wanted)]
    return sorted(found, key=lambda factor: (factor.begun_at, factor.pk))


def active(identity: Identity) -> list[Factor]:
    """The authenticators that this person can use now."""
    return factors_of(identity.pk, states=[State.ACTIVE])


def confirmed_lately(identity: Identity, *, session: str) -> bool:
    """Whether one ceremony of this person held, in this session, within the last ten minutes."""
    return Challenge.objects.filter(
        identity=identity, session=session, outcome="accepted", used_at__gt=DatabaseClock() - RECENT_FOR
    ).exists()
