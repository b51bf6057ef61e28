"""What was approved and waits, while fewer stand behind it by now than it takes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from core.approvals.domain.requests import State as RequestState
from core.approvals.lacks import Lack, lacks_of
from core.approvals.models import ApprovalRequest
from custody.models import Owner, Refill, Sweep, Withdrawal

WAITING: Final[Mapping[type[Owner], tuple[str, ...]]] = {
    Withdrawal: ("approved", "built", "signing", "refused"),
    Refill: ("approved", "built", "exported"),
    Sweep: ("approved", "built", "signing", "refused"),
}
"""The states in which it still takes a quorum in force for it to go on."""


def bereft(*, now: datetime) -> list[tuple[Owner, Lack]]:
    """Withdrawals, refills and sweeps that go no step further, since too few count who approved them."""
    found: list[tuple[Owner, Lack]] = []
    for model, states in WAITING.items():
        rows = _all(model).filter(state__in=states, request__isnull=False)
        owners: dict[UUID, Owner] = {row.request.pk: row for row in rows.select_related("request__maker")}
        lacks = lacks_of([row.request for row in owners.values() if row.request], now)
        found += [
            (owners[request], lack) for request, lack in lacks.items() if _is_held(owners[request], lack)
        ]
    return found


def bereft_ids(model: type[Owner], *, now: datetime) -> list[UUID]:
    """Those of one kind, by id."""
    return [row.pk for row, _ in bereft(now=now) if isinstance(row, model)]


def lack_of(owner: Owner, *, now: datetime) -> Lack | None:
    """Who approved it and counts no longer, where it waits because of that; None where it does not."""
    if owner.request is None or owner.state not in WAITING[type(owner)]:
        return None
    lack = lacks_of([owner.request], now).get(owner.request.pk)
    return lack if lack is not None and _is_held(owner, lack) else None


def waiting_for(request: ApprovalRequest) -> Owner | None:
    """What still waits for this approval to be in force, though it was used up already."""
    if request.state != RequestState.CONSUMED:
        return None
    for model, states in WAITING.items():
        row: Owner | None = _all(model).filter(request=request, state__in=states).first()
        if row is not None:
            return row
    return None


def _all(model: type[Owner]) -> Any:
    return model._default_manager.all()


def _is_held(owner: Owner, lack: Lack) -> bool:
    """Before it is built, and before a bundle goes out, whoever asked is looked at as well."""
    asked = lack.asked if owner.state == "approved" or isinstance(owner, Refill) else None
    return bool(lack.missing) or asked is not None
