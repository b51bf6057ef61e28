"""A payment whose fee is raised …"""

from __future__ import annotations

from contextlib import nullcontext
from datetime import datetime, timedelta
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from core import freezes
from core.action import action
from core.freezes import Frozen, deeds
from core.freezes.models import Freeze
from core.refusals import NotAllowed
from custody import actions, queries, raising_tasks, tasks
from custody.actions.entitled import ReasonMissing
from custody.actions.payments import NotAsApproved
from custody.actions.raising import FeeNotRaised
from custody.actions.signatures import BadSignatures
from custody.adapters import signer_client
from custody.adapters.bitcoin import Outcome
from custody.events import Event
from custody.models import PaymentVersion, Utxo
from kernel.psbt import Psbt
from tests.nodes import Node
from tests.raising import raised, refused, signed
from tests.traces import Trace
from tests.treasury import BTC, ROBOT, Treasury, signatures
from tests.treasury import raw_of as first_of

pytestmark = pytest.mark.django_db

SMALL = BTC // 100


@action(Event.WITHDRAWAL_REQUESTED)
def freeze(*, scope: str, actor: Any, now: datetime) -> None:
    freezes.pull(scope, reason="a test", actor=actor, now=now)


def test_keeps_its_coins_and_what_it_pays(treasury: Treasury) -> None:
    payment = treasury.broadcast(treasury.approved(sats=SMALL))
    with Trace() as trace:
        version = raised(treasury, payment)
    first, further = Psbt.parse_base64(payment.psbt), queries.version_psbt(queries.version(version.pk))
    assert further.transaction.inputs == first.transaction.inputs
    assert further.transaction.outputs[0] == first.transaction.outputs[0]
    assert (further.fee, further.transaction.txid) == (version.fee_units, version.txid)
    assert version.fee_units == 10 * version.vsize
    row = queries.payment(payment.pk)
    assert (row.txid, row.raw, row.fee_units) == (payment.txid, payment.raw, payment.fee_units)
    assert [one.number for one in queries.versions_of(row)] == [1, 2]
    assert trace.events == ["custody.payment.raised"]
    assert trace.topics == ["custody.fee_raised"]


def test_has_one_further_version_before_the_signers_at_a_time(treasury: Treasury) -> None:
    payment = treasury.broadcast()
    first = raised(treasury, payment)
    with Trace() as trace:
        assert raised(treasury, payment, rate=20) == first
    assert trace.events == []
    assert PaymentVersion.objects.count() == 2


@pytest.mark.parametrize("change", ["cap", "rate", "low", "state", "late", "refill", "maker", "reason"])
def test_is_not_raised_where_it_cannot_be(treasury: Treasury, change: str) -> None:
    payment, actor, rate, now = treasury.broadcast(), ROBOT, 10, treasury.now
    match change:
        case "cap":
            rate = payment.owner.fee_cap_units // payment.vsize + 1
        case "rate":
            rate = 201  # the registry's signers take 200
        case "low":
            rate = 2
        case "state":
            treasury.mine(first_of(payment))
        case "late":
            now += timedelta(days=8)
        case "refill":
            treasury.fund("cold", 200 * BTC)
            hot = queries.wallet_named("hot")
            hot.refill_below, hot.target = 3 * BTC, 4 * BTC
            hot.save()
            refill = treasury.refill_requested()
            treasury.sign_off(refill)
            payment = treasury.built(queries.refill(refill.pk))
        case "maker":
            actor = treasury.staff.dot.actor
    reason = " " if change == "reason" else "x"
    refusal: Any = {"maker": NotAllowed, "reason": ReasonMissing}.get(change, FeeNotRaised)
    with Trace() as trace, pytest.raises(refusal):
        actions.raise_fee(payment_id=payment.pk, feerate=rate, reason=reason, actor=actor, now=now)
    trace.only_refused("custody.payment.raised")
    assert not PaymentVersion.objects.exists()


def test_is_raised_by_a_treasury_maker_for_a_reason(treasury: Treasury) -> None:
    payment = treasury.broadcast()
    made = actions.raise_fee(
        payment_id=payment.pk, feerate=9, reason="Tom waits", actor=treasury.staff.ana.actor, now=treasury.now
    )
    assert (made.number, made.reason) == (2, "Tom waits")


@pytest.mark.parametrize("scope", ["platform.withdrawals", "asset:BTC", "wallet:hot"])
def test_stands_still_under_a_freeze_at_each_step(treasury: Treasury, node: Node, scope: str) -> None:
    payment = treasury.broadcast(treasury.approved(sats=SMALL))
    version = signed(treasury, payment)
    freeze(scope=scope, actor=ROBOT, now=treasury.now)
    with pytest.raises(Frozen):
        raised(treasury, payment, rate=30)
    with Trace() as trace, pytest.raises(tasks.HeldBack):
        raising_tasks.carry(version.pk, now=treasury.now)
    assert (node.given, trace.events) == ([], [])
    treasury.release(Freeze.objects.get())
    raising_tasks.carry_all(now=treasury.now)
    assert [one.hex() for one in node.given] == [version.raw]


def test_is_given_to_no_node_while_a_freeze_is_being_pulled(
    treasury: Treasury, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = signed(treasury, treasury.broadcast())
    monkeypatch.setattr(deeds, "held", lambda scopes: nullcontext())
    raising_tasks.carry(version.pk, now=treasury.now)
    assert node.given == []


def test_is_the_new_version_only_once_a_node_has_taken_it(treasury: Treasury, node: Node) -> None:
    payment = treasury.broadcast()
    version = signed(treasury, payment)
    node.outcome = Outcome.CONFLICT
    with pytest.raises(tasks.NotDelivered):
        raising_tasks.carry(version.pk, now=treasury.now)
    assert queries.payment(payment.pk).txid == payment.txid
    node.outcome = Outcome.ACCEPTED
    with Trace() as trace:
        raising_tasks.carry(version.pk, now=treasury.now)
    row = queries.payment(payment.pk)
    assert (row.txid, row.raw, row.fee_units) == (version.txid, version.raw, version.fee_units)
    assert row.owner.state == "broadcast"
    assert trace.events == ["custody.payment.replaced"]
    with Trace() as again:
        raising_tasks.carry(version.pk, now=treasury.now)
        actions.report_replaced(version_id=version.pk, actor=ROBOT, now=treasury.now)
    assert again.events == []
    node.given = []
    tasks.send_again(now=treasury.now)
    assert [one.hex() for one in node.given] == [version.raw]


def test_helps_one_that_no_node_takes_for_its_fee(treasury: Treasury, node: Node) -> None:
    payment = treasury.signed()
    version = signed(treasury, payment)
    raising_tasks.carry(version.pk, now=treasury.now)
    row = queries.payment(payment.pk)
    assert (row.owner.state, row.txid, row.sent_at) == ("broadcast", version.txid, treasury.now)


def test_takes_no_signature_and_no_transaction_that_is_not_its_own(treasury: Treasury) -> None:
    payment = treasury.broadcast()
    version = raised(treasury, payment)
    with pytest.raises(BadSignatures):
        actions.store_version_signature(
            version_id=version.pk,
            token="hot-1",
            given=signatures(payment.psbt, "hot-1"),
            actor=ROBOT,
            now=treasury.now,
        )
    with pytest.raises(NotAsApproved):
        actions.store_version_signed(
            version_id=version.pk, raw=bytes.fromhex(payment.raw), actor=ROBOT, now=treasury.now
        )


def test_is_put_before_signers_again_who_refused_it(treasury: Treasury) -> None:
    payment = treasury.broadcast()
    version = raised(treasury, payment)
    refused(treasury, version, "SIGNER_FROZEN")
    (_, (_, standing)) = queries.states_of(queries.versions_of(payment), payment, now=treasury.now)
    assert standing == "refused by signers"
    treasury.now += timedelta(minutes=1)
    again = raised(treasury, payment)
    assert (again.pk, PaymentVersion.objects.count()) == (version.pk, 2)
    assert not queries.is_version_hopeless(queries.version(version.pk))


def test_is_raised_by_itself_after_so_many_blocks_and_no_sooner(
    treasury: Treasury, node: Node, settings: Settings
) -> None:
    settings.RAISE_FEES_AFTER_BLOCKS = 3
    payment = treasury.broadcast()
    node.rate = 12
    for mined in (1, 2, 3):
        treasury.now += timedelta(minutes=10)
        treasury.mine()
        raising_tasks.raise_slow(now=treasury.now)
        assert PaymentVersion.objects.exists() == (mined == 3)
    version = PaymentVersion.objects.get(number=2)
    assert version.fee_units == 12 * version.vsize
    assert queries.version(version.pk).payment == payment


@pytest.mark.parametrize("why", ["off", "enough", "unknown", "frozen", "silent"])
def test_is_not_raised_by_itself_where_nothing_asks_for_it(
    treasury: Treasury, node: Node, settings: Settings, why: str
) -> None:
    settings.RAISE_FEES_AFTER_BLOCKS = 0 if why == "off" else 1
    treasury.broadcast()
    node.rate = {"enough": 2, "unknown": None}.get(why, 12)
    treasury.now += timedelta(minutes=10)
    treasury.mine()
    if why == "frozen":
        freeze(scope="asset:BTC", actor=ROBOT, now=treasury.now)
    if why == "silent":
        node.outcome = Outcome.UNKNOWN
    with Trace() as trace:
        raising_tasks.raise_slow(now=treasury.now)
    assert trace.events == []
    assert not PaymentVersion.objects.exists()


def test_is_raised_by_itself_as_far_as_its_cap_allows(
    treasury: Treasury, node: Node, settings: Settings
) -> None:
    settings.RAISE_FEES_AFTER_BLOCKS = 1
    payment = treasury.broadcast()
    node.rate = 10_000
    treasury.now += timedelta(minutes=10)
    treasury.mine()
    raising_tasks.raise_slow(now=treasury.now)
    version = PaymentVersion.objects.get(number=2)
    cap = min(payment.owner.fee_cap_units, 200 * version.vsize)
    assert cap - 2 * version.vsize < version.fee_units <= cap


def test_is_signed_and_sent_by_one_road_wherever_a_worker_ended(
    treasury: Treasury, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment = treasury.broadcast()
    version = raised(treasury, payment)
    asked: list[str] = []

    def answer(folder: object, token: str, request: dict[str, Any]) -> signer_client.Signed:
        asked.append(token)
        if len(asked) == 2:
            raise RuntimeError("the worker ended here")
        return signer_client.Signed(token, signatures(request["psbt"], token))

    monkeypatch.setattr(signer_client, "ask", answer)
    with pytest.raises(RuntimeError):
        raising_tasks.carry(version.pk, now=treasury.now)
    raising_tasks.carry(version.pk, now=treasury.now)
    assert asked == ["hot-1", "hot-3", "hot-3"]
    assert [one.hex() for one in node.given] == [queries.version(version.pk).raw]
    assert queries.payment(payment.pk).txid == version.txid
    assert Utxo.objects.filter(spent_in=None).count() == 1
