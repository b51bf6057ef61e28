"""An act of any kind that does not come about …"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest
from django.db import transaction

from core import clock
from core.approvals import kinds
from core.approvals.actions import expire_request
from core.approvals.actions.signatures import ReasonMissing
from core.approvals.models import ApprovalRequest
from core.audit.models import AuditEvent
from core.refusals import Refused
from tests import asking
from tests.approvals import overdue
from tests.exchange import Exchange
from tests.officers import Officer
from tests.treasury import ROBOT

ENDS: Final = {
    "approvals.policy": ("approvals.policy.rejected", "approvals.policy.rejected"),
    "custody.adjustment": ("custody.adjustment.rejected", "custody.adjustment.expired"),
    "custody.refill": ("custody.refill.rejected", "custody.refill.expired"),
    "custody.sweep": ("custody.sweep.rejected", "custody.sweep.expired"),
    "custody.withdrawal": ("custody.withdrawal.rejected", "custody.withdrawal.expired"),
    "factors.enrol_code": ("factors.factor.dropped", "factors.factor.dropped"),
    "factors.enrol_passkey": ("factors.factor.dropped", "factors.factor.dropped"),
    "factors.enrol_sealed": ("factors.factor.dropped", "factors.factor.dropped"),
    "kyc.erasure": ("kyc.erasure.rejected", "kyc.erasure.expired"),
    "kyc.tier": ("kyc.tier.not_approved", "kyc.tier.not_approved"),
    "signer.registry": ("custody.signer_order.rejected", "custody.signer_order.expired"),
    "signer.release": ("custody.signer_order.rejected", "custody.signer_order.expired"),
    "signer.reopen": ("custody.signer_order.rejected", "custody.signer_order.expired"),
}
"""Where a row waits for the answer: what becomes of it at a no, and at silence, in the log's words."""
LATER: Final = {"custody.refill", "custody.sweep", "custody.withdrawal", "kyc.erasure"}
"""What is carried out after its approval, so that the second deadline can pass before that."""


@contextmanager
def undone() -> Iterator[None]:
    """What happens here has not happened."""
    point = transaction.savepoint()
    yield
    transaction.savepoint_rollback(point)


def test_had_its_reason_and_ends_at_a_no_with_one_and_at_either_deadline(exchange: Exchange) -> None:
    now, told = clock.now(), set[str]()
    officers = asking.promote_dot(exchange, now)
    for ask in asking.of_every_kind(exchange, now):
        if not told:  # a customer asks for a withdrawal
            assert ask(" ").kind == "custody.withdrawal"
        else:
            with undone(), pytest.raises(Refused, match=r"say (why|what)|reason"):
                ask(" \n")
        request = ask("as agreed")
        told.add(request.kind)
        if request.kind in ENDS:
            assert _endings(request, officers) == ENDS[request.kind], request.kind
        else:  # nothing of it waits; Zoë must have come before she can leave
            asking.approve(request, officers, now, follows=True)
    assert told == kinds.registered().keys()
    for follows in ("on_rejected", "on_expired"):
        waiting = {
            one.name for one in kinds.registered().values() if getattr(one, follows) is not kinds.nothing
        }
        assert waiting == ENDS.keys(), follows


def _endings(request: ApprovalRequest, officers: tuple[Officer, ...]) -> tuple[str, str]:
    """What the log says of the row at a no, and at silence; of what is carried out later, twice the same."""
    now, asks = clock.now(), kinds.named(request.kind).asks
    with undone():
        if asks:
            officers[0].asks(request, now)
        with pytest.raises(ReasonMissing):
            asking.sign(officers[1], request, now, " ")
        asking.sign(officers[1], request, now, "no")
        assert request.state == "rejected"
        no = _last_but("approvals.request.signed")
    silences = {_silence(request, "approve_by")}
    if request.kind in LATER:
        with undone():
            asking.approve(request, officers, now, follows=True)
            silences.add(_silence(request, "execute_by"))
    (silence,) = silences
    return no, silence


def _silence(request: ApprovalRequest, deadline: str) -> str:
    with undone():
        overdue(request, deadline)
        assert expire_request(request_id=request.pk, actor=ROBOT, now=clock.now())
        said = _last_but("approvals.request.expired")
    request.refresh_from_db()
    return said


def _last_but(own: str) -> str:
    """The newest event but the request's own, which may stand before or behind it."""
    newest = [event.doc["action"] for event in AuditEvent.objects.order_by("-id")[:2]]
    newest.remove(own)
    return str(newest[0])
