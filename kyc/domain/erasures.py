"""Erasing a customer: why it may be asked for, how long files are kept before, and a request's steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from kernel import canonical, members

KIND: Final = "kyc.erasure"
_YEAR: Final = timedelta(days=366)
_VERSION: Final = 1
_TIME: Final = "%Y-%m-%dT%H:%M:%SZ"
_MEMBERS: Final = frozenset(
    {"v", "kind", "deployment", "erasure", "customer", "basis", "kept_until", "reason", "maker", "expires"}
)


class State(StrEnum):
    """Where a request to erase stands. Once approved it is carried out by a worker, which alone can."""

    REQUESTED = "requested"
    APPROVED = "approved"
    ERASED = "erased"
    REJECTED = "rejected"
    EXPIRED = "expired"


NEXT: Final[Mapping[State, frozenset[State]]] = {
    State.REQUESTED: frozenset({State.APPROVED, State.REJECTED, State.EXPIRED}),
    State.APPROVED: frozenset({State.ERASED, State.REJECTED, State.EXPIRED}),
    State.ERASED: frozenset(),
    State.REJECTED: frozenset(),
    State.EXPIRED: frozenset(),
}
OPEN: Final = frozenset(state for state, following in NEXT.items() if following)


class Basis(StrEnum):
    """What allows it in law."""

    ASKED = "person_asked"
    KEPT = "kept_long_enough"
    ORDERED = "authority_ordered"

    @property
    def label(self) -> str:
        """The same for people."""
        return {
            Basis.ASKED: "the person asked for it",
            Basis.KEPT: "the time for which files are kept is over",
            Basis.ORDERED: "a court or an authority ordered it",
        }[self]


GONE: Final = (
    "Name and e-mail of the account",
    "Papers, names and dates that providers read, their comments and deliveries",
    "Officers’ notes about the person, and every text about them in the audit log",
    "The account closes: password, API keys and authenticators count no more",
)
"""What an erasure destroys, for good."""
KEPT: Final = (
    "Bookings, deposits and withdrawals, with destinations and the customer’s names for them",
    "Approvals and what was signed, the history of cases without its words, the country",
    "Addresses on the Internet in the audit log; API keys’ labels and allowed addresses",
    "What the identity provider holds: ask it to delete; and backups, until they are deleted",
)
"""What stays: the law on money laundering wants transactions longer, and nobody rewrites the log."""


def kept_until(last: datetime | None, *, years: int) -> datetime | None:
    """Until when the law on money laundering wants the files, so many years after the last booking or
    approval; None where there never was one.
    """
    return None if last is None else last + years * _YEAR


def must_keep(basis: Basis, until: datetime | None, *, now: datetime) -> bool:
    """Whether the law keeps it from being erased now. An authority's order alone goes before that."""
    return basis is not Basis.ORDERED and until is not None and now < until


class BadErasure(ValueError):
    """The payload is not exactly one erasure."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """That one customer is erased; `kept_until` is what was known then, or None."""

    deployment: str
    erasure: UUID
    customer: UUID
    basis: Basis
    kept_until: datetime | None
    reason: str
    maker: UUID
    expires: datetime

    def payload(self) -> Mapping[str, canonical.Value]:
        """The members that are encoded and signed."""
        until = "none" if self.kept_until is None else f"{self.kept_until.astimezone(UTC):%Y-%m-%d}"
        return {
            "v": _VERSION,
            "kind": KIND,
            "deployment": self.deployment,
            "erasure": str(self.erasure),
            "customer": str(self.customer),
            "basis": self.basis.value,
            "kept_until": until,
            "reason": self.reason,
            "maker": str(self.maker),
            "expires": self.expires.astimezone(UTC).strftime(_TIME),
        }


def named(payload: bytes) -> tuple[UUID, UUID]:
    """The erasure and the customer that a payload is about; BadErasure where it is none."""
    found = canonical.decode(payload)
    if not isinstance(found, Mapping) or found.keys() != _MEMBERS:
        raise BadErasure("the members are not those of an erasure")
    if not members.is_version(found["v"], _VERSION) or found["kind"] != KIND:
        raise BadErasure("this is no erasure")
    try:
        return UUID(str(found["erasure"])), UUID(str(found["customer"]))
    except ValueError as error:
        raise BadErasure(str(error)) from error
