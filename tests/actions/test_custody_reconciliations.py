"""A comparison of the hot wallet with the books …"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.db.utils import DatabaseError

from core import ledger
from core.audit.models import AuditEvent
from core.health import Status
from core.ledger import AccountKind
from core.trusted import serving
from custody import actions, lane_tasks, probes, queries
from custody.adapters.reconciler_client import NothingReconciled, reconcile
from custody.models import Address, Reconciliation, Utxo
from kernel.money import Amount
from tests.lane import Scene
from tests.reconciling import Chain, look
from tests.roles import as_role
from tests.treasury import BTC, ROBOT, raw_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reconciler")]

COINS = 4


@pytest.fixture
def coins() -> int:
    return COINS


def test_agrees_at_every_step_of_what_comes_and_goes(scene: Scene) -> None:
    treasury = scene.treasury
    made = treasury.coin(Address.objects.get(wallet__name="hot", index=0).script, BTC // 3)
    treasury.mine(made)
    assert look(scene).agrees
    treasury.mine()
    treasury.book()
    assert look(scene).agrees
    row = scene.withdraw()
    payment = queries.payment_of(row)
    assert payment is not None
    assert look(scene).agrees
    treasury.mine(raw_of(payment))
    assert (queries.withdrawal(row.pk).state, look(scene).agrees) == ("confirmed", True)
    treasury.mine()
    treasury.book()
    assert (queries.withdrawal(row.pk).state, look(scene).agrees) == ("settled", True)
    assert Reconciliation.objects.get().on_chain == Amount(
        COINS * BTC + BTC // 3 - row.units - payment.fee_units, "BTC"
    )
    names = [event.doc["action"] for event in AuditEvent.objects.order_by("id")]
    assert names.count("custody.reconciliation.changed") == 1


def test_opens_the_lane_and_shuts_it_with_a_break(scene: Scene, chain: Chain) -> None:
    scene.treasury.now += timedelta(hours=2)
    scene.signers.at(scene.treasury.now)
    assert "SIGNER_ATTESTATION_OLD" in withdraw(scene).reason
    assert look(scene).told == {"hot-1": "", "hot-2": "", "hot-3": ""}
    assert probes.read_reconciliation(scene.treasury.now).status is Status.UP
    assert withdraw(scene).state == "broadcast"
    chain.stolen = 1
    a_second_later(scene)
    broken = look(scene)
    assert (broken.agrees, broken.on_chain < broken.in_books) == (False, True)
    assert broken.told == {"hot-1": "", "hot-2": "", "hot-3": ""}
    reading = probes.read_reconciliation(scene.treasury.now)
    assert (reading.status, "the lane is shut" in reading.sentence) == (Status.DOWN, True)
    assert "SIGNER_BOOKS_BROKEN" in withdraw(scene).reason
    chain.stolen = 0
    a_second_later(scene)
    look(scene)
    assert withdraw(scene).state == "broadcast"


def test_that_a_signer_refuses_is_on_record_until_it_is_taken_again(scene: Scene) -> None:
    behind, taken = scene.signers.desks["hot-2"], {"hot-1": "", "hot-2": "", "hot-3": ""}
    behind.now -= 3_600
    refused = {**taken, "hot-2": "SIGNER_BAD_ATTESTATION"}
    assert [look(scene).told for _ in range(2)] == [refused] * 2
    assert "hot-2 (SIGNER_BAD_ATTESTATION)" in probes.read_reconciliation(scene.treasury.now).sentence
    behind.now += 3_600
    assert [look(scene).told for _ in range(2)] == [taken] * 2
    silent = {**taken, "hot-2": "silent"}
    actions.report_told(wallet="hot", told=silent, actor=ROBOT, now=scene.treasury.now)  # which is no refusal
    events = [event.doc for event in AuditEvent.objects.order_by("id")]
    assert [
        (one["before"]["refused"], one["after"]["refused"])
        for one in events
        if one["action"] == "custody.reconciliation.answered"
    ] == [({}, {"hot-2": "SIGNER_BAD_ATTESTATION"}), ({"hot-2": "SIGNER_BAD_ATTESTATION"}, {})]


def test_shuts_the_lane_for_a_balance_behind_which_there_is_no_coin(scene: Scene) -> None:
    """Whoever writes as the worker may add rows that balance: a deposit that never was."""
    assert look(scene).agrees
    legs = (
        (ledger.account(AccountKind.CUSTOMER_FUNDING, "BTC", uuid4()), 7),
        (ledger.account(AccountKind.HOT_WALLET, "BTC"), -7),
    )
    with as_role("cs_worker"), connection.cursor() as cursor:
        entry = uuid4()
        cursor.execute(
            "INSERT INTO ledger_entry (id, kind, reference, posted_at)"
            " VALUES (%s, 'custody.deposit', 'never was', now())",
            [entry],
        )
        cursor.execute(
            "INSERT INTO ledger_posting (entry_id, account_id, asset, units)"
            " VALUES (%s, %s, 'BTC', %s), (%s, %s, 'BTC', %s)",
            [part for account, units in legs for part in (entry, account.pk, units)],
        )
    broken = look(scene)
    assert (broken.agrees, broken.on_chain < broken.in_books) == (False, True)
    assert "the lane is shut" in probes.read_reconciliation(scene.treasury.now).sentence


def a_second_later(scene: Scene) -> None:
    """Signers keep the newest word, to the second."""
    scene.treasury.now += timedelta(seconds=1)
    scene.signers.at(scene.treasury.now)


def withdraw(scene: Scene) -> Any:
    scene.fresh_price()
    return scene.withdraw()


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE custody_deposit SET state = 'missing' WHERE state = 'credited'",  # it left the chain
        "UPDATE custody_utxo SET spent_in = 1, spent_by = 'elsewhere'",
    ],
)
def test_signs_nothing_for_what_only_the_books_still_hold(scene: Scene, sql: str) -> None:
    assert look(scene).agrees
    with connection.cursor() as cursor:
        cursor.execute(sql)
    if "utxo" in sql:
        assert not look(scene).agrees
    else:
        Utxo.objects.update(height=None)
        assert not look(scene).agrees
    assert probes.read_reconciliation(scene.treasury.now).status is Status.DOWN


def test_waits_where_node_and_books_stand_at_different_blocks_and_says_when_it_is_late(
    scene: Scene, chain: Chain, settings: Any
) -> None:
    assert look(scene).agrees
    chain.ahead = 1
    with pytest.raises(NothingReconciled, match="same block"):
        reconcile(settings.RECONCILER_SOCKET, "hot")
    before = scene.treasury.now - timedelta(hours=1, seconds=1)  # the look was at a clock that was far ahead
    assert probes.read_reconciliation(before).status == Status.DOWN
    later = scene.treasury.now + timedelta(hours=1, seconds=1)
    lane_tasks.reconcile(now=later)
    reading = probes.read_reconciliation(later)
    assert (reading.status, "Nobody has compared hot" in reading.sentence) == (Status.DOWN, True)
    with pytest.raises(NothingReconciled, match="no lane"):
        reconcile(settings.RECONCILER_SOCKET, "cold")


def test_answers_no_other_version_of_the_question(scene: Scene, settings: Any) -> None:
    for version in (True, 2, "1", None):
        message: dict[str, Any] = {"v": version, "type": "reconcile", "wallet": "hot"}
        (answer,) = serving.ask(settings.RECONCILER_SOCKET, message, patience_s=60)
        assert (answer["type"], answer["why"]) == ("refused", "no such request")


def test_is_read_in_a_role_that_writes_nothing(scene: Scene) -> None:
    with as_role("cs_reconciler"):
        books = queries.books_of("hot")
        assert books is not None
        assert books.units == COINS * BTC
        assert queries.awaited_coins("hot", height=books.height) == {}
        for attack in (
            "INSERT INTO custody_reconciliation DEFAULT VALUES",
            "UPDATE ledger_account SET units = 1",
            "SELECT secret FROM customers_api_key",
        ):
            with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(attack)
