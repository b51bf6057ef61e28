"""Whose role is above whose: nobody gives others rights, or the use of them again, above their own role.

The triggers of the app's second migration ask the same, of everybody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db.models import Q

from core.access import rights
from core.access.models import Identity, Kind, OfficerCredential, RoleGrant
from core.access.roles import GRANTED_BY, Role
from core.staff.domain import changes

ASKED_AS_WELL: Final = ("compliance", "treasury")
"""Of whom the way back from a lost role asks one each, beside those who are always asked."""


def given(change: changes.Change, now: datetime) -> frozenset[Role]:
    """The roles that the change gives somebody, or lets them use (again).

    Those of a suspended person are theirs again on their return. Only two sealed keys give break-glass.
    """
    if not isinstance(change, changes.RETURNS):
        return frozenset(map(Role, changes.roles_given(change)))
    held = RoleGrant.objects.filter(
        Q(valid_until__isnull=True) | Q(valid_until__gt=now), identity_id=change.person, revoked_at=None
    )
    return frozenset(Role(role) for role in held.values_list("role", flat=True)) - {Role.BREAK_GLASS}


def above(held: frozenset[Role], roles: Iterable[Role]) -> list[Role]:
    """Those of the roles that a holder of `held` does not grant."""
    return sorted(role for role in roles if not held & GRANTED_BY[role])


def somebody_grants(roles: frozenset[Role], *, apart_from: UUID, now: datetime) -> bool:
    """Whether there is an active officer, other than this person, whose own role grants all of these."""
    others = _officers(apart_from)
    return any(not above(held, roles) for held in rights.standing_roles_of_all(others, now).values())


def way_back(*, maker: UUID, person: UUID, now: datetime) -> Mapping[str, int]:
    """The quorum where nobody is left who grants the role: one of each team more than otherwise, as far as
    there are people who could sign, so that what is lost can be had back at all.
    """
    can_sign = set(OfficerCredential.objects.filter(revoked_at=None).values_list("officer_id", flat=True))
    others = rights.teams_of_all(_officers(maker, person) & can_sign, now)
    seated = [teams for teams in others.values() if teams]
    there = [team for team in ASKED_AS_WELL if any(team in teams for teams in seated)]
    spare = max(0, len(seated) - sum(changes.TEAMS.values()))
    return {**changes.TEAMS, **dict.fromkeys(there[:spare], 1)}


def _officers(*apart_from: UUID) -> set[UUID]:
    rows = Identity.objects.filter(kind=Kind.OFFICER, is_active=True).exclude(pk__in=apart_from)
    return set(rows.values_list("pk", flat=True))
