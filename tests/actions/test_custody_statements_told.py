"""What a customer signed about a destination, told to the signers …"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from core.audit.models import AuditEvent
from custody import actions, lane_tasks, queries
from custody.models import StatementAnswer
from tests.signers import HOT, Signers, lane_registry, serving
from tests.statements import key_of, said, take
from tests.stockroom import Lend
from tests.treasury import HOME, Treasury, customer_actor

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


@pytest.fixture
def treasury(lend: Lend, now: datetime) -> Treasury:
    return lend(Treasury.open, now)


@pytest.fixture
def signers(treasury: Treasury, settings: Any) -> Iterator[Signers]:
    with serving(lane_registry(treasury.staff), now=treasury.now) as found:
        settings.SIGNERS_DIR = found.folder
        yield found


def test_reaches_every_signer_once_and_ages_by_their_clocks(
    treasury: Treasury, signers: Signers, drain_outbox: Any
) -> None:
    lane, tom = queries.lane_of("hot"), treasury.tom.pk
    assert lane is not None
    take(treasury, said(treasury, "key"))
    take(treasury, said(treasury, "beneficiary", HOME))
    drain_outbox(now=treasury.now)
    assert StatementAnswer.objects.filter(code="").count() == 6
    known = len(signers.asked)
    lane_tasks.tell_signers(now=treasury.now)
    assert len(signers.asked) == known
    assert queries.usable_at(tom, HOME, lane=lane) == treasury.now + 2 * DAY
    (learnt,) = {
        desk.signer.memory.lanes.usable_ms(str(tom), HOME, cooling_off_s=lane.cooling_off_s)
        for desk in signers.desks.values()
    }
    assert learnt == int((treasury.now + 2 * DAY).timestamp() * 1000)
    # Gone with the customer's word, here before any signer has heard of it.
    later = treasury.now + timedelta(minutes=1)
    take(treasury, said(treasury, "removal", HOME, at=later), now=later)
    assert queries.usable_at(tom, HOME, lane=lane) is None
    drain_outbox(now=later)
    assert all(not desk.health["lanes"]["hot"]["known"] for desk in signers.desks.values())


def test_waits_for_a_signer_that_is_silent_and_is_asked_again_where_one_refused(
    treasury: Treasury, signers: Signers, settings: Any
) -> None:
    take(treasury, said(treasury, "key"))
    row = take(treasury, said(treasury, "beneficiary", HOME))
    settings.SIGNERS_DIR = Path("/nowhere")
    with pytest.raises(lane_tasks.NotTold):
        lane_tasks.tell_signers(now=treasury.now)
    lane_tasks.tend_lane(now=treasury.now)
    assert not StatementAnswer.objects.exists()
    settings.SIGNERS_DIR = signers.folder
    signers.desks["hot-2"].now -= 3_600  # a clock that went back: the signer refuses all until it is mended
    lane_tasks.tell_signers(now=treasury.now)
    assert dict(row.answers.values_list("token", "code")) == {
        "hot-1": "",
        "hot-2": "SIGNER_CLOCK_BACK",
        "hot-3": "",
    }
    signers.desks["hot-2"].now += 3_600
    lane_tasks.tell_signers(now=treasury.now + timedelta(minutes=9))
    assert row.answers.get(token="hot-2").code == "SIGNER_CLOCK_BACK"
    before = AuditEvent.objects.count()
    lane_tasks.tell_signers(now=treasury.now + timedelta(minutes=10))
    assert set(row.answers.values_list("code", flat=True)) == {""}
    assert AuditEvent.objects.count() == before + 2  # the key and the destination, of one signer


def test_of_another_key_begins_anew_and_alerts(treasury: Treasury, signers: Signers) -> None:
    lane = queries.lane_of("hot")
    assert lane is not None
    take(treasury, said(treasury, "key"))
    take(treasury, said(treasury, "beneficiary", HOME))
    lane_tasks.tell_signers(now=treasury.now)
    later = treasury.now + timedelta(hours=1)
    signers.at(later)
    row = take(treasury, said(treasury, "key", seed=66, at=later), now=later)
    assert queries.usable_at(treasury.tom.pk, HOME, lane=lane) is None
    lane_tasks.tell_signers(now=later)
    assert set(row.answers.values_list("token", "alert")) == {
        (token, "SIGNER_CUSTOMER_KEY_CHANGED") for token in HOT
    }


def test_is_taught_again_to_a_signer_that_lost_its_memory(
    treasury: Treasury, signers: Signers, settings: Any
) -> None:
    """Its cooling-off begins anew there, and here; what the customer has replaced or removed stays so."""
    lane, tom, other = queries.lane_of("hot"), treasury.tom.pk, "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"
    assert lane is not None
    take(treasury, said(treasury, "key", seed=66))
    moment = treasury.now + timedelta(minutes=1)
    for what, *arguments in (("key",), ("beneficiary", HOME), ("beneficiary", other)):
        take(treasury, said(treasury, what, *arguments, at=moment), now=moment)
    gone = treasury.now + timedelta(minutes=2)
    take(treasury, said(treasury, "removal", other, at=gone), now=gone)
    signers.at(gone)
    lane_tasks.tell_signers(now=gone)
    told = {"token": "hot-2", "customer_id": tom, "actor": customer_actor(treasury.tom)}
    later = gone + timedelta(days=30)  # long after statements are brought to anybody
    signers.at(later)
    # Word about what was removed, or never said, changes nothing.
    for destination in (other, "elsewhere"):
        assert actions.report_forgotten(destination=destination, now=later, **told) == 0
    desk = signers.desks["hot-2"]
    desk.signer.journal.close()
    desk.file.unlink()
    desk.token.anchor = None
    desk.signer = desk._start()
    assert desk.health["lanes"]["hot"]["known"] == 0
    before, events = len(signers.asked), AuditEvent.objects.count()
    # The signer says so when the lane is asked (tests/actions/test_custody_lane.py).
    assert actions.report_forgotten(destination=HOME, now=later, **told) == 4
    assert actions.report_forgotten(destination=HOME, now=later, **told) == 0
    assert AuditEvent.objects.count() == events + 1
    event = AuditEvent.objects.get(doc__action="custody.customer_statement.forgotten").doc
    taught = StatementAnswer.objects.filter(token="hot-2", code="forgotten")
    assert event["before"]["statements"] == [
        str(pk) for pk in sorted(taught.values_list("statement", flat=True))
    ]
    assert event["after"]["customer"] == str(tom)
    assert (event["after"]["destination"], event["after"]["statements"]) == (HOME, 4)
    assert event["reason"] == f"asked about {HOME} of this customer, it says that it never learnt of it"
    again = later + timedelta(minutes=10)
    signers.at(again)
    lane_tasks.tell_signers(now=again)
    lane_tasks.tell_signers(now=again)
    assert [token for token, _ in signers.asked[before:]] == ["hot-2"] * 4
    (known,) = desk.signer.memory.lanes.customers.values()
    assert known.key.public_key.hex() == key_of(treasury.tom).public_key_hex
    assert list(known.destinations) == [HOME]
    assert not StatementAnswer.objects.exclude(alert="").filter(answered_at__gte=later).exists()
    usable = desk.signer.memory.lanes.usable_ms(str(tom), HOME, cooling_off_s=lane.cooling_off_s)
    assert usable == int((again + 2 * DAY).timestamp() * 1000)
    # Two others knew it all the time, so the lane goes on; a second loss would shut it.
    assert queries.usable_at(tom, HOME, lane=lane) == gone + 2 * DAY
    actions.report_forgotten(destination=HOME, now=again, **{**told, "token": "hot-1"})
    assert queries.usable_at(tom, HOME, lane=lane) == again + 2 * DAY


def test_is_noted_anew_where_a_clock_that_was_ahead_noted_that_it_was_learnt(
    treasury: Treasury, signers: Signers
) -> None:
    """Else its destination would be paid by officers alone until that moment."""
    lane, tom, now = queries.lane_of("hot"), treasury.tom.pk, treasury.now
    assert lane is not None
    rows = [take(treasury, said(treasury, "key")), take(treasury, said(treasury, "beneficiary", HOME))]
    lane_tasks.tell_signers(now=now)
    StatementAnswer.objects.update(answered_at=now + timedelta(days=300))
    later = now + timedelta(hours=1)
    assert list(queries.statements_for("hot-1", now=later)) == rows
    lane_tasks.tell_signers(now=later)
    assert {answer.code for answer in StatementAnswer.objects.all()} == {""}
    assert queries.usable_at(tom, HOME, lane=lane) == later + 2 * DAY
    assert not queries.statements_for("hot-1", now=later).exists()


def test_is_brought_until_a_forgetful_signer_takes_it(treasury: Treasury, signers: Signers) -> None:
    take(treasury, said(treasury, "key"))
    lane_tasks.tell_signers(now=treasury.now)
    now = treasury.now + timedelta(days=30)
    signers.at(now)
    how: Any = {"customer_id": treasury.tom.pk, "destination": "", "actor": customer_actor(treasury.tom)}
    assert actions.report_forgotten(token="hot-1", now=now, **how) == 1
    signers.desks["hot-1"].now -= 60 * 86_400  # its clock is wrong meanwhile
    for minutes in (10, 20):
        lane_tasks.tell_signers(now=now + timedelta(minutes=minutes))
        answer = StatementAnswer.objects.get(token="hot-1")
        assert (answer.code, "SIGNER_CLOCK_BACK" in answer.detail) == ("forgotten", True)
    signers.at(now + timedelta(minutes=30))
    lane_tasks.tell_signers(now=now + timedelta(minutes=30))
    assert StatementAnswer.objects.get(token="hot-1").code == ""


def test_is_reckoned_for_all_of_a_customers_destinations_at_once(
    treasury: Treasury, signers: Signers, django_assert_num_queries: Any
) -> None:
    lane, other = queries.withdrawal_lane(), "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"
    assert lane is not None
    assert (lane.wallet.name, queries.usable_from(treasury.tom.pk, lane=lane)) == ("hot", {})
    for what, *arguments in (("key",), ("beneficiary", HOME), ("beneficiary", other)):
        take(treasury, said(treasury, what, *arguments))
    lane_tasks.tell_signers(now=treasury.now)
    with django_assert_num_queries(3):
        found = queries.usable_from(treasury.tom.pk, lane=lane)
    assert found == {HOME: treasury.now + 2 * DAY, other: treasury.now + 2 * DAY}
    assert found == {each: queries.usable_at(treasury.tom.pk, each, lane=lane) for each in (HOME, other)}
    later = treasury.now + timedelta(minutes=1)
    take(treasury, said(treasury, "removal", other, at=later), now=later)
    assert list(queries.usable_from(treasury.tom.pk, lane=lane)) == [HOME]
