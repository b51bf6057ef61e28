"""Raising the network fee of what no block takes: what a payment's screen says of it, and its form."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from backoffice.console import frame
from core import access, clock
from core.refusals import Refused
from custody import actions, estimates, queries
from custody.models import Payment
from custody.permissions import Permission

RATE_DIGITS_MAX: Final = 6
TOLD: Final = "A version with a higher fee is being signed; its answers appear here."


class NoRate(Refused):
    """The fee rate is no whole number."""

    code = "payment.no_rate"
    status = 422


def values(request: frame.StaffRequest, payment: Payment | None, *, now: datetime) -> dict[str, Any]:
    """Its versions with where each stands, and how its fee can be raised, by whom, to what."""
    raising = queries.to_raise(payment, now=now) if payment else None
    may_raise = access.allowed(request.identity, Permission.RAISE_FEE, now)
    return {
        "versions": queries.states_of(queries.versions_of(payment), payment, now=now) if payment else [],
        "raising": raising,
        "may_raise": may_raise,
        "estimate": estimates.estimate(now=now) if raising and may_raise else None,
    }


def ask(request: frame.StaffRequest, payment: Payment | None, *, target: str) -> None:
    """Have a version built at the rate that was typed; Refused."""
    rate = request.POST.get("feerate", "")
    if not (rate.isascii() and rate.isdigit() and len(rate) <= RATE_DIGITS_MAX):
        raise NoRate("Nothing was built: say the fee rate as a whole number.", target=target)
    if payment is None:
        raise NoRate("Nothing was built: there is no transaction yet.", target=target)
    actions.raise_fee(
        payment_id=payment.pk,
        feerate=int(rate),
        reason=request.POST.get("reason", ""),
        actor=request.actor,
        now=clock.now(),
    )
