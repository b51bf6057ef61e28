"""Withdrawals: the list, one of them whole, and what an officer decides about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect, render

from backoffice.console import frame, reading, trails
from backoffice.console.views import raising
from core import access, clock
from core.refusals import Refused
from custody import actions, queries
from custody.domain.withdrawals import CLOCKS_DIFFER_MAX, ENDED, NEXT, State
from custody.permissions import Permission
from customers.events import Event
from kyc import queries as kyc
from kyc.permissions import Permission as Kyc

SHOWN_MAX: Final = 100
SHOWN_OF_CUSTOMER: Final = ("name", "country", "limits", "destination")
TROUBLE: Final = "in trouble"
TABS: Final[Mapping[str, tuple[State, ...]]] = {
    "open": tuple(state for state in State if state not in ENDED),
    "on hold": (State.ON_HOLD,),
    TROUBLE: (),
    "settled": (State.SETTLED,),
    "unpaid": tuple(state for state in State if state in ENDED and state is not State.SETTLED),
    "all": (),
}
"""What each tab of the list holds; no states at all stand for every one, and trouble is
judged."""


def index(request: frame.StaffRequest) -> HttpResponse:
    """The newest of the chosen tab."""
    now = clock.now()
    tab = request.GET.get("tab", "open")
    tab = tab if tab in TABS else "open"
    if tab == TROUBLE:
        rows = queries.needs_care(identity=request.identity, now=now)[:SHOWN_MAX]
    else:
        rows = queries.withdrawals_for(identity=request.identity, now=now, states=TABS[tab])[:SHOWN_MAX]
    values = {"rows": rows, "tab": tab, "tabs": list(TABS), "ended": ENDED, "shown_max": SHOWN_MAX}
    return frame.page(request, "console/withdrawals.html", values, now=now)


def show(request: frame.StaffRequest, withdrawal_id: UUID, refusal: Refused | None = None) -> HttpResponse:
    """One withdrawal: what, where to, for whom, how far, and what can be decided."""
    now = clock.now()
    row = queries.withdrawal_for(withdrawal_id, identity=request.identity, now=now)
    if reading.is_poll(request):
        return render(
            request, "console/standing.html", {"row": row, "is_over": row.state in ENDED, "now": now}
        )
    reading.customer(request, Event.CUSTOMER_READ, row, row.customer_id, SHOWN_OF_CUSTOMER, now=now)
    payment = queries.payment_of(row)
    following = NEXT[State(row.state)]
    tier = kyc.effective_tier(row.customer_id, now=now)
    values = {
        "row": row,
        "payment": payment,
        **raising.values(request, payment, now=now),
        "collected": queries.collected(payment) if payment else None,
        "holds": queries.held_by(payment) if payment else [],
        "lack": queries.lack_of(row, now=now),
        "lapses_at": row.expires_at + CLOCKS_DIFFER_MAX,
        "held_until": queries.held_until(row.customer_id, now=now),
        "is_above_tier": row.state not in ENDED and queries.is_above_tier(row),
        "tier": tier,
        "allowance": queries.allowance(row.customer_id, tier=tier.rank, now=now),
        "is_releasable": row.state == State.ON_HOLD,
        "is_rejectable": State.REJECTED in following,
        "is_askable": row.state == State.REFUSED,
        "is_failable": State.FAILED in following,
        "is_over": row.state in ENDED,
        "void_at": queries.void_at(payment)
        if payment and queries.is_payable_by_lane(payment, now=now)
        else None,
        "kept_until": queries.void_at(payment) if payment and queries.is_kept(row, payment) else None,
        "may_release": access.allowed(request.identity, Permission.RELEASE_WITHDRAWAL, now),
        "may_reject": access.allowed(request.identity, Permission.REJECT_WITHDRAWAL, now),
        "may_see_customer": access.allowed(request.identity, Kyc.SEE_CASES, now),
        "trail": trails.about(row, identity=request.identity, now=now),
    }
    return frame.page(request, "console/withdrawal.html", values, refusal=refusal, now=now)


def document(request: frame.StaffRequest, withdrawal_id: UUID) -> HttpResponse:
    """Where it stands, for programs that wait for it."""
    row = queries.withdrawal_for(withdrawal_id, identity=request.identity, now=clock.now())
    payment = queries.payment_of(row)
    return JsonResponse(
        {
            "id": str(row.pk),
            "state": str(row.state),
            "reason": row.reason,
            "request": str(row.request_id) if row.request_id else None,
            "txid": payment.txid if payment else "",
            "amount": str(row.amount),
            "asset": row.asset,
            "customer": str(row.customer_id),
        }
    )


def release(request: frame.StaffRequest, withdrawal_id: UUID) -> HttpResponse:
    """Put a withdrawal on hold before the checkers; whoever does it is its maker."""
    try:
        row = actions.release_from_screening(
            withdrawal_id=withdrawal_id,
            reason=request.POST.get("reason", ""),
            actor=request.actor,
            now=clock.now(),
        )
    except Refused as refusal:
        return show(request, withdrawal_id, refusal)
    messages.success(request, "Released from screening. You are its maker now, so others must approve it.")
    return redirect("approval", row.request_id)


def reject(request: frame.StaffRequest, withdrawal_id: UUID) -> HttpResponse:
    """Refuse it; the customer's funds are free again."""
    return _act(
        request, withdrawal_id, actions.reject_withdrawal, lambda: f"Rejected. {_freed(withdrawal_id)}"
    )


def fail(request: frame.StaffRequest, withdrawal_id: UUID) -> HttpResponse:
    """Give up a withdrawal whose transaction can never pay."""
    return _act(request, withdrawal_id, actions.fail_withdrawal, lambda: f"Given up. {_freed(withdrawal_id)}")


def ask_again(request: frame.StaffRequest, withdrawal_id: UUID) -> HttpResponse:
    """Put the same transaction before the same signers once more."""
    told = "The signers are being asked again; their answers appear here."
    return _act(request, withdrawal_id, actions.ask_again, lambda: told)


def raise_fee(request: frame.StaffRequest, withdrawal_id: UUID) -> HttpResponse:
    """A further version of its transaction at a higher fee rate, put before the signers."""

    def act(*, withdrawal_id: UUID, **_: Any) -> None:
        payment = queries.payment_of(queries.withdrawal(withdrawal_id))
        raising.ask(request, payment, target=f"custody.withdrawal/{withdrawal_id}")

    return _act(request, withdrawal_id, act, lambda: raising.TOLD)


def _act(
    request: frame.StaffRequest, withdrawal_id: UUID, act: Callable[..., object], told: Callable[[], str]
) -> HttpResponse:
    """Do it for the reason that was given; back to the page, with what is told once it is done."""
    try:
        act(
            withdrawal_id=withdrawal_id,
            reason=request.POST.get("reason", ""),
            actor=request.actor,
            now=clock.now(),
        )
    except Refused as refusal:
        return show(request, withdrawal_id, refusal)
    messages.success(request, told())
    return redirect("withdrawal", withdrawal_id)


def _freed(withdrawal_id: UUID) -> str:
    """What became of the customer's funds."""
    row = queries.withdrawal(withdrawal_id)
    payment = queries.payment_of(row)
    if payment is None or not queries.is_kept(row, payment):
        return "The customer's funds are free again."
    return (
        f"The signers' lane could still pay it until {queries.void_at(payment):%H:%M} UTC: "
        "the customer's funds and the coins stay held until then."
    )
