"""What customers sign about themselves: which statements there are, when they count, and from when on the
lane pays by them.

The signers judge all of this again, by their own clocks and journals; what is reckoned here only saves asking
them in vain.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from kernel.customer import BENEFICIARY, CUSTOMER_KEY, REMOVAL

KINDS: Final = (CUSTOMER_KEY, BENEFICIARY, REMOVAL)
ABOUT_DESTINATIONS: Final = (BENEFICIARY, REMOVAL)

PER_DAY_MAX: Final = 20
"""New keys and destinations of one customer; all customers share what a signer learns in a day."""
CLOCKS_APART_MAX: Final = timedelta(minutes=2)
FORGOTTEN: Final = "forgotten"
"""The answer of a signer that had learnt a statement and does not know it any more: it is brought again."""
GOOD_FOR: Final = timedelta(days=1)
"""A statement that was signed longer ago is not taken any more."""
AGAIN_AFTER: Final = timedelta(minutes=10)
"""A signer that refused a statement is brought it again after this: the cause may be gone."""
BROUGHT_FOR: Final = timedelta(days=7)
"""Then nobody brings it any more, but to a signer that has forgotten it; the customer signs a new one."""


class OutOfTime(ValueError):
    """The statement was signed too long ago, or in the future."""


def check_time(said_at: datetime, *, now: datetime) -> None:
    """Nothing, if a statement of that moment is taken now; OutOfTime."""
    if said_at > now + CLOCKS_APART_MAX:
        raise OutOfTime("it was signed in the future, so a clock is wrong")
    if said_at <= now - GOOD_FOR:
        raise OutOfTime("it was signed more than a day ago")


def usable_at(
    key: Mapping[str, datetime],
    destination: Mapping[str, datetime],
    *,
    threshold: int,
    cooling_off: timedelta,
) -> datetime | None:
    """From when on `threshold` signers have known both for long enough; None where too few know them.

    Both say when each signer learnt it. A destination's age counts only from when its key is itself old
    enough, as in the signers (ADR 0018).
    """
    moments = sorted(
        max(destination[token], key[token] + cooling_off) + cooling_off
        for token in key.keys() & destination.keys()
    )
    return moments[threshold - 1] if len(moments) >= threshold else None
