"""What the screens of a refill and of a sweep have in common."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from backoffice.console import frame, trails
from core import access
from core.approvals import asking
from custody import queries
from custody.domain.withdrawals import CLOCKS_DIFFER_MAX
from custody.models import Refill, Sweep
from custody.permissions import Permission

_MAY: Final = {
    Refill: (Permission.PROPOSE_REFILL, Permission.DISMISS_REFILL),
    Sweep: (Permission.PROPOSE_SWEEP, Permission.DISMISS_SWEEP),
}


def values(request: frame.StaffRequest, row: Refill | Sweep, *, now: datetime) -> dict[str, Any]:
    """Its amount, its request, its transaction, and what whoever looks may do about it."""
    noun, payment = str(row._meta.model_name), queries.payment_of(row)
    may_propose, may_dismiss = (access.allowed(request.identity, each, now) for each in _MAY[type(row)])
    return {
        "noun": noun,
        "adopt": f"adopt_{noun}",
        "dismiss": f"dismiss_{noun}",
        "row": row,
        "payment": payment,
        "collected": queries.collected(payment) if payment else None,
        "outlook": queries.outlook(row),
        "lack": queries.lack_of(row, now=now),
        "lapses_at": row.expires_at + CLOCKS_DIFFER_MAX if row.expires_at else None,
        "holds": queries.held_by(payment) if payment else [],
        "askers": queries.askers_without(request.identity.pk),
        "drafts": asking.drafts([row.request]) if row.request else set(),
        "is_proposed": row.state == "proposed",
        "is_over": row.is_over,
        "is_failable": row.may_become(row.STATES("failed")) and row.state != row.STATES("lapsed"),
        "may_propose": may_propose,
        "may_dismiss": may_dismiss,
        "trail": trails.about(row, identity=request.identity, now=now),
    }


def told(row: Refill | Sweep) -> dict[str, Any]:
    """Where it stands, for programs that wait for it."""
    payment = queries.payment_of(row)
    collected = queries.collected(payment) if payment else None
    return {
        "id": str(row.pk),
        "state": str(row.state),
        "request": str(row.request_id) if row.request_id else None,
        "txid": payment.txid if payment else "",
        "amount": str(row.amount),
        "asset": row.asset,
        "signed": list(collected.signed) if collected else [],
        "threshold": collected.threshold if collected else None,
    }
