"""What a person may do at a moment, asked of the database each time: rights end when they end, not later."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Final, TypeAlias
from uuid import UUID

from django.db.models import Q

from core import action
from core.access.models import Identity, Kind, RoleGrant
from core.access.permissions import known
from core.access.roles import HOLDERS, TEAMS, Role, permissions_of
from core.actor import Actor

Question: TypeAlias = "tuple[frozenset[UUID], datetime, bool]"
Held: TypeAlias = "dict[UUID, frozenset[Role]]"

_seen: Final[ContextVar[dict[Question, Held] | None]] = ContextVar("rights", default=None)


@contextmanager
def one_look() -> Iterator[None]:
    """In this block the same question about the same moment is asked once: for what is shown together.

    Never of an act, which asks for itself, whoever has looked before.
    """
    token = _seen.set({})
    try:
        yield
    finally:
        _seen.reset(token)


def roles_of(identity: Identity | None, now: datetime) -> frozenset[Role]:
    """The roles that an active officer or service holds now; nobody else holds any."""
    return frozenset() if identity is None else _roles_of_all({identity.pk}, now)[identity.pk]


def allowed(identity: Identity | None, permission: str, now: datetime) -> bool:
    """Whether this identity may do that now. None, the suspended and customers may nothing."""
    return bool(HOLDERS.get(known(permission), frozenset()) & roles_of(identity, now))


def powers(identity: Identity | None, now: datetime) -> frozenset[str]:
    """All permissions held now, for menus that show only what would work."""
    return permissions_of(roles_of(identity, now))


def standing_roles_of(identity: Identity | None, now: datetime) -> frozenset[Role]:
    """Those of the roles that are not held for a time: what somebody may grant goes by these alone."""
    return frozenset() if identity is None else standing_roles_of_all({identity.pk}, now)[identity.pk]


def standing_roles_of_all(people: Collection[UUID], now: datetime) -> dict[UUID, frozenset[Role]]:
    """The same for many people at once."""
    return _roles_of_all(people, now, standing=True)


def elevations_of(identity: Identity, now: datetime) -> str:
    """The names of this person's elevations in force, as their audit events carry them; empty without one."""
    grants = RoleGrant.objects.filter(
        identity=identity, revoked_at=None, granted_at__lte=now, valid_until__gt=now
    )
    return " ".join(
        f"access.rolegrant/{grant}" for grant in grants.order_by("id").values_list("pk", flat=True)
    )


def teams_of(identity: Identity | None, now: datetime) -> frozenset[str]:
    """The quorum teams that this person stands in now. A role held for a time gives a seat in none."""
    return frozenset() if identity is None else teams_of_all({identity.pk}, now)[identity.pk]


def teams_of_all(people: Collection[UUID], now: datetime) -> dict[UUID, frozenset[str]]:
    """The same for many people at once."""
    return {
        person: frozenset(team for team, members in TEAMS.items() if members & roles)
        for person, roles in _roles_of_all(people, now, standing=True).items()
    }


def _roles_of_all(
    people: Collection[UUID], now: datetime, *, standing: bool = False
) -> dict[UUID, frozenset[Role]]:
    seen, question = _seen.get(), (frozenset(people), now, standing)
    if seen is None or action.is_open():
        return _ask(people, now, standing=standing)
    if question not in seen:
        seen[question] = _ask(people, now, standing=standing)
    return dict(seen[question])


def _ask(people: Collection[UUID], now: datetime, *, standing: bool) -> Held:
    held: dict[UUID, set[Role]] = {person: set() for person in people}
    grants = RoleGrant.objects.filter(
        Q(valid_until__isnull=True) | Q(valid_until__gt=now),
        identity_id__in=held,
        identity__is_active=True,
        identity__kind__in=[Kind.OFFICER, Kind.SERVICE],
        granted_at__lte=now,
        revoked_at__isnull=True,
    )
    if standing:
        grants = grants.filter(valid_until__isnull=True)
    for person, role in grants.values_list("identity_id", "role"):
        held[person].add(Role(role))
    return {person: frozenset(roles) for person, roles in held.items()}


def officer_behind(actor: Actor) -> Identity | None:
    """The active officer who acts; None for daemons, services, customers and the suspended."""
    if actor.identity is None:
        return None
    return Identity.objects.filter(pk=actor.identity, kind=Kind.OFFICER, is_active=True).first()
