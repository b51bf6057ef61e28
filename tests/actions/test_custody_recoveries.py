"""The way back from a lost quorum, drafted in the console and taken by signers, …"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from core.approvals.models import ApprovalRequest
from core.audit.models import AuditEvent
from core.outbox.models import OutboxMessage
from core.refusals import Conflict, NotAllowed, Refused
from custody import actions, queries
from custody.actions.entitled import ReasonMissing
from custody.actions.recoveries import NoRecovery, NotForRecovery, SignedAlready
from custody.models import SignerOrder
from fixtures.authenticator import Authenticator
from kernel.approval import SignedApproval
from kernel.registry import Registry
from tests.officers import Officer
from tests.recoveries import DELAY_S, KEYS, RAE, ROS, RUI, answer, in_force
from tests.softtoken import Desk
from tests.stockroom import Lend
from tests.treasury import ROBOT, Treasury

pytestmark = pytest.mark.django_db


@pytest.fixture
def treasury(lend: Lend, now: datetime) -> Treasury:
    return lend(Treasury.open, now)


def registries(treasury: Treasury) -> tuple[Registry, Registry]:
    """Ben and Cy lost their passkeys: the registry in force, and the next, with new ones of theirs."""
    staff = treasury.staff
    fresh = [
        replace(one, passkey=Authenticator(byte * 32)) for one, byte in ((staff.ben, "b7"), (staff.cy, "c7"))
    ]
    return in_force(staff.ana, staff.ben, staff.cy), in_force(staff.ana, *fresh, version=2)


def drafted(treasury: Treasury, **changes: Any) -> SignerOrder:
    old, new = registries(treasury)
    given = {"old": old, "new": new, "reason": "Ben and Cy lost theirs", "actor": treasury.staff.ana.actor}
    return actions.draft_recovery(**{**given, **changes}, now=treasury.now)


def brought(treasury: Treasury, row: SignerOrder, key: Authenticator, verb: str = "release") -> SignerOrder:
    return actions.sign_recovery(
        order_id=row.pk, signed=answer(row, key, verb), actor=treasury.staff.ana.actor, now=treasury.now
    )


def counts() -> tuple[int, int]:
    return AuditEvent.objects.count(), OutboxMessage.objects.count()


def vetoed(treasury: Treasury, row: SignerOrder, by: Officer) -> SignerOrder:
    veto = actions.draft_veto(
        registry_digest=row.subject, reason="I am still here", actor=by.actor, now=treasury.now
    )
    return actions.sign_order(order_id=veto.pk, signed=by.order(veto), actor=by.actor, now=treasury.now)


def test_brings_new_officers_after_its_delay(treasury: Treasury, tmp_path: Path) -> None:
    old, new = registries(treasury)
    desk = Desk(tmp_path / "hot-1", registry=old, now=treasury.now.timestamp())
    row = drafted(treasury)
    before = counts()
    assert brought(treasury, row, KEYS[RAE]).state == "signing"
    assert counts() == (before[0] + 1, before[1] + 1)
    with pytest.raises(SignedAlready):
        brought(treasury, row, KEYS[RAE])
    row = brought(treasury, row, KEYS[ROS])
    assert (row.state, row.request, ApprovalRequest.objects.count()) == ("signed", None, 0)
    signed = [
        one.doc for one in AuditEvent.objects.all() if one.doc["action"] == "custody.signer_order.signed"
    ]
    assert sorted(doc["after"]["by"] for doc in signed) == [RAE, ROS]
    assert desk.code(dict(queries.order_message(row))) == "obeyed"
    assert queries.takes_effect(row) is None
    actions.report_answer(
        order_id=row.pk, token="hot-1", obeyed=True, code="", detail="", actor=ROBOT, now=treasury.now
    )
    moment = treasury.now + timedelta(seconds=DELAY_S)
    assert queries.takes_effect(queries.signer_order(row.pk)) == moment
    desk.now = moment.timestamp() - 1
    assert desk.restart(registry=new).health["state"] == "SIGNER_REGISTRY_CHANGED"
    desk.now = moment.timestamp()
    health = desk.restart().listen().health
    assert (health["state"], health["registry"]["version"]) == ("ready", 2)


def test_ends_at_one_officers_veto(treasury: Treasury, tmp_path: Path) -> None:
    old, new = registries(treasury)
    desk = Desk(tmp_path / "hot-1", registry=old, now=treasury.now.timestamp())
    row = drafted(treasury)
    for who in (RUI, RAE):
        row = brought(treasury, row, KEYS[who])
    assert desk.code(dict(queries.order_message(row))) == "obeyed"
    veto = vetoed(treasury, row, treasury.staff.ben)
    assert list(queries.vetoes_for(row, identity=treasury.staff.dot.identity, now=treasury.now)) == [veto]
    assert desk.code(dict(queries.order_message(veto))) == "obeyed"
    desk.now += DELAY_S + 1
    assert desk.restart(registry=new).listen().health["state"] == "SIGNER_REGISTRY_CHANGED"


def test_is_not_open_to_officers_whatever_the_database_says(treasury: Treasury, tmp_path: Path) -> None:
    staff, row = treasury.staff, drafted(treasury)
    before = counts()
    for officer in (staff.ana, staff.ben, staff.cy):
        with pytest.raises(NotForRecovery):
            brought(treasury, row, officer.passkey)
    with pytest.raises(NotForRecovery):
        brought(treasury, row, KEYS[RAE], "approve")
    with pytest.raises(NotAllowed):
        actions.sign_order(
            order_id=row.pk, signed=answer(row, KEYS[RAE]), actor=staff.ana.actor, now=treasury.now
        )
    assert counts()[1] == before[1], "refusals tell nobody anything"
    row.refresh_from_db()
    assert (row.state, row.assertion) == ("signing", None)
    # Somebody who owns the database writes the staff's own signatures into the row; signers know better.
    forged = [
        SignedApproval(str(one.identity.pk), said.verb, bytes(row.nonce), said.assertion).as_json()
        for one in (staff.ben, staff.cy)
        for said in (answer(row, one.passkey),)
    ]
    SignerOrder.objects.filter(pk=row.pk).update(state="signed", assertion=forged)
    desk = Desk(tmp_path / "hot-1", registry=registries(treasury)[0], now=treasury.now.timestamp())
    sent = dict(queries.order_message(queries.signer_order(row.pk)))
    assert desk.code(sent) == "SIGNER_UNKNOWN_OFFICER"


def test_ends_with_one_recovery_officers_no_or_its_day(treasury: Treasury) -> None:
    row = drafted(treasury)
    assert brought(treasury, row, KEYS[RUI], "reject").state == "rejected"
    last = AuditEvent.objects.latest("id").doc
    assert (last["after"]["by"], last["reason"]) == (RUI, "no fire at all")
    with pytest.raises(Conflict):
        brought(treasury, row, KEYS[RAE])
    late = drafted(treasury)
    after = treasury.now + timedelta(days=1, seconds=1)
    assert queries.overdue_orders(now=after) == [late.pk]
    assert actions.expire_order(order_id=late.pk, actor=ROBOT, now=after).state == "expired"


def test_is_drafted_only_where_signers_would_take_it(treasury: Treasury) -> None:
    staff = treasury.staff
    wrong: list[tuple[type[Refused], dict[str, Any]]] = [
        (NoRecovery, {"new": in_force(version=2, limits={"fee_sats_max": "900000"})}),
        (NoRecovery, {"new": in_force(version=3)}),
        (NoRecovery, {"old": in_force(deployment="other"), "new": in_force(deployment="other", version=2)}),
        (ReasonMissing, {"reason": " \n"}),
        (NotAllowed, {"actor": staff.dot.actor}),
        (NotAllowed, {"actor": staff.eve.actor}),
    ]
    for refusal, changes in wrong:
        with pytest.raises(refusal):
            drafted(treasury, **changes)
    assert not SignerOrder.objects.exists()
