"""What a screen says of the fee rate that is wanted now."""

from __future__ import annotations

from datetime import datetime

from custody.adapters import feerates
from custody.adapters.feerates import Estimate


def estimate(*, now: datetime) -> Estimate | None:
    """What the node estimated lately, as the worker left it; None where nobody can say. It asks no node."""
    try:
        return feerates.last(now=now)
    except feerates.RatesDown:
        return None
