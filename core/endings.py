"""Acts, and the ends of the rights that they rest on: one after the other, never side by side.

Every act of an officer or a service holds its actor from its first statement to its commit, beside others who
do; whatever ends a right of somebody's holds that person alone. So an end waits for the acts that were first,
and whatever comes after it finds the right gone: once the end has been answered, nothing that rested on it
happens any more, whatever was under way and however it was slowed down.

People are held before any row, all at once and in one order, so that two officers who end each other's rights
at the same moment wait for each other in turn. docs/architecture.md has the order of everything else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar, Final, TypeAlias
from uuid import UUID

from django.db import connection

from core.actor import Actor
from core.refusals import NotAllowed

_LOCKS: Final = 0x656E6473  # the namespace of advisory locks on people
_STAFF: Final = frozenset({"officer", "service"})
PATIENCE_MS: Final = 12_000
"""How long an end waits for what is under way: longer than the longest act of one person takes, a back-test
of ten seconds, so that nobody keeps their rights by keeping busy. Whatever begins later waits behind the end.
"""
_SETTING: Final = "FROM pg_settings WHERE name = 'lock_timeout'"
PATIENTLY: Final = (
    f"(SELECT set_config('lock_timeout', greatest(setting::int, {PATIENCE_MS})::text, true) {_SETTING})"
)
"""A column behind which the locks of the same SELECT wait so long, until the transaction ends."""
_AS_BEFORE: Final = f"(SELECT set_config('lock_timeout', reset_val, true) {_SETTING})"

NEVER: Final = datetime.max.replace(tzinfo=UTC)
Stands: TypeAlias = Callable[[Actor, str, datetime], datetime | None]
"""Until when something stands that an act rests on: NEVER where time does not end it, None if it is over."""


class RightEnded(NotAllowed):
    """What let the act begin has ended before it happened."""

    code: ClassVar[str] = "access.right_ended"


@dataclass(frozen=True, slots=True)
class People:
    """Whom an act is about, besides its actor: whose rights it may end, and whose word it counts.

    `rests` is False where it takes no right, as writing down that somebody was turned away.
    """

    ending: frozenset[UUID] = frozenset()
    counted: frozenset[UUID] = frozenset()
    rests: bool = True


NOBODY: Final = People()
TURNED_AWAY: Final = People(rests=False)


def of(*people: UUID | None) -> People:
    """Those whose rights an act may end."""
    return People(ending=frozenset(person for person in people if person is not None))


@dataclass(frozen=True, slots=True)
class Held:
    """What an act rests on, and until when: on the monotonic clock, None where time ends none of it."""

    until_s: float | None = None

    def check(self) -> None:
        """RightEnded where something that the act was begun with has run out meanwhile."""
        if self.until_s is not None and time.monotonic() >= self.until_s:
            raise RightEnded(
                "Nothing was done: it took so long that your elevation, or what the edge said of "
                "your device, ran out meanwhile. Open the page again."
            )


def hold(actor: Actor | None, about: People, *, now: datetime | None) -> Held:
    """Hold the actor and these people until the open transaction ends; RightEnded where it is too late.

    The caller asks `check` as its last deed before it commits, since time ends a right without anybody's act.
    """
    began_s = time.monotonic()
    if not about.rests:
        return Held()
    if actor is None or now is None or actor.identity is None or actor.kind not in _STAFF:
        _lock(beside=about.counted, alone=about.ending)
        return Held()
    _lock(beside=about.counted | {actor.identity}, alone=about.ending)
    until = NEVER
    for name in actor.rests_on:
        table, _, key = name.partition("/")
        ends_at = _registered[table](actor, key, now)
        if ends_at is None:
            raise RightEnded(
                "Nothing was done: a right of yours, your session or your authenticator ended meanwhile. "
                "Open the page again, and ask a senior officer where you did not expect this.",
                target=f"access.identity/{actor.identity}",
            )
        until = min(until, ends_at)
    return Held() if until == NEVER else Held(began_s + (until - now).total_seconds())


def hold_still(people: Iterable[UUID | None]) -> None:
    """Hold whom the open act counts besides, beside other acts that do."""
    _lock(beside=frozenset(person for person in people if person is not None), alone=frozenset())


def hold_alone(about: People) -> None:
    """Hold people for what ends their rights as a part of the open act."""
    _lock(beside=about.counted, alone=about.ending)


def register(table: str, stands: Stands) -> None:
    """Have names of this table in `Actor.rests_on` judged by `stands`; called from AppConfig.ready."""
    if _registered.setdefault(table, stands) is not stands:
        raise ValueError(f"what {table} names is judged already")


def _lock(*, beside: frozenset[UUID], alone: frozenset[UUID]) -> None:
    """In one order for everybody, each person once: in the stronger way, where both are asked for."""
    wanted = {**{_key(one): "_shared" for one in beside}, **{_key(one): "" for one in alone}}
    if wanted:
        asked = [f"pg_advisory_xact_lock{how}({_LOCKS}, {key})" for key, how in sorted(wanted.items())]
        if alone:
            asked = [PATIENTLY, *asked, _AS_BEFORE]
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {', '.join(asked)}")


def _key(person: UUID) -> int:
    """Two people who share one wait for each other now and then, and no more."""
    return int.from_bytes(person.bytes[-4:], signed=True)


_registered: Final[dict[str, Stands]] = {}
