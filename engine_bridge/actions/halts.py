"""Stopping a market, by one officer at once; and starting it again, by two who did not ask for it.

What is wanted of a market stands on its row. A worker tells the engine whatever stands there by then, so that
messages that overtake each other cannot open a market that was stopped after them. A stop wins over every
release that was asked for before it: signed or not, none of them opens the market any more.

A freeze of the market stops it as well, and nothing opens it while one is in force. Letting go of the freeze
opens nothing: that is another release, signed by itself.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.conf import settings

from core import approvals, audit, freezes, outbox
from core.action import action
from core.actor import Actor
from core.approvals.kinds import Kind
from core.approvals.models import ApprovalRequest
from core.freezes.domain import scopes
from core.freezes.queries import covering
from core.refusals import Refused
from engine_bridge import locks
from engine_bridge.actions import entitled
from engine_bridge.domain.markets import CALL, FROZEN, STOPS
from engine_bridge.events import Event, MarketStateWanted
from engine_bridge.models import Instrument
from engine_bridge.permissions import Permission
from kernel import canonical

TEAMS: Final = {"officers": 2}
_TO: Final = "stop or release markets"


class UnknownStop(Refused):
    """A market is halted or made cancel-only, nothing else."""

    code = "market.unknown_stop"
    status = 422


class Overtaken(Refused):
    """Somebody stopped the market after this release was asked for."""

    code = "market.release_overtaken"


class NotStopped(Refused):
    """There is nothing to release."""

    code = "market.not_stopped"


@action(Event.MARKET_STOPPED)
def stop_market(*, symbol: str, state: str, reason: str, actor: Actor, now: datetime) -> Instrument:
    """Halt the market, or let it take cancellations only, as soon as the engine hears of it.

    A release that waits for signatures is taken back. Whoever signs it at this very moment cannot open the
    market with it either: it is not the one that the row names any more.
    """
    target = entitled.target_of(symbol)
    entitled.officer(actor, Permission.HALT_MARKETS, to=_TO, target=target, now=now)
    why = entitled.said(reason, target=target)
    if state not in STOPS:
        raise UnknownStop("Nothing was stopped: choose halted or cancel_only.", target=target)
    row = entitled.market(symbol)
    if row.wanted_state != state or row.release_request is not None:
        _stop(row, state, reason=why, actor=actor, now=now)
    return row


@action(Event.MARKET_STOPPED)
def stop_frozen_market(*, symbol: str, actor: Actor, now: datetime) -> Instrument | None:
    """Have a market that is frozen take cancellations only, unless it is stopped: whoever may leave may still
    leave, and nothing is matched there by whatever door it comes. None where no such market is listed.

    Asked again it changes nothing, also after the freeze was released and the market with it.
    """
    row = locks.instrument(symbol)
    if row is None or (row.is_stopped and row.release_request is None):
        return row
    for freeze in covering(scopes.market(symbol))[:1]:
        state = row.wanted_state if row.is_stopped else FROZEN
        _stop(row, state, reason=f"frozen: {freeze.reason}", actor=actor, now=now)
    return row


def _stop(row: Instrument, state: str, *, reason: str, actor: Actor, now: datetime) -> None:
    before = {"wanted": row.wanted_state, "state": row.state, "release": row.release_request}
    approvals.take_back(KIND, row, actor=actor, now=now)
    _want(row, state, now=now)
    after = {"wanted": state, "release": None}
    audit.record(Event.MARKET_STOPPED, row, actor=actor, now=now, before=before, after=after, reason=reason)


@action(Event.MARKET_RELEASE_ASKED)
def ask_market_release(*, symbol: str, reason: str, actor: Actor, now: datetime) -> ApprovalRequest:
    """Open the request on which two others decide. The market stays stopped until they have."""
    target = entitled.target_of(symbol)
    officer = entitled.officer(actor, Permission.HALT_MARKETS, to=_TO, target=target, now=now)
    why = entitled.said(reason, target=target)
    row = entitled.market(symbol)
    if not row.is_stopped:
        raise NotStopped("Nothing was asked: this market was not stopped.", target=target)
    freezes.check(scopes.market(row.symbol))
    payload: dict[str, canonical.Value] = {
        "v": 1,
        "kind": KIND.name,
        "deployment": settings.DEPLOYMENT,
        "market": row.symbol,
        "from": row.wanted_state,
        "to": "open",
        "reason": why,
        "maker": str(officer.pk),
    }
    if row.release_request is None:
        # A signature that came at the moment of the stop may have kept an older one from being taken back.
        approvals.take_back(KIND, row, actor=actor, now=now)
    audit.record(Event.MARKET_RELEASE_ASKED, row, actor=actor, now=now, reason=why)
    request = approvals.open(
        KIND,
        payload,
        maker=officer,
        teams=TEAMS,
        subject=row,
        actor=actor,
        now=now,
        facts={"market": row.symbol, "market_state": row.wanted_state},
    )
    Instrument.objects.filter(pk=row.pk).update(release_request=request.pk)
    return request


def _release(request: ApprovalRequest, *, actor: Actor, now: datetime) -> None:
    """Want the market open, through its call auction, in the transaction of the deciding signature."""
    number = int(request.subject.rpartition("/")[2])
    row = Instrument.objects.select_for_update().get(pk=number)
    if not row.is_stopped:
        raise NotStopped("This market was released already.", target=request.subject)
    if row.release_request != request.pk:
        raise Overtaken(
            "Nothing was released: the market was stopped again since this was asked for. Ask for it anew.",
            target=request.subject,
        )
    freezes.check(scopes.market(row.symbol))
    approvals.consume(request, now=now)
    before = row.wanted_state
    _want(row, "open", now=now, call_until=now + CALL)
    audit.record(
        Event.MARKET_RELEASED,
        row,
        actor=actor,
        now=now,
        before={"wanted": before},
        after={"wanted": "open", "request": request.pk},
    )


def _want(row: Instrument, state: str, *, now: datetime, call_until: datetime | None = None) -> None:
    rows = Instrument.objects.filter(pk=row.pk, wanted_state=row.wanted_state)
    rows.update(wanted_state=state, call_until=call_until, release_request=None)
    row.wanted_state = state
    outbox.publish(MarketStateWanted(instrument=row.pk), now=now)


KIND: Final = Kind(
    name="engine.market_release",
    permission=Permission.APPROVE_MARKET_RELEASES,
    on_approved=_release,
    title="Release of a market",
    floor=TEAMS,
    facts=frozenset({"market", "market_state"}),
)
