"""The reconciler, about what the signers' lane holds outstanding, …"""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from core.health import Status
from custody import probes, queries, signer_tasks
from custody.models import Payment, SignerHealth, Utxo
from kernel import encodings
from kernel.intent import Intent
from tests.customers import unattended
from tests.lane import DAY, Scene
from tests.messages import request
from tests.reconciling import Chain, look
from tests.signers import HOT
from tests.treasury import raw_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reconciler")]


def waits(scene: Scene) -> list[int]:
    """What each signer holds outstanding, a second later, once its journal is read and the books compared."""
    scene.treasury.now += timedelta(seconds=1)
    scene.signers.at(scene.treasury.now)
    signer_tasks.look_at_signers(now=scene.treasury.now)
    assert look(scene).agrees
    return sorted(int(desk.health["lanes"]["hot"]["outstanding"]) for desk in scene.signers.desks.values())


def paid(scene: Scene) -> tuple[Payment, int]:
    """A payment of the lane, and what two signers counted for it."""
    payment = queries.payment_of(scene.withdraw())
    assert payment is not None
    return payment, payment.owner.units + payment.fee_units


def left(scene: Scene) -> set[str]:
    """Transactions that some signer holds outstanding."""
    return {txid for desk in scene.signers.desks.values() for txid in desk.signer.memory.outstanding.spends}


def test_frees_what_the_lane_signed_once_it_is_six_deep_and_not_after_a_reorganisation(
    scene: Scene, chain: Chain
) -> None:
    payment, units = paid(scene)
    assert waits(scene) == [0, units, units]
    for _ in range(2):
        chain.mine(scene, raw_of(payment), empty=4)
        assert waits(scene) == [0, units, units]
        for _ in range(5):
            chain.unwind(scene)
        assert waits(scene) == [0, units, units]
    chain.mine(scene, raw_of(payment), empty=5)
    # It was down meanwhile, and the workers with it: the next word says all that is to be said.
    scene.treasury.now += 2 * DAY
    assert waits(scene) == [0, 0, 0]
    assert max(scene.signers.used().values()) == units
    assert waits(scene) == [0, 0, 0]
    finals = [one for desk in scene.signers.desks.values() for one in desk.journal.weighty]
    assert [one.event for one in finals].count("final") == 2
    assert {len(row.outstanding) for row in SignerHealth.objects.all()} == {0}


@pytest.mark.parametrize("lie", ["deeper", "another"])
def test_calls_nothing_final_that_the_database_alone_calls_so(scene: Scene, chain: Chain, lie: str) -> None:
    (first, _), (second, _) = paid(scene), paid(scene)
    chain.mine(scene, raw_of(first), empty=4)
    chain.mine(scene, raw_of(second))
    waits(scene)
    assert left(scene) == {second.txid}
    spends = [str(one.outpoint) for one in raw_of(second).inputs]
    coins = [row for row in Utxo.objects.exclude(spent_in=None) if str(row) in spends]
    assert coins
    by = second.txid if lie == "deeper" else first.txid
    Utxo.objects.filter(pk__in=[row.pk for row in coins]).update(spent_in=1, spent_by=by)
    waits(scene)
    assert left(scene) == {second.txid}
    chain.mine(scene, empty=5)
    waits(scene)
    assert (left(scene) == set()) == (lie == "deeper")  # by now it is true


def test_frees_what_lost_its_coin_to_another_transaction(scene: Scene, chain: Chain) -> None:
    """Whoever has the messages had the signers sign a rival as well, and then the other one was sent."""
    payment, units = paid(scene)
    (old,), (spent, *_) = scene.old_messages(), raw_of(payment).inputs
    registry, made = scene.signers.desks["hot-1"].registry, scene.treasury.transactions[spent.outpoint.txid]
    hot, place = registry.wallets["hot"], spent.outpoint.index
    coin = (spent.outpoint, made, hot.witness_script(hot.indexes[made.outputs[place].script]))
    meant = replace(Intent.parse(encodings.from_base64url(old["intents"][0])), reference=uuid4())
    rival = unattended(request(registry, [meant], coins=[coin], fee=payment.fee_units + 9))
    assert scene.signers.codes(rival) == ["signed"] * 3
    assert waits(scene) == [units + 9, 2 * units + 9, 2 * units + 9]
    chain.mine(scene, raw_of(payment), empty=5)
    assert waits(scene) == [0, 0, 0]


def test_is_first_about_what_most_signers_wait_for(scene: Scene, chain: Chain, monkeypatch: Any) -> None:
    (first, _), (second, _) = paid(scene), paid(scene)
    chain.mine(scene, raw_of(first), raw_of(second), empty=5)
    signer_tasks.look_at_signers(now=scene.treasury.now)
    height = chain.chain().height
    assert set(queries.awaited_coins("hot", height=height).values()) == {first.txid, second.txid}
    monkeypatch.setattr(sys.modules[queries.awaited_coins.__module__], "SPENT_MAX", 1)
    of_first, of_second = (
        {"coins": [str(one.outpoint) for one in raw_of(payment).inputs]} for payment in (first, second)
    )
    alone, both = (SignerHealth.objects.filter(token__in=tokens) for tokens in (HOT[:1], HOT[1:]))
    alone.update(outstanding={first.txid: {"wallet": "hot", **of_first}})
    for wallet, found in (("hot", second), ("cold", first)):
        both.update(outstanding={second.txid: {"wallet": wallet, **of_second}})
        assert list(queries.awaited_coins("hot", height=height).values()) == [found.txid]


def test_shows_what_is_not_final_after_a_day(scene: Scene, chain: Chain) -> None:
    payment, _ = paid(scene)
    waits(scene)
    assert probes.read_reconciliation(scene.treasury.now).status is Status.UP
    scene.treasury.now += timedelta(hours=24)
    waits(scene)
    reading = probes.read_reconciliation(scene.treasury.now)
    assert (reading.status, "1 payments that the lane signed" in reading.sentence) == (Status.DEGRADED, True)
    assert len(str(reading.facts[payment.txid]).split(", ")) == 2
    # A token that left the wallet waits for nothing, whatever it said last.
    kept = SignerHealth.objects.exclude(outstanding={}).values_list("outstanding", flat=True)[0]
    SignerHealth.objects.create(
        token="hot-9", state="silent", outstanding=kept, asked_at=scene.treasury.now, journal_lines=1
    )
    assert probes.read_reconciliation(scene.treasury.now) == reading
    chain.mine(scene, raw_of(payment), empty=5)
    waits(scene)
    waits(scene)
    assert probes.read_reconciliation(scene.treasury.now).status is Status.UP
