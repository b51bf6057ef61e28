"""Verification tiers and the levels that lead to them, as data.

The limit of a tier is a rolling day's withdrawals in US dollars; None means no daily cap. A jurisdiction may
narrow a tier; it never widens one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final


class Feature(StrEnum):
    """What a tier opens."""

    DEPOSIT = "deposit"
    TRADE = "trade"
    WITHDRAW = "withdraw"


ALL: Final = frozenset(Feature)
NOTHING: Final[frozenset[Feature]] = frozenset()


@dataclass(frozen=True, slots=True)
class Tier:
    """One step of verification; `withdraw_usd_per_day` is None where no daily cap applies."""

    rank: int
    name: str
    withdraw_usd_per_day: Decimal | None
    features: frozenset[Feature]

    def opens(self, feature: Feature) -> bool:
        return feature in self.features


TIERS: Final[tuple[Tier, ...]] = (
    Tier(0, "E-mail", Decimal(0), NOTHING),
    Tier(1, "Basic", Decimal(500), ALL),
    Tier(2, "Standard", Decimal(10_000), ALL),
    Tier(3, "Enhanced", Decimal(100_000), ALL),
    Tier(4, "Institutional", None, ALL),
)
RANK_MAX: Final = TIERS[-1].rank
AUTOMATIC_RANK_MAX: Final = 2
"""Above this a provider's yes is not enough: officers decide, under approval."""

# The EU asks for due diligence from the start, so a tier without a checked document opens nothing there.
_EU: Final = "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK"
EU: Final = frozenset(_EU.split())
# FATF's high-risk jurisdictions subject to a call for action.
BLOCKED: Final[Mapping[str, str]] = {"IR": "IRN", "KP": "PRK", "MM": "MMR"}


def tier(rank: int, *, country: str) -> Tier:
    """The tier of that rank as it holds for a customer of that country (ISO 3166-1 alpha-2)."""
    found = TIERS[rank]
    if country in EU and rank == 1:
        return replace(found, withdraw_usd_per_day=Decimal(0), features=NOTHING)
    return found


def is_blocked(country: str) -> bool:
    """Whether nobody from there is served; takes alpha-2 and alpha-3 codes."""
    return country.upper() in BLOCKED or country.upper() in BLOCKED.values()


@dataclass(frozen=True, slots=True)
class Level:
    """A provider's verification programme: the rank it can lead to, and the kind of applicant it is for."""

    name: str
    rank: int
    applicant_type: str
    reports: frozenset[str] = frozenset()

    @property
    def is_automatic(self) -> bool:
        return self.rank <= AUTOMATIC_RANK_MAX


LEVELS: Final[Mapping[str, Level]] = {
    level.name: level
    for level in (
        Level("kyc-basic", 1, "individual"),
        Level(
            "kyc-standard",
            2,
            "individual",
            reports=frozenset({"document", "facial_similarity_photo", "watchlist_standard"}),
        ),
        Level("kyc-enhanced", 3, "individual", reports=frozenset({"proof_of_address"})),
        Level("kyb-institutional", 4, "company"),
    )
}

VALID_FOR: Final = timedelta(days=5 * 365)
"""How long an approved verification counts before the customer is asked again."""


def effective(
    *, approved: Iterable[Level], officers_rank: int, has_final_no: bool, caps: Iterable[int], country: str
) -> int:
    """The rank a customer holds: the best that was earned, under every cap; nothing after a final no.

    An approved level above the automatic ranks earns nothing by itself; what officers granted counts.
    """
    if has_final_no or is_blocked(country):
        return 0
    earned = max([officers_rank, *(level.rank for level in approved if level.is_automatic)])
    return min([earned, *caps])
