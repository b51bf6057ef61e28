"""What can be approved: each app registers its kinds of act, with what follows a yes or a no."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Protocol

from kernel.approval import Verb

if TYPE_CHECKING:
    from core.access.models import Identity
    from core.actor import Actor
    from core.approvals.models import ApprovalRequest


class Answered(Protocol):
    """What runs when a request is decided, in the transaction of the deciding signature."""

    def __call__(self, request: ApprovalRequest, *, actor: Actor, now: datetime) -> object:
        """Carry the decision into the app's own rows; a Refused raised here undoes the signature too."""


class Conflict(Protocol):
    """Whether this officer has an interest of their own in the request."""

    def __call__(self, request: ApprovalRequest, officer: Identity) -> str | None:
        """A sentence that says which, or None."""


class Confirms(Protocol):
    """Which decoder must confirm this officer's agreement to the request."""

    def __call__(self, request: ApprovalRequest, officer: Identity) -> bytes | None:
        """The decoder's public key; b"" where the officer should have one and has none; None if not asked."""


def nothing(request: ApprovalRequest, *, actor: Actor, now: datetime) -> object:
    """For kinds that only watch the request's own state."""
    return None


def no_conflict(request: ApprovalRequest, officer: Identity) -> str | None:
    """For kinds in which nobody but the maker can have an interest."""
    return None


def no_confirmation(request: ApprovalRequest, officer: Identity) -> bytes | None:
    """For kinds in which the passkey's word is enough."""
    return None


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of act under approval. `permission` is what an officer needs to sign, beside standing in a team.

    `floor` is the least that any request of this kind asks for, and `people_min` how many people besides the
    maker, where another registry names the teams: a rule of the policy adds to both. `facts` name what it
    tells the policy beside what every act does; docs/policy.md lists them.
    A `governed` kind is refused where the policy has no rule for it; the others keep the quorum they ask for.
    A `fixed` one keeps its quorum whatever the policy says; the sentence says why.
    `confirms` says whose agreement must be confirmed on an offline decoder.
    `approve_within` and `execute_within` are the longest that a request of this kind waits for its quorum,
    and for its execution after that; a rule of the policy can only say less.
    Only of a `waivable` kind can a policy let anything through without officers.
    Where the maker `asks`, nobody can answer before they have signed that they ask for it: signers want that.
    `agreeing` is the verb that counts towards the quorum; signers let go of something on release alone.
    """

    name: str
    permission: str
    on_approved: Answered = nothing
    on_rejected: Answered = nothing
    on_expired: Answered = nothing
    title: str = ""
    floor: Mapping[str, int] = field(default_factory=dict)
    people_min: int = 1
    facts: frozenset[str] = frozenset()
    conflict: Conflict = no_conflict
    agreeing: Verb = Verb.APPROVE
    confirms: Confirms = no_confirmation
    governed: bool = False
    fixed: str = ""
    approve_within: timedelta = timedelta(hours=1)
    execute_within: timedelta = timedelta(hours=1)
    waivable: bool = False
    asks: bool = False


class UnknownKind(LookupError):
    """A request of a kind that no app registers: a programming error or a forged row."""


_registered: Final[dict[str, Kind]] = {}


def register(kind: Kind) -> None:
    """Make a kind known; called from AppConfig.ready. The same name twice is an error."""
    if _registered.setdefault(kind.name, kind) is not kind:
        raise ValueError(f"approval kind {kind.name} is registered twice")


def named(name: str) -> Kind:
    """The kind of that name; UnknownKind."""
    try:
        return _registered[name]
    except KeyError:
        raise UnknownKind(name) from None


def registered() -> Mapping[str, Kind]:
    """Every kind by its name."""
    return MappingProxyType(_registered)
