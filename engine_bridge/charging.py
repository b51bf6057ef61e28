"""Accounts' fees: joins what officers approved to what the engine takes.

The contract lets nobody ask for an account's fees, but every change of them is an event, and settlement keeps
the last one of each account. So the engine is told until its events say what was approved; where they say
something else afterwards, people hear of it, and it is told again.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.conf import settings

from core.actor import system
from engine_bridge import queries
from engine_bridge.actions import fees as actions
from engine_bridge.adapters import administration
from engine_bridge.domain.fees import Rates
from engine_bridge.models import AccountFees

ACTOR: Final = system("account-fees")
STEPS_MAX: Final = 4
"""So often officers may change their mind while one worker tells the engine; then the next one goes on."""


def assert_fees(*, account: int) -> None:
    """Tell the engine the fees that are wanted of an account; the same again changes nothing. EngineAway.

    The row is read again once the engine has been told: whoever told it other ones meanwhile may have been
    quicker, and then this one's word came last.
    """
    told: list[Rates | None] = []
    for _ in range(STEPS_MAX):
        row = AccountFees.objects.filter(pk=account).first()
        if row is None or told[-1:] == [row.own]:
            return
        _tell(settings.ENGINE_ADMIN_TARGET, row)
        told.append(row.own)


def reconcile_fees(*, now: datetime) -> None:
    """Hold what the engine's events say of every account against what was approved; EngineAway.

    While the mirrors are being rebuilt they say what was once so, and nothing is concluded.
    """
    if queries.settlement().is_rebuilding:
        return
    for open_ in queries.fees_open():
        if open_.wanted == open_.told:
            actions.confirm_fees(account=open_.account, own=open_.told, actor=ACTOR, now=now)
            continue
        if open_.is_settled:
            actions.note_fees_deviated(account=open_.account, told=open_.told, actor=ACTOR, now=now)
        assert_fees(account=open_.account)


def tell_all(target: str) -> None:
    """Tell an engine, which may have begun anew, every account's fees. EngineAway."""
    for row in AccountFees.objects.exclude(maker_ppm=None).order_by("pk"):
        _tell(target, row)


def _tell(target: str, row: AccountFees) -> None:
    approval = row.approved_request.bytes if row.approved_request else b""
    administration.set_fees(target, account=row.pk, own=row.own, reference=approval)
