"""A payment whose fee is raised …"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import DatabaseError, connection, transaction
from pytest_django.fixtures import Settings

from core import freezes, ledger
from core.action import action
from core.freezes import Frozen
from core.freezes.models import Freeze
from core.ledger import AccountKind, invariants
from core.refusals import NotAllowed
from custody import actions, queries, raising_tasks, tasks
from custody.actions.payments import NotAsApproved
from custody.actions.raising import FeeNotRaised
from custody.actions.signatures import BadSignatures
from custody.adapters import signer_client
from custody.adapters.bitcoin import Outcome
from custody.daemons import watcher
from custody.domain import raising
from custody.events import Event
from custody.models import Deposit, Payment, PaymentVersion, Utxo
from kernel.psbt import Psbt
from tests.nodes import Node, stand_in
from tests.raising import answered, raised, raw_of, replaced, signed
from tests.traces import Trace
from tests.treasury import BTC, ROBOT, Treasury, signatures
from tests.treasury import raw_of as first_of

pytestmark = pytest.mark.django_db

SMALL = BTC // 100


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Node:
    found = stand_in(monkeypatch)
    monkeypatch.setattr(raising_tasks, "BitcoinNode", tasks.BitcoinNode)
    return found


@action(Event.WITHDRAWAL_REQUESTED)
def freeze(*, scope: str, actor: Any, now: datetime) -> None:
    freezes.pull(scope, reason="a test", actor=actor, now=now)


def unwind(treasury: Treasury, blocks: int = 1) -> None:
    for _ in range(blocks):
        tip = queries.tip()
        assert tip is not None
        actions.unwind_block(block_hash=tip.hash, actor=ROBOT, now=treasury.now)


def fees_booked() -> int:
    return ledger.balance(ledger.account(AccountKind.NETWORK_FEES, "BTC")).posted.units


def hot_booked() -> int:
    return ledger.balance(ledger.account(AccountKind.HOT_WALLET, "BTC")).posted.units


def agrees() -> bool:
    """Whether the books have what the chain has; no deposit of somebody else's was made of our change."""
    return (
        hot_booked() == queries.all_standings()[0].total.units
        and Deposit.objects.count() == 1
        and not any(invariants.broken().values())
        and not Freeze.objects.exists()
    )


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
            treasury.fund("cold", 5 * BTC)
            hot = queries.wallet_named("hot")
            hot.refill_below, hot.target = 3 * BTC, 4 * BTC
            hot.save()
            refill = treasury.refill_requested()
            treasury.sign_off(refill)
            payment = treasury.built(queries.refill(refill.pk))
        case "maker":
            actor = treasury.staff.dot.actor
    reason = " " if change == "reason" else "x"
    refusal: Any = {"maker": NotAllowed, "reason": Exception}.get(change, FeeNotRaised)
    with Trace() as trace, pytest.raises(refusal):
        actions.raise_fee(payment_id=payment.pk, feerate=rate, reason=reason, actor=actor, now=now)
    trace.only_refused("custody.payment.raised")
    assert not PaymentVersion.objects.exists()


def test_is_raised_by_a_treasury_maker_and_not_by_a_machine_of_a_customer(treasury: Treasury) -> None:
    payment = treasury.broadcast()
    made = actions.raise_fee(
        payment_id=payment.pk, feerate=9, reason="Tom waits", actor=treasury.staff.ana.actor, now=treasury.now
    )
    assert made.number == 2


@pytest.mark.parametrize("scope", ["platform.withdrawals", "asset:BTC", "wallet:hot"])
def test_stands_still_under_a_freeze_at_each_step(treasury: Treasury, node: Node, scope: str) -> None:
    payment, other = treasury.broadcast(treasury.approved(sats=SMALL)), None
    version = signed(treasury, payment)
    freeze(scope=scope, actor=ROBOT, now=treasury.now)
    with pytest.raises(Frozen):
        raised(treasury, payment, rate=30)
    with Trace() as trace, pytest.raises(tasks.HeldBack):
        raising_tasks.carry(version.pk, now=treasury.now)
    assert (node.given, trace.events, other) == ([], [], None)
    treasury.release(Freeze.objects.get())
    raising_tasks.carry_all(now=treasury.now)
    assert [one.hex() for one in node.given] == [version.raw]


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


@pytest.mark.parametrize("which", ["first", "further"])
@pytest.mark.parametrize("sent", [False, True])
def test_is_paid_once_and_settles_with_the_fee_of_the_version_that_a_block_has(
    treasury: Treasury, node: Node, which: str, sent: bool
) -> None:
    payment = treasury.broadcast(treasury.approved(sats=SMALL))
    version = (replaced if sent else signed)(treasury, payment)
    mined, fee = (
        (first_of(payment), payment.fee_units) if which == "first" else (raw_of(version), version.fee_units)
    )
    treasury.mine(mined, empty=1)
    treasury.book()
    row = queries.payment(payment.pk)
    assert (row.owner.state, row.txid, row.fee_units) == ("settled", mined.txid, fee)
    assert fees_booked() == fee
    assert (treasury.funding().posted.units, treasury.funding().held.units) == (BTC - SMALL - 5_000, 0)
    assert agrees()
    raising_tasks.carry_all(now=treasury.now)
    tasks.send_again(now=treasury.now)
    assert node.given == []


def test_may_be_completed_by_somebody_else_and_is_still_ours(treasury: Treasury, node: Node) -> None:
    """The signatures of a version that we never put together: it pays what was approved, and is no rival."""
    payment = treasury.broadcast(treasury.approved(sats=SMALL))
    version = answered(treasury, raised(treasury, payment), "hot-1", "hot-3")
    completed = queries.signed_version(version).finalised()
    treasury.mine(completed)
    assert queries.payment(payment.pk).owner.state == "confirmed"
    unwind(treasury)
    row = queries.payment(payment.pk)
    assert (row.owner.state, row.txid, row.raw) == ("broadcast", payment.txid, payment.raw)
    treasury.mine(completed, empty=1)
    treasury.book()
    assert fees_booked() == version.fee_units
    assert agrees()


def test_is_swapped_by_a_reorganisation_before_it_settles(treasury: Treasury, node: Node) -> None:
    payment = treasury.broadcast(treasury.approved(sats=SMALL))
    version = replaced(treasury, payment)
    treasury.mine(first_of(payment))
    assert queries.payment(payment.pk).txid == payment.txid
    unwind(treasury)
    row = queries.payment(payment.pk)
    assert (row.owner.state, row.txid) == ("broadcast", version.txid), "the dearest that a node had"
    tasks.send_again(now=treasury.now)
    assert [one.hex() for one in node.given] == [version.raw]
    treasury.mine(raw_of(version), empty=1)
    treasury.book()
    assert fees_booked() == version.fee_units
    assert agrees(), "the other's change is gone"


def test_has_its_fee_corrected_where_a_deep_reorganisation_swaps_it(treasury: Treasury, node: Node) -> None:
    payment = treasury.broadcast(treasury.approved(sats=SMALL))
    version = replaced(treasury, payment)
    treasury.mine(first_of(payment), empty=1)
    treasury.book()
    assert fees_booked() == payment.fee_units
    for mined, fee in ((raw_of(version), version.fee_units), (first_of(payment), payment.fee_units)):
        unwind(treasury, 2)
        treasury.mine(mined)
        assert not watcher.book_final(now=treasury.now)
        treasury.mine()
        with Trace() as trace:
            assert watcher.book_final(now=treasury.now)
        assert trace.events == ["custody.payment.fee_corrected"]
        assert fees_booked() == fee
        assert agrees()
        assert not watcher.book_final(now=treasury.now)
    assert queries.payment(payment.pk).owner.state == "settled"
    assert treasury.funding().posted.units == BTC - SMALL - 5_000


def child_of(treasury: Treasury, payment: Payment) -> Payment:
    """Another payment, over the change that a block had, and lost since."""
    treasury.mine(first_of(payment))
    child = treasury.broadcast(treasury.approved(sats=SMALL))
    assert child.locks.get().utxo.txid == payment.txid
    unwind(treasury)
    return child


def test_is_not_raised_where_another_payment_spends_its_change(treasury: Treasury, node: Node) -> None:
    payment = treasury.broadcast(treasury.approved(sats=SMALL))
    child_of(treasury, payment)
    with pytest.raises(FeeNotRaised, match="another payment of ours spends the change"):
        raised(treasury, payment)
    found = queries.to_raise(queries.payment(payment.pk), now=treasury.now)
    assert found is not None
    assert found.why_not == "another payment of ours spends its change"


def test_is_sent_in_the_version_whose_change_another_payment_spends(treasury: Treasury, node: Node) -> None:
    payment = treasury.broadcast(treasury.approved(sats=SMALL))
    version, late = replaced(treasury, payment), None
    child = child_of(treasury, payment)
    assert queries.payment(payment.pk).txid == payment.txid
    tasks.send_again(now=treasury.now)
    raising_tasks.carry_all(now=treasury.now)
    given = [one.hex() for one in node.given]
    assert given == [payment.raw, queries.payment(child.pk).raw]
    assert (version.raw in given, late) == (False, None)


def test_takes_with_it_a_payment_over_the_change_of_another_version_until_the_chain_turns(
    treasury: Treasury, node: Node
) -> None:
    payment = treasury.broadcast(treasury.approved(sats=SMALL))
    version = replaced(treasury, payment)
    child = child_of(treasury, payment)
    treasury.mine(raw_of(version))
    assert queries.payment(child.pk).owner.state == "conflicted"
    assert queries.payment(child.pk).owner.reason == f"spent by {version.txid}"
    unwind(treasury)
    treasury.mine(first_of(payment))
    treasury.mine(first_of(child))
    assert queries.payment(child.pk).owner.state == "confirmed"
    unwind(treasury, 2)
    treasury.mine(raw_of(version), empty=1)
    treasury.book()
    assert queries.payment(child.pk).owner.state in ("broadcast", "conflicted")
    assert not Freeze.objects.exists()


def test_frees_what_can_never_be_paid_once_the_other_version_is_deep(treasury: Treasury, node: Node) -> None:
    payment = treasury.broadcast(treasury.approved(sats=SMALL))
    version = replaced(treasury, payment)
    child = child_of(treasury, payment)
    treasury.mine(raw_of(version), empty=1)
    treasury.book()
    actions.fail_withdrawal(
        withdrawal_id=child.owner.pk, reason="its coin is gone", actor=ROBOT, now=treasury.now
    )
    assert treasury.funding().held.units == 0
    assert agrees()


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
    for token in ("hot-1", "hot-2"):
        actions.report_version_refusal(
            version_id=version.pk, token=token, code="SIGNER_FROZEN", detail="", actor=ROBOT, now=treasury.now
        )
    (_, (_, standing)) = queries.states_of(queries.versions_of(payment), payment, now=treasury.now)
    assert standing == "refused by signers"
    treasury.now += timedelta(minutes=1)
    again = raised(treasury, payment)
    assert (again.pk, PaymentVersion.objects.count()) == (version.pk, 2)
    assert not queries.is_version_hopeless(queries.version(version.pk))


def test_is_no_other_transaction_whatever_is_written_in_the_database(treasury: Treasury) -> None:
    payment = treasury.broadcast()
    version = replaced(treasury, payment)
    foreign = hashlib.sha256(b"foreign").hexdigest()
    one = queries.version(version.pk)
    columns = f"'{payment.pk}', 3, 100, 'x', now(), now(), ''"
    insert = (
        "INSERT INTO custody_payment_version (id, payment_id, number, vsize, reason, built_at, asked_at, raw,"
        f" txid, fee_units, change_units) VALUES ('{uuid4()}', {columns},"
    )
    total = one.fee_units + one.change_units
    statements = [
        f"{insert} '{foreign}', {total - 5_000}, 5000)",
        f"{insert} '{foreign}', {total}, 0)",
        f"{insert} '{txid_with(payment, 5_000)}', {total - 4_999}, 5000)",
        f"UPDATE custody_payment_version SET txid = '{foreign}'",
        "UPDATE custody_payment_version SET raw = 'ab'",
        "DELETE FROM custody_payment_version",
        f"UPDATE custody_payment SET txid = '{foreign}'",
        "UPDATE custody_payment SET fee_units = fee_units + 1",
        "UPDATE custody_payment SET raw = 'ab'",
        f"UPDATE custody_payment SET txid = '{payment.txid}'",
        "UPDATE custody_version_signature SET token = 'x'",
    ]
    for statement in statements:
        refusal = pytest.raises(DatabaseError, match=r"keeps|append-only|is no version")
        with refusal, transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"{insert} '{txid_with(payment, 5_000)}', {total - 5_000}, 5000)")


def txid_with(payment: Payment, change: int) -> str:
    return raising.build(Psbt.parse_base64(payment.psbt), change).transaction.txid


@pytest.mark.parametrize("change", [0, 330, 100_000, 16_777_216 + 7])
def test_is_reckoned_by_the_database_as_by_us(treasury: Treasury, change: int) -> None:
    payment = treasury.broadcast()
    with connection.cursor() as cursor:
        cursor.execute("SELECT custody_version_txid(%s, %s)", [payment.psbt, change])
        assert cursor.fetchone()[0] == txid_with(payment, change)


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
