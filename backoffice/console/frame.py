"""What surrounds every screen: who is asking, what they may open, what waits for them, what is frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from backoffice.console import waiting
from backoffice.console.entering import has_moved, is_inside
from core import access, clock, deployment
from core.access.domain.postures import Posture
from core.access.domain.tokens import User
from core.access.models import Identity, OfficerSession
from core.access.rights import one_look, roles_of
from core.actor import Actor
from core.factors.models import Glass
from core.factors.queries import glass_in_force
from core.freezes import queries as freezes
from core.freezes.models import Freeze
from core.refusals import Refused


class StaffRequest(HttpRequest):
    """A request as the access middleware hands it on; for the type checker."""

    identity: Identity
    actor: Actor
    officer_session: OfficerSession | None
    assertion: str
    access: User
    posture: Posture | None
    id: str


@dataclass(frozen=True, slots=True)
class Room:
    """One entry of the navigation; `waits` names the count beside it."""

    name: str
    view: str
    icon: str
    permission: str
    waits: str = ""


ROOMS: Final = (
    Room("Home", "home", "inbox", "console:home:read"),
    Room("Approvals", "approvals", "signature", "approvals:request:read", "approvals"),
    Room("Withdrawals", "withdrawals", "arrow-up-right", "custody:withdrawal:read", "withdrawals"),
    Room("Treasury", "treasury", "landmark", "custody:treasury:read", "treasury"),
    Room("Identity", "cases", "user-check", "kyc:case:read", "cases"),
    Room("Markets", "markets", "chart-candlestick", "engine:market:read"),
    Room("Freezes", "freezes", "snowflake", "freezes:freeze:read"),
    Room("Staff", "staff", "users", "access:staff:read"),
    Room("Audit", "audit", "scroll-text", "audit:event:read"),
    Room("Health", "health", "activity", "health:probe:read"),
)


FROZEN_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Entry:
    """A room as this person sees it."""

    room: Room
    address: str
    is_here: bool
    count: int


@dataclass(frozen=True, slots=True)
class Frame:
    """Everything around the content."""

    identity: Identity
    roles: str
    powers: frozenset[str]
    entries: list[Entry]
    frozen: list[Freeze]
    frozen_more: int
    emergency: Glass | None
    has_moved: bool
    deployment: str
    deployment_kind: str
    network: str


def around(request: StaffRequest, *, now: datetime, here: str = "") -> Frame:
    """The frame for whoever asks; `here` is the screen that is open, where it is not the one asked for."""
    with one_look():
        return _around(request, now=now, here=here)


def _around(request: StaffRequest, *, now: datetime, here: str) -> Frame:
    identity = request.identity
    # Before the session is entered, the few pages that open show nothing of what is behind them.
    known = is_inside(request)
    powers = access.powers(identity, now) if known else frozenset()
    counts = waiting.counts(identity, now=now) if known else {}
    frozen = freezes.widest() if "freezes:freeze:read" in powers else []
    return Frame(
        identity=identity,
        roles=", ".join(sorted(role.label for role in roles_of(identity, now))) or "no role",
        powers=powers,
        entries=[
            _entry(room, urlsplit(here).path or request.path, counts)
            for room in ROOMS
            if room.permission in powers
        ],
        frozen=frozen[:FROZEN_SHOWN],
        frozen_more=len(frozen[FROZEN_SHOWN:]),
        emergency=glass_in_force(),
        has_moved=has_moved(request),
        deployment=settings.DEPLOYMENT,
        deployment_kind=deployment.kind(),
        network=settings.NETWORK,
    )


def page(
    request: StaffRequest,
    template: str,
    values: Mapping[str, Any] | None = None,
    *,
    refusal: Refused | None = None,
    now: datetime | None = None,
) -> HttpResponse:
    """The screen inside its frame. A refusal is shown above it, and gives the answer its status."""
    now = now or clock.now()
    # What was typed comes back with a refusal, so that nobody writes a reason twice.
    typed = request.POST if refusal is not None else {}
    context = {
        "frame": around(request, now=now),
        "now": now,
        "refusal": refusal,
        "typed": typed,
        **(values or {}),
    }
    return render(request, template, context, status=refusal.status if refusal else 200)


def _entry(room: Room, path: str, counts: Mapping[str, int]) -> Entry:
    address = reverse(room.view)
    is_here = path == address if address == "/" else path.startswith(address)
    return Entry(room, address, is_here, counts.get(room.waits, 0))
