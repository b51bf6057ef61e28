"""Officers' orders to the signers for tests: drafted and signed by one, or asked for and answered."""

from __future__ import annotations

from core.approvals.actions import submit_signature
from custody import actions
from custody.models import SignerOrder
from tests.officers import Officer
from tests.treasury import Treasury


def drafted(treasury: Treasury, by: Officer | None = None, wallet: str = "hot") -> SignerOrder:
    officer = by or treasury.staff.ana
    return actions.draft_freeze(
        wallet=wallet, reason="a laptop was stolen", actor=officer.actor, now=treasury.now
    )


def signed(treasury: Treasury, row: SignerOrder, by: Officer | None = None) -> SignerOrder:
    officer = by or treasury.staff.ana
    return actions.sign_order(
        order_id=row.pk, signed=officer.order(row), actor=officer.actor, now=treasury.now
    )


def asked(treasury: Treasury, wallet: str) -> SignerOrder:
    """Ana asks for a release, and has signed that she does."""
    ana = treasury.staff.ana
    row = actions.ask_release_of_signers(
        wallet=wallet, reason="the laptop was found", actor=ana.actor, now=treasury.now
    )
    assert row.request is not None
    ana.asks(row.request, treasury.now)
    return row


def answer(treasury: Treasury, row: SignerOrder, officer: Officer, verb: str, reason: str = "") -> None:
    assert row.request is not None
    submit_signature(
        request_id=row.request.pk,
        signed=officer.answer(row.request, verb, reason),
        actor=officer.actor,
        now=treasury.now,
    )
    row.refresh_from_db()
