"""An officers' order to the signers …"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core.access.models import Identity
from core.access.roles import Role
from core.approvals.assertions import BadSignature
from core.audit.models import AuditEvent
from core.outbox.models import OutboxMessage
from core.refusals import Conflict, NotAllowed, NotFound, Refused
from custody import actions, queries, signer_tasks
from custody.actions import ordering
from custody.actions import orders as refusals
from custody.models import OrderAnswer, SignerHealth, SignerOrder
from custody.signer import requests
from kernel.approval import Verb
from tests.orders import answer, asked, drafted, signed
from tests.signers import Signers, lane_registry, serving
from tests.stockroom import Lend
from tests.treasury import ROBOT, Treasury

pytestmark = pytest.mark.django_db


@pytest.fixture
def treasury(lend: Lend, now: datetime) -> Treasury:
    return lend(Treasury.open, now)


def counts() -> tuple[int, int]:
    return AuditEvent.objects.count(), OutboxMessage.objects.count()


def test_to_stop_is_given_by_one_officer_alone(treasury: Treasury) -> None:
    row = drafted(treasury)
    assert (row.state, row.tokens) == ("signing", ["hot-1", "hot-2", "hot-3"])
    before = counts()
    row = signed(treasury, row)
    assert row.state == "signed"
    assert counts() == (before[0] + 1, before[1] + 1)
    read = requests.order(queries.order_message(row))
    assert (read.kind, read.subject, read.maker) == (
        "signer.freeze",
        "hot",
        str(treasury.staff.ana.identity.pk),
    )
    assert [approval.verb for approval in read.signed.approvals] == [Verb.APPROVE]


def test_to_suspend_an_officer_goes_to_every_signer(treasury: Treasury) -> None:
    name = f"officer:{treasury.staff.ben.identity.pk}"
    row = signed(treasury, drafted(treasury, wallet=name))
    assert (row.state, row.tokens) == ("signed", ["hot-1", "hot-2", "hot-3"])
    assert requests.order(queries.order_message(row)).subject == name
    for wrong in ("officer:", f"officer:{uuid4()}", name.upper(), f"officer:{row.pk}"):
        with pytest.raises(ordering.UnknownSubject):
            drafted(treasury, wallet=wrong)
    said: dict[str, Any] = {"state": "ready", "frozen": {name: "a laptop"}}
    actions.report_health(token="hot-1", said=said, now=treasury.now)
    assert queries.suspends(treasury.staff.ben.identity.pk) == (["hot-1"], ["hot-2", "hot-3"])
    words = {name: "Ben Brandt (suspended)", "*": "everything", "hot": "hot"}
    assert queries.described(list(words)) == words


def test_claims_the_passkey_before_what_it_signs(treasury: Treasury) -> None:
    """Whether it is a stop or a request: two of one officer's at once wait for each other in one order."""
    staff = treasury.staff
    stop, release = drafted(treasury, by=staff.cy), asked(treasury, "hot")
    answer(treasury, release, staff.ben, "release")
    for deed in (
        lambda: signed(treasury, stop, by=staff.cy),
        lambda: answer(treasury, release, staff.cy, "release"),
    ):
        with CaptureQueriesContext(connection) as captured:
            deed()
        claims = [each["sql"] for each in captured if "FOR NO KEY UPDATE" in each["sql"]]
        passkey, order = (
            next(at for at, sql in enumerate(claims) if f'FROM "{table}"' in sql)
            for table in ("access_officer_credential", "custody_signer_order")
        )
        assert passkey < order
    assert (stop.refresh_from_db(), stop.state, release.state) == (None, "signed", "signed")


def test_to_stop_is_signed_by_nobody_else_and_about_nothing_else(treasury: Treasury) -> None:
    mine, other = drafted(treasury), drafted(treasury, wallet="*")
    ana, ben = treasury.staff.ana, treasury.staff.ben
    with pytest.raises(refusals.NotYours):
        signed(treasury, mine, by=ben)
    with pytest.raises(BadSignature, match=r"assertion\.challenge"):
        actions.sign_order(order_id=mine.pk, signed=ana.order(other), actor=ana.actor, now=treasury.now)
    mine.refresh_from_db()
    assert (mine.state, mine.assertion) == ("signing", None)


def test_comes_from_no_role_that_may_not_give_it(treasury: Treasury) -> None:
    for officer in (treasury.staff.dot, treasury.staff.eve, treasury.staff.sam):
        with pytest.raises(NotAllowed):
            drafted(treasury, by=officer)
        with pytest.raises(NotAllowed):
            actions.ask_release_of_signers(
                wallet="hot", reason="found again", actor=officer.actor, now=treasury.now
            )
    assert not SignerOrder.objects.exists()


@pytest.mark.parametrize(
    ("wallet", "reason", "error"),
    [("warm", "because", ordering.UnknownSubject), ("hot", " \n", Refused), ("", "because", Refused)],
)
def test_says_what_it_is_about_and_why(
    treasury: Treasury, wallet: str, reason: str, error: type[Refused]
) -> None:
    with pytest.raises(error):
        actions.draft_freeze(wallet=wallet, reason=reason, actor=treasury.staff.ana.actor, now=treasury.now)
    assert not SignerOrder.objects.exists()


def test_is_void_when_its_time_is_over(treasury: Treasury) -> None:
    row = drafted(treasury)
    later = row.expires_at
    ana = treasury.staff.ana
    with pytest.raises(ordering.OrderExpired):
        actions.sign_order(order_id=row.pk, signed=ana.order(row), actor=ana.actor, now=later)
    assert queries.overdue_orders(now=treasury.now) == []
    assert queries.overdue_orders(now=later) == [row.pk]
    with pytest.raises(Refused, match="not over yet"):
        actions.expire_order(order_id=row.pk, actor=ROBOT, now=treasury.now)
    assert actions.expire_order(order_id=row.pk, actor=ROBOT, now=later).state == "expired"
    with pytest.raises(Conflict):
        actions.expire_order(order_id=row.pk, actor=ROBOT, now=later)


def tended(treasury: Treasury, signers: Signers, *, days: int) -> list[str]:
    """Which signers are frozen after so many days more."""
    treasury.now += timedelta(days=days)
    signers.at(treasury.now)
    signer_tasks.tend_signers(now=treasury.now)
    return [token for token, desk in signers.desks.items() if desk.health["frozen"]]


def test_to_stop_reaches_a_signer_that_was_down_for_days(treasury: Treasury, settings: Any) -> None:
    with serving(lane_registry(treasury.staff), now=treasury.now) as signers:
        settings.SIGNERS_DIR = signers.folder
        row = signed(treasury, drafted(treasury))
        with signers.down("hot-3"):
            assert tended(treasury, signers, days=0) == ["hot-1", "hot-2"]
            assert tended(treasury, signers, days=3) == ["hot-1", "hot-2"]
        assert tended(treasury, signers, days=1) == ["hot-1", "hot-2", "hot-3"]
        assert queries.signer_order(row.pk).state == "obeyed"


def test_to_stop_is_brought_to_nobody_once_a_quorum_has_let_go(treasury: Treasury, settings: Any) -> None:
    staff = treasury.staff
    with serving(lane_registry(staff), now=treasury.now) as signers:
        settings.SIGNERS_DIR = signers.folder
        stop = signed(treasury, drafted(treasury))
        with signers.down("hot-3"):
            assert tended(treasury, signers, days=0) == ["hot-1", "hot-2"]
            treasury.now += timedelta(hours=1)
            row = asked(treasury, "hot")
            assert queries.unanswered_by(stop) == ["hot-3"], "asking lets nothing go"
            for officer in (staff.ben, staff.cy):
                answer(treasury, row, officer, "release")
            assert tended(treasury, signers, days=0) == []
        assert tended(treasury, signers, days=2) == []
        again = signed(treasury, drafted(treasury))
        assert tended(treasury, signers, days=0) == ["hot-1", "hot-2", "hot-3"]
        assert queries.signer_order(again.pk).state == "obeyed"


def test_is_done_once_every_signer_has_answered_and_remembers_each_first_word(treasury: Treasury) -> None:
    row = signed(treasury, drafted(treasury))

    def told(token: str, *, obeyed: bool = True) -> str:
        found = actions.report_answer(
            order_id=row.pk,
            token=token,
            obeyed=obeyed,
            code="" if obeyed else "SIGNER_BAD_ORDER",
            detail="",
            actor=ROBOT,
            now=treasury.now,
        )
        return str(found.state)

    assert [told("hot-1"), told("hot-2")] == ["signed", "signed"]
    assert told("hot-2", obeyed=False) == "signed"
    assert OrderAnswer.objects.get(token="hot-2").obeyed
    assert queries.unanswered_by(row) == ["hot-3"]
    assert told("hot-3") == "obeyed"
    other = signed(treasury, drafted(treasury, wallet="*"))
    row = other
    assert [told("hot-1"), told("hot-2", obeyed=False), told("hot-3")] == ["signed", "signed", "refused"]


def test_and_the_signers_themselves_are_seen_by_those_who_may(treasury: Treasury) -> None:
    actions.report_health(token="hot-1", said=None, now=treasury.now)
    row, now = drafted(treasury), treasury.now
    dot, una = treasury.staff.dot.identity, _with_role(Role.SUPPORT)
    assert queries.order_for(row.pk, identity=dot, now=now) == row
    assert [token for token, _, _ in queries.signers_for(identity=dot, now=now)][:3] == row.tokens
    assert queries.signer_states() == {"hot-1": "silent"}
    assert SignerHealth.objects.get().is_silent
    for stranger in (treasury.staff.eve.identity, una, None):
        assert queries.signers_for(identity=stranger, now=now) == []
        with pytest.raises(NotFound):
            queries.order_for(row.pk, identity=stranger, now=now)


def _with_role(role: Role) -> Identity | None:
    return Identity.objects.filter(role_grants__role=role).first()
