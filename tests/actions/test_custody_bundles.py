"""A refill's bundle …"""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from core.access.models import Identity, OfficerCredential
from core.approvals.opening import NotApproved
from core.ledger import invariants
from custody import actions, queries, tending_tasks
from custody.actions.bundles import NotExportable
from custody.actions.moves import Outdated
from custody.actions.signatures import BadSignatures
from custody.domain.withdrawals import CLOCKS_DIFFER_MAX
from custody.models import PaymentPolicy, Refill
from kernel import canonical
from kernel.intent import REFILL
from tests.refilling import COLD, built, carry, exported, low, partial
from tests.stockroom import Lend
from tests.traces import Trace
from tests.treasury import BTC, ROBOT, Treasury, signatures

pytestmark = pytest.mark.django_db


@pytest.fixture
def treasury(lend: Lend, now: datetime) -> Treasury:
    return lend(low, now)


def test_travels_as_a_bundle_that_is_the_same_each_time(treasury: Treasury) -> None:
    row = treasury.refill_requested()
    with pytest.raises(NotExportable):
        actions.export_bundle(refill_id=row.pk, actor=treasury.staff.ana.actor, now=treasury.now)
    treasury.sign_off(row)
    payment = treasury.built(queries.refill(row.pk))
    with Trace() as trace:
        first = actions.export_bundle(refill_id=row.pk, actor=treasury.staff.ana.actor, now=treasury.now)
    assert first == actions.export_bundle(refill_id=row.pk, actor=treasury.staff.ben.actor, now=treasury.now)
    bundle = canonical.decode_object(first)
    request = queries.sign_request(payment)
    assert bundle == {
        "v": 1,
        "type": "bundle",
        "request": request,
        "sha256": canonical.digest(canonical.encode(request)).hex(),
    }
    assert queries.refill(row.pk).state == "exported"
    assert trace.events == ["custody.payment.exported"]


def test_leaves_the_house_only_while_its_approval_is_good_and_ends_by_itself_afterwards(
    treasury: Treasury,
) -> None:
    """Exported later, its coins would be claimed for ever for what nobody signs."""
    row, ana = built(treasury), treasury.staff.ana.actor
    assert row.expires_at is not None
    ended, moment = row.expires_at, timedelta(seconds=1)
    tending_tasks.tend_all(now=ended - moment)
    assert queries.refill(row.pk).state == "built"
    with Trace() as trace, pytest.raises(NotExportable):
        actions.export_bundle(refill_id=row.pk, actor=ana, now=ended)
    trace.only_refused("custody.payment.exported")
    tending_tasks.tend_all(now=ended)
    assert queries.refill(row.pk).state == "failed"
    assert queries.free_coins(row.source).exists()
    another = Refill.objects.get(state="proposed")
    assert another.amount == row.amount

    actions.dismiss_refill(refill_id=another.pk, reason="audit week", actor=ana, now=treasury.now)
    row = exported(treasury)
    assert row.expires_at is not None
    actions.export_bundle(refill_id=row.pk, actor=ana, now=row.expires_at - moment)
    with pytest.raises(NotExportable):
        actions.export_bundle(refill_id=row.pk, actor=ana, now=row.expires_at)


def test_leaves_the_house_only_while_the_hot_wallet_still_needs_it(treasury: Treasury) -> None:
    """Approved on Monday, carried on Wednesday: deposits came in between."""
    row, ana = built(treasury), treasury.staff.ana.actor
    treasury.deposit(BTC)
    with Trace() as trace, pytest.raises(Outdated):
        actions.export_bundle(refill_id=row.pk, actor=ana, now=treasury.now)
    trace.only_refused("custody.payment.exported")
    assert queries.refill(row.pk).state == "built", "no signature of it can exist"
    treasury.request(BTC // 10)
    actions.export_bundle(refill_id=row.pk, actor=ana, now=treasury.now)
    assert queries.refill(row.pk).state == "exported", "too much, by less than the band"


@pytest.mark.parametrize("change", ["approver", "maker", "passkey", "policy"])
def test_leaves_the_house_only_while_those_count_whose_word_it_is(treasury: Treasury, change: str) -> None:
    """Its approval was used up when it was built; then it waited for somebody with a stick."""
    row, staff = built(treasury), treasury.staff
    match change:
        case "approver" | "maker":
            person = staff.cy if change == "approver" else staff.ana
            Identity.objects.filter(pk=person.identity.pk).update(is_active=False)
        case "passkey":
            OfficerCredential.objects.filter(officer=staff.ben.identity).update(revoked_at=treasury.now)
        case "policy":
            PaymentPolicy.objects.filter(kind=REFILL).update(version=2)
    with Trace() as trace, pytest.raises(NotExportable if change == "policy" else NotApproved):
        actions.export_bundle(refill_id=row.pk, actor=ROBOT, now=treasury.now)
    trace.only_refused("custody.payment.exported")


def test_takes_only_files_that_sign_it(treasury: Treasury) -> None:
    row = exported(treasury)
    payment = queries.payment_of(row)
    assert payment is not None
    for data in (
        b"",
        b"{}",
        partial(payment, "cold-1", type="refused"),
        partial(payment, "cold-1", txid="00" * 32),
        partial(payment, "cold-1", token="cold-2"),
        partial(payment, "cold-1", token="hot-1"),
        partial(payment, "cold-1", signatures=[]),
        partial(payment, "cold-1") + b" ",
    ):
        with Trace() as trace, pytest.raises(BadSignatures):
            actions.import_signatures(
                refill_id=row.pk, data=data, actor=treasury.staff.ana.actor, now=treasury.now
            )
        trace.only_refused("custody.payment.signature_stored")
    assert queries.collected(payment).signed == ()
    carry(treasury, row, COLD[0])
    with Trace() as trace:
        carry(treasury, row, COLD[0])
    assert (trace.events, queries.collected(payment).signed) == ([], (COLD[0],)), "the same file once more"


def test_lapses_when_nobody_brings_it_back_and_keeps_its_coins(treasury: Treasury) -> None:
    row = exported(treasury)
    assert row.expires_at is not None
    actions.lapse_refill(refill_id=row.pk, actor=ROBOT, now=row.expires_at)
    assert queries.refill(row.pk).state == "exported"
    late = row.expires_at + CLOCKS_DIFFER_MAX
    assert queries.lapsing_refills(now=late) == [row.pk]
    with Trace() as trace:
        actions.lapse_refill(refill_id=row.pk, actor=ROBOT, now=late)
    assert queries.refill(row.pk).state == "lapsed"
    assert trace.events == ["custody.refill.lapsed"]
    assert not queries.free_coins(row.source).exists()


def test_that_lapsed_is_settled_if_it_turns_up_on_the_chain(treasury: Treasury) -> None:
    """Two answers came back and were lost sight of; whoever carried the third had all three."""
    row = exported(treasury)
    carry(treasury, row, *COLD[:2])
    payment = queries.payment_of(row)
    assert payment is not None
    assert row.expires_at is not None
    treasury.now = row.expires_at + CLOCKS_DIFFER_MAX + timedelta(days=1)
    actions.lapse_refill(refill_id=row.pk, actor=ROBOT, now=treasury.now)
    assert queries.refill(row.pk).state == "lapsed"
    treasury.fund("cold", 200 * BTC)
    following = actions.propose_refill(target="hot", source="cold", actor=ROBOT, now=treasury.now)
    third = signatures(payment.psbt, COLD[2])
    whole = queries.signed_psbt(payment).with_signatures(
        (item["input"], bytes.fromhex(item["public_key"]), bytes.fromhex(item["signature"])) for item in third
    )
    treasury.mine(whole.finalised(), empty=1)
    treasury.book()
    assert [queries.refill(one.pk).state for one in (row, following)] == ["settled", "proposed"]
    assert not any(invariants.broken().values())


def test_does_not_lapse_once_all_signatures_came_back(treasury: Treasury) -> None:
    """The worker was away for longer than the refill was good for: what cold signed in time is sent."""
    row = exported(treasury)
    carry(treasury, row, *COLD)
    payment = queries.payment_of(row)
    assert payment is not None
    assert row.expires_at is not None
    late = row.expires_at + CLOCKS_DIFFER_MAX + timedelta(days=1)
    actions.lapse_refill(refill_id=row.pk, actor=ROBOT, now=late)
    assert queries.refill(row.pk).state == "exported"
    raw = queries.signed_psbt(payment).finalised().encoded()
    assert actions.store_signed(payment_id=payment.pk, raw=raw, actor=ROBOT, now=late).owner.state == "signed"
