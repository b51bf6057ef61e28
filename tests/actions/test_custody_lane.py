"""A small withdrawal to a destination that its customer signed …"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from core.approvals import policies as judging
from core.approvals.models import Waiver
from core.audit.models import AuditEvent
from core.freezes.actions import pull_freeze
from core.ledger import invariants
from core.refusals import Refused
from custody import actions, lane_tasks, queries, tasks
from custody.adapters import judge, signer_client
from custody.models import Payment, StatementAnswer, Withdrawal
from kernel import canonical, encodings, script
from kernel.intent import time_text
from kernel.policy import Policy
from kernel.psbt import Psbt
from kernel.transaction import Transaction
from tests.customers import Customer
from tests.lane import ONE_A_DAY, SMALL, Scene
from tests.policies import enact, rule
from tests.roles import as_role
from tests.signers import HOT
from tests.traders import new_password
from tests.treasury import BTC, HOME, ROBOT, customer_actor, raw_of

pytestmark = pytest.mark.django_db


def test_is_paid_without_any_officer_and_counted_by_the_signers(scene: Scene) -> None:
    with as_role("cs_worker"):
        row = scene.withdraw()
    assert (row.state, row.request, row.reason) == ("broadcast", None, "")
    payment, waiver = queries.payment_of(row), row.waiver
    assert payment is not None
    assert waiver is not None
    assert (waiver.rule, waiver.policy_version, waiver.facts["lane"]) == ("what the lane takes", 1, "open")
    used = sorted(scene.signers.used().values())
    assert used == [0, SMALL + payment.fee_units, SMALL + payment.fee_units]
    scene.treasury.mine(raw_of(payment), empty=2)
    scene.treasury.book()
    assert queries.withdrawal(row.pk).state == "settled"
    assert scene.treasury.funding().posted.units == 2 * BTC - row.units - row.fee_units
    assert not any(invariants.broken().values())
    names = [
        event.doc["action"]
        for event in AuditEvent.objects.order_by("id")
        if event.doc["target"] == f"custody.withdrawal/{row.pk}"
    ]
    assert names == ["custody.withdrawal.requested", "custody.withdrawal.screened"]


def test_takes_officers_where_it_is_not_for_the_lane(scene: Scene) -> None:
    new = scene.withdraw(destination=script.address_of(b"\x00\x14" + b"\x07" * 20, "regtest"))
    assert (new.state, new.reason) == ("on_hold", "first use of this destination")
    large = scene.withdraw(2 * SMALL + 950_001)  # with the fee cap, one sat above 0.03 BTC
    assert (large.state, large.waiver, large.request is not None) == ("screened", None, True)
    assert not [message for _, message in scene.signers.asked if message["type"] == "sign_unattended"]
    with pytest.raises(Refused, match="none that you have named"):
        scene.take(removal(scene, script.address_of(b"\x00\x14" + b"\x07" * 20, "regtest")))
    scene.take(removal(scene, HOME))
    assert scene.withdraw().state == "on_hold"


def removal(scene: Scene, destination: str, *, at: datetime | None = None) -> dict[str, Any]:
    tom = Customer(str(scene.treasury.tom.pk))
    return tom.removal(destination, deployment="test", time=time_text(at or scene.treasury.now))


def test_goes_before_officers_with_the_signers_reason_and_is_paid_by_the_same_transaction(
    scene: Scene,
) -> None:
    """Two of three say no, after the third has signed: what it signed is what officers approve."""
    for token in HOT[1:]:
        scene.signers.desks[token].signer._attested.clear()
    row = scene.withdraw()
    assert row.state == "screened"
    assert row.reason.startswith("The signers' lane did not take it: hot-")
    assert "SIGNER_ATTESTATION_OLD" in row.reason
    payment = Payment.objects.get()
    assert (payment.asked_at, scene.claims()) == (None, 1)
    row = scene.approve(row)
    assert (row.state, Payment.objects.get().txid) == ("broadcast", payment.txid)
    assert row.request is not None
    assert row.request.state == "consumed"
    scene.treasury.mine(raw_of(Payment.objects.get()), empty=2)
    scene.treasury.book()
    assert queries.withdrawal(row.pk).state == "settled"
    assert not any(invariants.broken().values())


def unanswered(scene: Scene, settings: Any) -> Withdrawal:
    """A withdrawal that was offered to signers of whom none answers."""
    settings.SIGNERS_DIR = Path("/nowhere")
    row = scene.treasury.request(SMALL)
    with pytest.raises(signer_client.TooFewSigners):
        scene.drain()
    return queries.withdrawal(row.pk)


def test_waits_for_silent_signers_and_then_for_officers_with_its_coins_claimed(
    scene: Scene, settings: Any
) -> None:
    row = unanswered(scene, settings)
    assert (row.state, scene.claims()) == ("offered", 1)
    for act in (actions.cancel_withdrawal, actions.return_offer):
        actor = customer_actor(scene.treasury.tom)
        with pytest.raises(Refused):
            act(withdrawal_id=row.pk, actor=actor, now=scene.treasury.now)
    # Two hours later its intent is void by every clock; signers that come back say so themselves.
    scene.pass_time(timedelta(hours=2, seconds=1))
    lane_tasks.tend_lane(now=scene.treasury.now)
    row = queries.withdrawal(row.pk)
    assert (row.state, "no answer" in row.reason) == ("screened", True)
    actions.cancel_withdrawal(
        withdrawal_id=row.pk, actor=customer_actor(scene.treasury.tom), now=scene.treasury.now
    )
    # An answer that was lost may be in somebody's hands: nothing else is paid with this coin.
    assert (scene.treasury.funding().held.units, scene.claims()) == (0, 1)


def test_says_in_its_event_why_it_waits_where_the_policy_refuses_it_meanwhile(
    scene: Scene, settings: Any
) -> None:
    row = unanswered(scene, settings)
    enact(
        scene.treasury.staff,
        scene.treasury.now,
        [rule("today", ["kind", "is", "custody.withdrawal"], deny="nothing is paid today")],
    )
    scene.pass_time(timedelta(hours=2, seconds=1))
    lane_tasks.tend_lane(now=scene.treasury.now)
    row = queries.withdrawal(row.pk)
    assert (row.state, "nothing is paid today" in row.reason) == ("on_hold", True)
    told = [event.doc for event in AuditEvent.objects.order_by("id") if "returned" in event.doc["action"]]
    assert [(event["after"]["state"], event["reason"]) for event in told] == [("on_hold", row.reason)]


def test_is_asked_about_as_often_as_a_worker_dies_and_paid_once(scene: Scene) -> None:
    row = scene.treasury.request(SMALL)
    scene.drain()
    for _ in range(3):
        lane_tasks.offer(row.pk, now=scene.treasury.now)
    payment = Payment.objects.get()
    lane_tasks._ask(payment.pk, now=scene.treasury.now)
    assert (payment.signatures.count(), Waiver.objects.count()) == (2, 1)
    # Signers that are asked once more sign the same, and count it once.
    request = queries.lane_request(queries.payment(payment.pk))
    before = scene.signers.used()
    assert scene.signers.codes(request).count("signed") == 3
    assert sum(scene.signers.used().values()) - sum(before.values()) == SMALL + payment.fee_units


def test_is_not_offered_under_a_freeze(scene: Scene) -> None:
    row = scene.treasury.request(SMALL)
    pull_freeze(
        scope="wallet:hot", reason="look", actor=scene.treasury.staff.ana.actor, now=scene.treasury.now
    )
    with pytest.raises(Refused):
        scene.drain()
    assert queries.withdrawal(row.pk).state == "offered"
    assert not [message for _, message in scene.signers.asked if message["type"] == "sign_unattended"]


def test_is_not_offered_once_its_customer_has_removed_the_destination(scene: Scene) -> None:
    row = scene.treasury.request(SMALL)
    actions.report_screening(withdrawal_id=row.pk, hits=[], actor=ROBOT, now=scene.treasury.now)
    scene.treasury.now += timedelta(seconds=1)
    scene.take(removal(scene, HOME))
    row = queries.withdrawal(row.pk)
    assert (row.state, "the customer removed the destination" in row.reason) == ("screened", True)
    assert not [message for _, message in scene.signers.asked if message["type"] == "sign_unattended"]


@pytest.mark.parametrize("stop", ["removal", "freeze", "hold"])
@pytest.mark.parametrize("answers", [0, 1, 2])
def test_goes_no_further_once_it_is_stopped_between_offer_and_signature(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, answers: int, stop: str
) -> None:
    """Customer, desk or a new password stop it after so many answers: nobody else is asked, nothing sent."""
    treasury, real, asked = scene.treasury, signer_client.ask, []
    row = treasury.request(SMALL)

    def say_stop() -> None:
        if stop == "freeze":
            pull_freeze(scope="wallet:hot", reason="look", actor=treasury.staff.ana.actor, now=treasury.now)
            return
        if stop == "hold":
            new_password(treasury.tom.pk, now=treasury.now)
            return
        tom = customer_actor(treasury.tom)
        said = removal(scene, HOME, at=treasury.now + timedelta(seconds=1))
        payload, later = encodings.from_base64url(said["payload"]), treasury.now + timedelta(seconds=1)
        how: Any = {"customer_id": treasury.tom.pk, "proof": said["proof"], "label": ""}
        actions.take_statement(payload=payload, actor=tom, now=later, **how)

    def ask(folder: Path, token: str, request: Any) -> Any:
        answer = real(folder, token, request)
        asked.append(token)
        if len(asked) == answers:
            say_stop()
        return answer

    real_mark = actions.mark_offered

    def mark(**how: Any) -> Payment:
        marked = real_mark(**how)
        if answers == 0 and not asked:
            say_stop()
        return marked

    monkeypatch.setattr(actions, "mark_offered", mark)
    monkeypatch.setattr(signer_client, "ask", ask)
    if stop != "removal":
        with pytest.raises((Refused, tasks.HeldBack), match=r"is frozen|new password|hold on the customer"):
            scene.drain()
        assert queries.withdrawal(row.pk).state == "offered"
        scene.treasury.now += timedelta(hours=2, seconds=1)
        lane_tasks.tend_lane(now=treasury.now)
    else:
        scene.drain()
    row = queries.withdrawal(row.pk)
    assert (row.state, len(asked)) == ("screened", max(answers, 1))
    assert stop != "removal" or "the customer removed the destination" in row.reason
    assert (Payment.objects.get().raw, scene.claims()) == ("", 1)


def test_is_not_finished_where_it_was_stopped_after_the_last_signature(scene: Scene) -> None:
    """The message about the signature may be the first that a worker takes up after the stop."""
    treasury = scene.treasury
    row = treasury.request(SMALL)
    actions.report_screening(withdrawal_id=row.pk, hits=[], actor=ROBOT, now=treasury.now)
    lane_tasks.offer(row.pk, now=treasury.now)
    payment = Payment.objects.get()
    assert (payment.owner.state, payment.signatures.count()) == ("offered", 2)
    pull_freeze(scope="wallet:hot", reason="look", actor=treasury.staff.ana.actor, now=treasury.now)
    with pytest.raises(Refused, match="is frozen"):
        tasks.finish(payment.pk, now=treasury.now)
    payment.refresh_from_db()
    assert (queries.withdrawal(row.pk).state, payment.raw) == ("offered", "")


def test_keeps_its_coin_since_what_signers_refused_can_still_be_completed_and_sent(scene: Scene) -> None:
    """Within the hour a refusal is not for ever, and whoever has the old message may ask again."""
    for token in HOT[1:]:
        scene.signers.desks[token].signer._attested.clear()
    row = scene.withdraw()
    payment = Payment.objects.get()
    assert row.state == "screened"
    (old,) = scene.old_messages()
    scene.attest(time=time_text(scene.treasury.now + timedelta(seconds=1)))
    answers = [scene.signers.desks[token].ask(old) for token in HOT[:2]]
    assert [answer["type"] for answer in answers] == ["signed", "signed"]
    whole = Psbt.parse_base64(payment.psbt).with_signatures(
        (item["input"], bytes.fromhex(item["public_key"]), bytes.fromhex(item["signature"]))
        for answer in answers
        for item in answer["signatures"]
    )
    assert Transaction.parse(judge.finalise(whole)).txid == payment.txid  # any node takes it, at any time
    # So no other payment spends this coin, and officers approve this very transaction.
    other = scene.withdraw()
    assert other.state == "broadcast"
    own, others = queries.payment_of(row), queries.payment_of(other)
    assert own is not None
    assert others is not None
    assert set(queries.locked_outpoints(own)).isdisjoint(queries.locked_outpoints(others))
    assert scene.approve(row).state == "broadcast"
    assert Payment.objects.get(withdrawal=row).txid == payment.txid


def test_teaches_a_signer_again_that_says_it_does_not_know_the_destination(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane_tasks, "_in_turn", lambda tokens, payment_id: list(tokens))
    desk = scene.signers.desks["hot-1"]
    desk.signer.journal.close()
    desk.file.unlink()
    desk.token.anchor = None
    desk.signer = desk._start()
    scene.attest(time=time_text(scene.treasury.now + timedelta(seconds=1)))
    assert scene.withdraw().state == "broadcast"  # by the two others
    assert StatementAnswer.objects.filter(token="hot-1", code="forgotten").count() == 2
    scene.pass_time(timedelta(minutes=10))
    lane_tasks.tend_lane(now=scene.treasury.now)
    assert not StatementAnswer.objects.exclude(code="").exists()
    assert desk.health["lanes"]["hot"]["known"] == 1
    scene.pass_time(2 * timedelta(days=1))
    assert scene.withdraw().state == "broadcast"
    assert len(desk.signer.memory.outstanding.spends) == 1


def test_claims_no_coin_for_what_no_signer_will_be_asked_about(scene: Scene) -> None:
    row = scene.treasury.request(SMALL)
    actions.report_screening(withdrawal_id=row.pk, hits=[], actor=ROBOT, now=scene.treasury.now)
    scene.treasury.now += timedelta(seconds=1)
    scene.take(removal(scene, HOME))
    assert (queries.withdrawal(row.pk).state, scene.claims(), Payment.objects.count()) == ("screened", 0, 0)
    assert scene.approve(queries.withdrawal(row.pk)).state == "broadcast"


def test_counts_towards_the_policys_windows(scene: Scene) -> None:
    """A customer's velocity is the same whoever let the payments through."""
    row = scene.withdraw()
    founded = canonical.decode_object(bytes(judging.in_force().document))
    policy = Policy.parse(canonical.encode({**founded, "windows": [ONE_A_DAY]}))
    assert row.waiver is not None
    facts = {**row.waiver.facts}
    sums = judging.sums(policy.windows_for(facts), facts, at=scene.treasury.now)
    assert sums == {"a day": 1}
    assert policy.rule_for(facts, sums).name == "a day"
    own = judging.sums(policy.windows_for(facts), facts, at=scene.treasury.now, about=row.waiver.subject)
    assert own == {"a day": 0}
