"""The payload of a tier decision: what officers sign, in bytes that read back as exactly one proposal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from kernel import canonical, members
from kyc.domain.tiers import RANK_MAX

KIND: Final = "kyc.tier"
_VERSION: Final = 1
_TIME: Final = "%Y-%m-%dT%H:%M:%SZ"
_MEMBERS: Final = frozenset(
    {"v", "kind", "deployment", "case", "customer", "tier", "tier_before", "reason", "maker", "expires"}
)


class BadProposal(ValueError):
    """The payload is not exactly one tier decision."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A higher tier for one customer, and the tier that was held when it was proposed."""

    deployment: str
    case: UUID
    customer: UUID
    tier: int
    tier_before: int
    reason: str
    maker: UUID
    expires: datetime

    def payload(self) -> Mapping[str, canonical.Value]:
        """The members that are encoded and signed."""
        return {
            "v": _VERSION,
            "kind": KIND,
            "deployment": self.deployment,
            "case": str(self.case),
            "customer": str(self.customer),
            "tier": self.tier,
            "tier_before": self.tier_before,
            "reason": self.reason,
            "maker": str(self.maker),
            "expires": self.expires.astimezone(UTC).strftime(_TIME),
        }

    @classmethod
    def parse(cls, data: bytes) -> Proposal:
        """The proposal again; BadProposal for a member missing, in excess or out of range."""
        found = canonical.decode(data)
        if not isinstance(found, Mapping) or found.keys() != _MEMBERS:
            raise BadProposal("the members are not those of a tier decision")
        tier, before = _rank(found["tier"]), _rank(found["tier_before"])
        if not members.is_version(found["v"], _VERSION) or found["kind"] != KIND or tier <= before:
            raise BadProposal("this is no raise of a tier")
        try:
            return cls(
                deployment=str(found["deployment"]),
                case=UUID(str(found["case"])),
                customer=UUID(str(found["customer"])),
                tier=tier,
                tier_before=before,
                reason=str(found["reason"]),
                maker=UUID(str(found["maker"])),
                expires=datetime.strptime(str(found["expires"]), _TIME).replace(tzinfo=UTC),
            )
        except ValueError as error:
            raise BadProposal(str(error)) from error


def _rank(value: object) -> int:
    if type(value) is not int or not 0 <= value <= RANK_MAX:
        raise BadProposal("a tier is a small whole number")
    return value
