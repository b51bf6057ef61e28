"""A payment …"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction

from core import ledger
from core.action import action
from core.approvals.opening import NotApproved
from core.freezes import Frozen, pull
from core.ledger import AccountKind, invariants
from core.refusals import NotFound
from custody import actions, queries
from custody.actions.payments import CoinTaken, NotAsApproved
from custody.actions.settling import NotDeepEnough
from custody.actions.signatures import BadSignatures
from custody.events import Event
from custody.models import Payment, Utxo, UtxoLock
from custody.models.moving import WrongState
from kernel.psbt import Psbt
from kernel.transaction import Output
from tests.traces import Trace
from tests.treasury import BTC, ROBOT, Treasury, raw_of, signatures

pytestmark = pytest.mark.django_db

SMALL = BTC // 100


@action(Event.WITHDRAWAL_REQUESTED)
def freeze(*, scope: str, actor: Any, now: datetime) -> None:
    pull(scope, reason="a test", actor=actor, now=now)


def test_is_built_with_its_coins_claimed_and_its_approval_used_up(treasury: Treasury) -> None:
    row = treasury.approved(sats=SMALL)
    psbt, vsize = treasury.psbt_for(row)
    with Trace() as trace:
        payment = actions.store_built(owner=row, psbt=psbt, vsize=vsize, actor=ROBOT, now=treasury.now)
    row = queries.withdrawal(row.pk)
    parsed = Psbt.parse_base64(psbt)
    assert row.request is not None
    assert (row.state, row.request.state) == ("built", "consumed")
    assert (payment.txid, payment.fee_units) == (parsed.transaction.txid, parsed.fee)
    assert queries.locked_outpoints(payment) == [
        (spent.outpoint.txid, spent.outpoint.index) for spent in parsed.transaction.inputs
    ]
    assert not queries.free_coins(payment.wallet).exists()
    assert trace.events == ["custody.payment.built"]
    assert trace.topics == ["approvals.moved", "custody.withdrawal_moved"]


def test_is_built_once(treasury: Treasury) -> None:
    row = treasury.approved(sats=SMALL)
    first = treasury.built(row)
    with Trace() as trace:
        again = actions.store_built(owner=row, psbt=first.psbt, vsize=1, actor=ROBOT, now=treasury.now)
    assert again == first
    assert trace.events == []


def test_is_not_built_before_approval(treasury: Treasury) -> None:
    row = treasury.screened(sats=SMALL)
    psbt, vsize = treasury.psbt_for(row)
    with pytest.raises((WrongState, NotApproved)):
        actions.store_built(owner=row, psbt=psbt, vsize=vsize, actor=ROBOT, now=treasury.now)
    fresh = treasury.request(SMALL)
    with pytest.raises(NotFound):
        actions.store_built(owner=fresh, psbt=psbt, vsize=vsize, actor=ROBOT, now=treasury.now)
    assert not Payment.objects.exists()


def test_pays_what_was_approved_whoever_built_it(treasury: Treasury) -> None:
    row = treasury.approved(sats=SMALL)
    psbt, vsize = treasury.psbt_for(row)
    honest = Psbt.parse_base64(psbt)
    paid, change = honest.transaction.outputs
    thief = b"\x00\x14" + b"\x09" * 20
    for outputs in (
        (replace(paid, script=thief), change),
        (paid, replace(change, script=thief)),
        (replace(paid, sats=paid.sats + 1), change),
        (paid, replace(change, sats=change.sats - row.fee_cap_units)),
        (paid, replace(change, sats=1_000), Output(change.sats - 1_000, thief)),
    ):
        bad = Psbt(replace(honest.transaction, outputs=outputs), honest.spends).base64()
        with Trace() as trace, pytest.raises(NotAsApproved):
            actions.store_built(owner=row, psbt=bad, vsize=vsize, actor=ROBOT, now=treasury.now)
        trace.only_refused("custody.payment.built")
    assert queries.withdrawal(row.pk).state == "approved"
    assert not UtxoLock.objects.exists()


def test_never_takes_a_coin_that_another_one_claims(treasury: Treasury) -> None:
    one = treasury.approved(sats=SMALL)
    other = treasury.approved(sats=SMALL)
    psbt, vsize = treasury.psbt_for(other)
    treasury.built(one)
    with Trace() as trace, pytest.raises(CoinTaken):
        actions.store_built(owner=other, psbt=psbt, vsize=vsize, actor=ROBOT, now=treasury.now)
    trace.only_refused("custody.payment.built")
    assert queries.withdrawal(other.pk).state == "approved"
    assert Payment.objects.count() == 1


@pytest.mark.parametrize("change", [{"height": None}, {"spent_in": 3, "spent_by": "ab"}])
def test_never_takes_a_coin_that_is_not_there(treasury: Treasury, change: dict[str, Any]) -> None:
    row = treasury.approved(sats=SMALL)
    psbt, vsize = treasury.psbt_for(row)
    Utxo.objects.update(**change)
    with pytest.raises(CoinTaken):
        actions.store_built(owner=row, psbt=psbt, vsize=vsize, actor=ROBOT, now=treasury.now)


@pytest.mark.parametrize("scope", ["platform.withdrawals", "asset:BTC", "wallet:hot"])
def test_stops_at_a_freeze_before_it_is_built_and_before_it_is_signed(treasury: Treasury, scope: str) -> None:
    row = treasury.approved(sats=SMALL)
    psbt, vsize = treasury.psbt_for(row)
    payment = treasury.built(treasury.approved(sats=2 * SMALL))
    freeze(scope=scope, actor=ROBOT, now=treasury.now)
    with pytest.raises(Frozen):
        actions.store_built(owner=row, psbt=psbt, vsize=vsize, actor=ROBOT, now=treasury.now)
    with pytest.raises(Frozen):
        actions.mark_asked(payment_id=payment.pk, actor=ROBOT, now=treasury.now)


def test_is_marked_before_the_first_signer_is_asked(treasury: Treasury) -> None:
    payment = treasury.built()
    with Trace() as trace:
        payment = actions.mark_asked(payment_id=payment.pk, actor=ROBOT, now=treasury.now)
    assert (payment.owner.state, payment.asked_at) == ("signing", treasury.now)
    assert trace.events == ["custody.payment.asked"]
    with Trace() as again:
        actions.mark_asked(payment_id=payment.pk, actor=ROBOT, now=treasury.now)
    assert again.events == []


def test_takes_each_tokens_signatures_once(treasury: Treasury) -> None:
    payment = treasury.signing()
    with Trace() as trace:
        treasury.sign(payment, "hot-2")
    assert queries.collected(payment).signed == ("hot-2",)
    assert trace.events == ["custody.payment.signature_stored"]
    assert trace.topics == ["custody.signature_stored"]
    with Trace() as again:
        treasury.sign(payment, "hot-2")
    assert again.events == []


def test_takes_no_signature_that_is_not_that_tokens_own(treasury: Treasury) -> None:
    payment = treasury.signing()
    good = signatures(payment.psbt, "hot-1")
    broken = good[0]["signature"][:-6] + "000001"
    for token, given in (
        ("hot-2", good),
        ("cold-1", good),
        ("nobody", good),
        ("hot-1", []),
        ("hot-1", [*good, *good]),
        ("hot-1", [{**good[0], "signature": broken}]),
        ("hot-1", [{**good[0], "signature": "zz"}]),
        ("hot-1", [{**good[0], "input": 1}]),
        ("hot-1", [{"input": 0}]),
    ):
        with Trace() as trace, pytest.raises(BadSignatures):
            actions.store_signature(
                payment_id=payment.pk, token=token, signatures=given, actor=ROBOT, now=treasury.now
            )
        trace.only_refused("custody.payment.signature_stored")
    assert queries.collected(payment).signed == ()


def test_is_stored_signed_before_anything_is_sent(treasury: Treasury) -> None:
    payment = treasury.sign(treasury.signing(), "hot-1", "hot-2")
    raw = queries.signed_psbt(payment).finalised().encoded()
    with Trace() as trace:
        payment = actions.store_signed(payment_id=payment.pk, raw=raw, actor=ROBOT, now=treasury.now)
    assert (payment.owner.state, payment.raw, payment.sent_at) == ("signed", raw.hex(), None)
    assert trace.events == ["custody.payment.signed"]
    assert trace.topics == ["custody.withdrawal_moved"]


def test_keeps_the_first_signed_transaction(treasury: Treasury) -> None:
    payment = treasury.signed()
    treasury.sign(payment, "hot-2")
    other = Psbt.parse_base64(payment.psbt)
    for token in ("hot-2", "hot-3"):
        other = other.with_signatures(
            (item["input"], bytes.fromhex(item["public_key"]), bytes.fromhex(item["signature"]))
            for item in signatures(payment.psbt, token)
        )
    raw = other.finalised().encoded()
    assert raw.hex() != payment.raw
    again = actions.store_signed(payment_id=payment.pk, raw=raw, actor=ROBOT, now=treasury.now)
    assert again.raw == payment.raw
    with pytest.raises(DatabaseError, match="keeps its transaction"), transaction.atomic():
        Payment.objects.filter(pk=payment.pk).update(raw=raw.hex())


def test_takes_no_other_transaction_for_its_own(treasury: Treasury) -> None:
    other = treasury.signed(treasury.approved(sats=SMALL))
    treasury.deposit(BTC)
    payment = treasury.signing(treasury.approved(sats=2 * SMALL))
    for raw in (bytes.fromhex(other.raw), b"", b"\x00"):
        with Trace() as trace, pytest.raises(NotAsApproved):
            actions.store_signed(payment_id=payment.pk, raw=raw, actor=ROBOT, now=treasury.now)
        trace.only_refused("custody.payment.signed")


def test_is_reported_sent_once(treasury: Treasury) -> None:
    payment = treasury.signed()
    with Trace() as trace:
        payment = actions.report_broadcast(payment_id=payment.pk, actor=ROBOT, now=treasury.now)
    assert (payment.owner.state, payment.sent_at) == ("broadcast", treasury.now)
    assert trace.events == ["custody.payment.broadcast"]
    with Trace() as again:
        actions.report_broadcast(payment_id=payment.pk, actor=ROBOT, now=treasury.now)
    assert again.events == []


def test_is_confirmed_by_a_block_even_if_nobody_said_that_it_was_sent(treasury: Treasury) -> None:
    payment = treasury.signed()
    treasury.mine(raw_of(payment))
    payment = queries.payment(payment.pk)
    assert payment.owner.state == "confirmed"
    assert payment.height == queries.tip_height()
    assert (
        actions.report_broadcast(payment_id=payment.pk, actor=ROBOT, now=treasury.now).owner.state
        == "confirmed"
    )


def test_settles_when_it_is_deep_enough_and_posts_the_hold(treasury: Treasury) -> None:
    payment = treasury.broadcast(treasury.approved(sats=SMALL))
    row = payment.owner
    treasury.mine(raw_of(payment))
    with pytest.raises(NotDeepEnough):
        actions.settle_payment(payment_id=payment.pk, actor=ROBOT, now=treasury.now)
    treasury.mine()
    with Trace() as trace:
        payment = actions.settle_payment(payment_id=payment.pk, actor=ROBOT, now=treasury.now)
    assert payment.owner.state == "settled"
    balance, wallet = treasury.funding(), queries.all_standings()[0].total
    assert (balance.posted.units, balance.held.units) == (BTC - SMALL - row.fee.units, 0)  # type: ignore[union-attr]
    assert wallet.units == BTC - SMALL - payment.fee_units
    held = ledger.balance(ledger.account(AccountKind.HOT_WALLET, "BTC")).posted
    network = ledger.balance(ledger.account(AccountKind.NETWORK_FEES, "BTC")).posted
    earned = ledger.balance(ledger.account(AccountKind.WITHDRAWAL_FEES, "BTC")).posted
    assert (held, network, earned) == (wallet, payment.fee, row.fee)  # type: ignore[union-attr]
    assert not any(invariants.broken().values())
    assert trace.events == ["custody.payment.settled"]
    assert trace.topics == ["custody.withdrawal_moved"]
    with Trace() as again:
        actions.settle_payment(payment_id=payment.pk, actor=ROBOT, now=treasury.now)
    assert again.events == []


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM custody_payment",
        "UPDATE custody_payment SET psbt = ''",
        "DELETE FROM custody_utxo_lock",
        "UPDATE custody_utxo_lock SET payment_id = NULL",
        "DELETE FROM custody_token_signature",
        "UPDATE custody_token_signature SET token = 'x'",
        "DELETE FROM custody_utxo",
        "UPDATE custody_utxo SET units = units + 1",
    ],
)
def test_is_never_rewritten_in_the_database(treasury: Treasury, statement: str) -> None:
    treasury.signed()
    refusal = pytest.raises(DatabaseError, match=r"keeps|append-only")
    with refusal, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
