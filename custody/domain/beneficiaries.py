"""Destinations: what a label may be, and when a destination needs an officer's look."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from uuid import UUID

from kernel import encodings

AUTOMATIC: Final = UUID("01900000-0000-7000-8000-0000000005c0")
"""The service identity that answers for requests in which screening found nothing."""
LABEL_MAX: Final = 80
FIRST_USE: Final = "first use of this destination"


class BadLabel(ValueError):
    """The label is empty, too long, or holds characters that do not show."""


class Verdict(StrEnum):
    """What screening says: go on, or wait for an officer."""

    CLEAR = "clear"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class Screening:
    """The verdict, and every reason for it."""

    verdict: Verdict
    reasons: tuple[str, ...]


def label(text: str) -> str:
    """The label as officers will read it: trimmed, composed, one line; BadLabel."""
    found = unicodedata.normalize("NFC", " ".join(text.split()))
    if not 1 <= len(found) <= LABEL_MAX or not encodings.shows(found):
        raise BadLabel(f"a label has 1 to {LABEL_MAX} characters, all of which show")
    return found


def screened(*, is_known: bool, hits: Sequence[str]) -> Screening:
    """A destination that is not known yet waits, and so does everything that hits a list.

    Known is what an officer cleared, and what the customer signed longer ago than the cooling-off.
    """
    reasons = tuple(hits) + (() if is_known else (FIRST_USE,))
    return Screening(Verdict.HOLD if reasons else Verdict.CLEAR, reasons)
