"""A version of a payment whose fee was raised …"""

from __future__ import annotations

import hashlib
from uuid import uuid4

import pytest
from django.db import DatabaseError, connection, transaction

from core import ledger
from core.freezes.models import Freeze
from core.ledger import AccountKind, invariants
from custody import actions, queries, raising_tasks, tasks
from custody.actions.raising import FeeNotRaised
from custody.daemons import watcher
from custody.domain import raising
from custody.models import Deposit, Payment
from kernel.psbt import Psbt
from tests.nodes import Node
from tests.raising import answered, raised, raw_of, replaced, signed
from tests.traces import Trace
from tests.treasury import BTC, ROBOT, Treasury
from tests.treasury import raw_of as first_of

pytestmark = pytest.mark.django_db

SMALL = BTC // 100


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
    treasury.unwind()
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
    treasury.unwind()
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
        treasury.unwind(2)
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
    treasury.unwind()
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
    version = replaced(treasury, payment)
    child = child_of(treasury, payment)
    assert queries.payment(payment.pk).txid == payment.txid
    tasks.send_again(now=treasury.now)
    raising_tasks.carry_all(now=treasury.now)
    assert [one.hex() for one in node.given] == [payment.raw, queries.payment(child.pk).raw]
    assert version.sent_at is not None, "which a node had before"


def test_takes_with_it_a_payment_over_the_change_of_another_version_until_the_chain_turns(
    treasury: Treasury, node: Node
) -> None:
    payment = treasury.broadcast(treasury.approved(sats=SMALL))
    version = replaced(treasury, payment)
    child = child_of(treasury, payment)
    treasury.mine(raw_of(version))
    assert queries.payment(child.pk).owner.state == "conflicted"
    assert queries.payment(child.pk).owner.reason == f"spent by {version.txid}"
    treasury.unwind()
    treasury.mine(first_of(payment))
    treasury.mine(first_of(child))
    assert queries.payment(child.pk).owner.state == "confirmed"
    treasury.unwind(2)
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
