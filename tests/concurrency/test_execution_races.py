"""Workers who carry out one approved act of any kind at the same moment …"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Final
from uuid import UUID

import pytest

from core import audit, clock
from core.action import action
from core.actor import Actor
from core.approvals import kinds
from core.approvals.models import ApprovalRequest
from core.audit.models import AuditEvent
from core.refusals import Refused
from tests import asking
from tests.exchange import stock
from tests.racing import at_once, done

EFFECTS: Final = {
    "approvals.policy": "approvals.policy.published",
    "custody.adjustment": "custody.adjustment.posted",
    "custody.refill": "custody.refill.approved",
    "custody.sweep": "custody.sweep.approved",
    "custody.withdrawal": "custody.withdrawal.approved",
    "engine.fee_level": "engine.fees.approved",
    "engine.market_release": "engine.market.released",
    "engine.price_band": "engine.market.band_wanted",
    "factors.enrol_code": "factors.factor.added",
    "factors.enrol_passkey": "factors.factor.added",
    "factors.enrol_sealed": "factors.factor.added",
    "freezes.release": "freezes.freeze.released",
    "kyc.erasure": "kyc.erasure.approved",
    "kyc.tier": "kyc.tier.approved",
    "signer.registry": "custody.signer_order.signed",
    "signer.release": "custody.signer_order.signed",
    "signer.reopen": "custody.signer_order.signed",
    "staff.add_passkey": "staff.passkey.added",
    "staff.end_role": "staff.role.ended",
    "staff.grant_role": "staff.role.granted",
    "staff.join": "staff.person.joined",
    "staff.leave": "staff.person.left",
    "staff.rebind": "staff.person.subject_bound",
    "staff.restore": "staff.person.restored",
    "staff.revoke_passkey": "staff.passkey.revoked",
}
"""What happens once, in the log's words. Of a payment it is that building may begin, and of an erasure that a
worker may destroy, which uses it up: those races are run in test_custody_races and test_kyc_erasures.
"""
LATER: Final = {"custody.refill", "custody.sweep", "custody.withdrawal", "kyc.erasure"}


class Event(StrEnum):
    CARRIED_OUT = "test.carried_out"


@action(Event.CARRIED_OUT)
def carry_out(*, request_id: UUID, actor: Actor, now: datetime) -> str:
    row = ApprovalRequest.objects.get(pk=request_id)
    audit.record(Event.CARRIED_OUT, row, actor=actor, now=now)
    kinds.named(row.kind).on_approved(row, actor=actor, now=now)
    return row.kind


@pytest.mark.usefixtures("real_database")
def test_do_it_once() -> None:
    now = clock.now()
    exchange = stock(now)
    officers = asking.promote_dot(exchange, now)
    raced = set()
    for ask in asking.of_every_kind(exchange, now):
        request = ask("as agreed")
        asking.approve(request, officers, now)
        happened = AuditEvent.objects.filter(doc__action=EFFECTS[request.kind])
        before = happened.count()
        deed = partial(carry_out, request_id=request.pk, actor=exchange.staff.ben.actor, now=now)
        assert done(at_once(deed, deed, deed)) == [request.kind]
        with pytest.raises(Refused):
            deed()
        request.refresh_from_db()
        assert request.state == ("approved" if request.kind in LATER else "consumed")
        assert happened.count() == before + 1, request.kind
        raced.add(request.kind)
    assert raced == kinds.registered().keys() == EFFECTS.keys()
