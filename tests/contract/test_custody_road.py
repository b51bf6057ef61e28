"""A payment on real parts (regtest node, signer processes over SoftHSM tokens, an air gap of files) …"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from core import clock
from core.freezes.models import Freeze
from core.ledger import invariants
from custody import actions, queries, signer_tasks, tasks, tending_tasks
from custody.adapters import signer_client
from custody.adapters.bitcoin import BitcoinNode
from custody.domain.limits import Quote
from custody.models import Address, Refill, SignerHealth, SignerOrder, Sweep, Withdrawal
from kernel import canonical
from kernel.money import Amount
from tests import chains, worlds
from tests.road import HOT, Prepared, Scene, check_paid, raised, release, sign_cold, withdraw
from tests.stockroom import Lend
from tests.treasury import BTC, ROBOT
from tests.vault import Vault, copy_tree

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

FORGED = {
    "officer": "01900000-0000-7000-8000-0000000000a1",
    "verb": "approve",
    "nonce": "00" * 32,
    "authenticator_data": "AAAA",
    "client_data": "AAAA",
    "signature": "AAAA",
}
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return Prepared(Vault.build(tmp_path_factory.mktemp("vault"), hot=2, cold=1))


@pytest.fixture
def vault(prepared: Prepared, tmp_path: Path) -> Vault:
    """A copy that has signed nothing: tokens remember their signer's journal."""
    fresh, folder = prepared.vault, tmp_path / "vault"
    copy_tree(fresh.folder, folder)
    for path in folder.glob("*/softhsm2.conf"):
        path.write_text(path.read_text().replace(str(fresh.folder), str(folder)))
    return replace(fresh, folder=folder)


@pytest.fixture
def scene(
    prepared: Prepared,
    vault: Vault,
    lend: Lend,
    settings: Settings,
    tmp_path: Path,
    drain_outbox: Callable[..., int],
) -> Iterator[Scene]:
    """What was prepared, on a chain of its own with three hot signers up: coins that an earlier test moved
    would look stolen.
    """
    ready = lend(prepared, clock.now(), keeps=HOUR)
    vault.document = ready.document
    vault.registry_file.write_bytes(canonical.encode(vault.document) + b"\n")
    with ExitStack() as stack:
        url = stack.enter_context(chains.running(tmp_path / "node", ready.chain))
        node = stack.enter_context(BitcoinNode(url))
        settings.BITCOIN_RPC_URL, settings.SIGNERS_DIR = url, vault.folder
        up = [vault.start(token, state=tmp_path / token) for token in HOT]
        for signer in up:
            stack.callback(signer.ready().stop)
        outside = worlds.found(ready.outside, node)
        scene = Scene(ready.staff, ready.tom, outside, node, vault, tmp_path, drain_outbox)
        quote = Quote("BTC", 60_000_00, scene.now)
        actions.report_price(quote=quote, source="test", actor=ROBOT, now=scene.now)
        scene.settle_down()
        yield scene


def test_pays_a_withdrawal_once_and_settles_it(scene: Scene) -> None:
    before = scene.funding()
    row = withdraw(scene)
    payment = queries.payment_of(row)
    assert payment is not None
    assert (row.state, len(queries.collected(payment).signed)) == ("broadcast", 2)
    scene.outside.mine(2)
    scene.settle_down()
    assert queries.withdrawal(row.pk).state == "settled"
    assert scene.funding() == before - row.amount - row.fee
    sent = scene.node.transaction(payment.txid)
    assert sent is not None
    assert [out.amount for out in sent.outputs if out.address == row.destination] == [row.amount]
    assert not any(invariants.broken().values())


def test_follows_the_chain_back_and_forth(scene: Scene) -> None:
    row = withdraw(scene)
    scene.outside.mine(1)
    scene.settle_down()
    assert queries.withdrawal(row.pk).state == "confirmed"
    tip = queries.tip()
    assert tip is not None
    scene.node.invalidate(tip.hash)
    scene.settle_down()
    assert queries.withdrawal(row.pk).state == "broadcast"
    scene.outside.mine(2)
    scene.settle_down()
    assert queries.withdrawal(row.pk).state == "settled"


def test_refills_the_hot_wallet_over_an_air_gap_and_sweeps_back_what_is_too_much(
    scene: Scene,
) -> None:
    cold = Address.objects.get(wallet__name="cold", index=0)
    scene.outside.pay(cold.address, 40 * BTC)
    withdraw(scene)
    scene.outside.mine(2)
    scene.settle_down()
    row = Refill.objects.get()
    assert row.state == "proposed"
    row = actions.request_refill(
        refill_id=row.pk, reason="hot is low", actor=scene.staff.ana.actor, now=scene.now
    )
    scene.approve(row)
    scene.settle_down()
    bundle = actions.export_bundle(refill_id=row.pk, actor=scene.staff.ana.actor, now=scene.now)
    for token in ("cold-1", "cold-3", "cold-5"):
        actions.import_signatures(
            refill_id=row.pk, data=sign_cold(scene, token, bundle), actor=scene.staff.ana.actor, now=scene.now
        )
    scene.settle_down()
    assert queries.refill(row.pk).state == "broadcast"
    scene.outside.mine(2)
    scene.settle_down()
    assert queries.refill(row.pk).state == "settled"
    hot, _ = queries.all_standings()
    assert hot.total >= Amount(BTC, "BTC") - row.fee_cap
    assert not any(invariants.broken().values())
    early = Sweep.objects.get()  # of when all coins there were lay in the hot wallet
    ana = scene.staff.ana.actor
    actions.dismiss_sweep(sweep_id=early.pk, reason="cold is funded", actor=ana, now=scene.now)
    tom = queries.deposit_address_of(scene.tom.pk)
    assert tom is not None
    scene.outside.pay(tom.address, 5 * BTC)
    scene.outside.mine(2)
    scene.settle_down()
    tending_tasks.look_for_sweep(now=scene.now)
    full, _ = queries.all_standings()
    swept = Sweep.objects.exclude(pk=early.pk).get()
    assert (swept.state, full.is_full) == ("proposed", True)
    scene.approve(
        actions.request_sweep(
            sweep_id=swept.pk, reason="hot is full", actor=scene.staff.ana.actor, now=scene.now
        )
    )
    scene.settle_down()
    hot, _ = queries.all_standings()
    assert (queries.sweep(swept.pk).state, hot.leaving) == ("broadcast", swept.amount)
    scene.outside.mine(2)
    scene.settle_down()
    hot, cold_now = queries.all_standings()
    assert (queries.sweep(swept.pk).state, hot.leaving.units) == ("settled", 0)
    assert scene.node.unspent([swept.destination])[-1].amount in {swept.amount, cold_now.total}
    assert Amount(BTC, "BTC") <= hot.total <= Amount(BTC, "BTC") + swept.fee_cap
    assert not any(invariants.broken().values())
    assert (Refill.objects.count(), Sweep.objects.count()) == (1, 2)


def test_waits_while_too_few_signers_answer(scene: Scene, settings: Settings) -> None:
    settings.SIGNERS_DIR = scene.folder / "nobody"
    with pytest.raises(signer_client.TooFewSigners):
        withdraw(scene)
    settings.SIGNERS_DIR = scene.vault.folder
    scene.settle_down()
    assert Withdrawal.objects.get().state == "broadcast"


def test_stops_at_an_officers_signed_freeze_whatever_the_database_says(scene: Scene) -> None:
    ana, ben, cy = scene.staff.ana, scene.staff.ben, scene.staff.cy
    order = actions.draft_freeze(wallet="hot", reason="a laptop was stolen", actor=ana.actor, now=scene.now)
    scene.settle_down()
    signer_tasks.look_at_signers(now=scene.now)
    assert set(queries.signer_states().values()) == {"ready"}, "a draft freezes nobody"
    # Somebody who owns the database writes that it was signed; signers want the signature.
    SignerOrder.objects.filter(pk=order.pk).update(state="signed", assertion=FORGED)
    signer_tasks.carry_order(order.pk, now=scene.now)
    assert queries.signer_order(order.pk).state == "refused"
    signer_tasks.look_at_signers(now=scene.now)
    assert not any(row.frozen for row in SignerHealth.objects.all())

    order = actions.draft_freeze(wallet="hot", reason="a laptop was stolen", actor=ana.actor, now=scene.now)
    actions.sign_order(order_id=order.pk, signed=ana.order(order), actor=ana.actor, now=scene.now)
    scene.settle_down()
    assert queries.signer_order(order.pk).state == "obeyed"
    assert not Freeze.objects.exists(), "no row of ours is what stops the signers"
    row = withdraw(scene)
    assert row.state == "refused"
    payment = queries.payment_of(row)
    assert payment is not None
    assert {refusal.code for refusal in payment.refusals.all()} == {"SIGNER_FROZEN"}

    # Nor does any row free them: one officer's release, called a quorum's by the database, is one officer's.
    SignerHealth.objects.update(state="ready", frozen={})
    alone = actions.ask_release_of_signers(wallet="*", reason="it was found", actor=ana.actor, now=scene.now)
    assert alone.request is not None
    ana.asks(alone.request, scene.now)
    release(scene, alone, ben)
    SignerOrder.objects.filter(pk=alone.pk).update(state="signed")
    signer_tasks.carry_order(alone.pk, now=scene.now)
    assert {answer.code for answer in alone.answers.all()} == {"SIGNER_BELOW_QUORUM"}

    order = actions.ask_release_of_signers(
        wallet="hot", reason="it was found", actor=ana.actor, now=scene.now
    )
    assert order.request is not None
    ana.asks(order.request, scene.now)
    release(scene, order, cy)
    release(scene, order, ben)
    scene.settle_down()
    assert queries.signer_order(order.pk).state == "obeyed"
    actions.ask_again(withdrawal_id=row.pk, reason="released", actor=ana.actor, now=scene.now)
    scene.settle_down()
    assert queries.withdrawal(row.pk).state == "broadcast"


def test_replaces_in_the_nodes_memory_what_it_lays_over_it(scene: Scene) -> None:
    before, row = scene.funding(), withdraw(scene)
    first = queries.payment_of(row)
    assert first is not None
    assert scene.node.mempool() == {first.txid}
    assert scene.node.evicted_fees(first.txid) == first.fee_units
    version = raised(scene, row)
    scene.settle_down()
    assert scene.node.mempool() == {version.txid}
    assert scene.node.evicted_fees(first.txid) == 0
    assert queries.payment(first.pk).txid == version.txid
    further = raised(scene, row, rate=22)
    scene.settle_down()
    assert scene.node.mempool() == {further.txid}
    scene.outside.mine(2)
    scene.settle_down()
    check_paid(scene, row, before, further.fee_units)


def test_is_the_first_version_where_a_block_has_that_and_another_after_a_reorganisation(scene: Scene) -> None:
    """The block came while the second was being signed; then that block leaves the chain."""
    before, row = scene.funding(), withdraw(scene)
    first = queries.payment_of(row)
    assert first is not None
    scene.outside.mine(1)
    version = raised(scene, row)
    with pytest.raises(tasks.NotDelivered, match="conflict"):
        scene.drain(now=scene.now)
    scene.settle_down()
    assert (queries.withdrawal(row.pk).state, queries.payment(first.pk).txid) == ("confirmed", first.txid)
    tip = queries.tip()
    assert tip is not None
    scene.node.invalidate(tip.hash)
    scene.settle_down()
    assert queries.withdrawal(row.pk).state == "broadcast"
    assert scene.node.mempool() == {version.txid}
    scene.outside.mine(2)
    scene.settle_down()
    check_paid(scene, row, before, version.fee_units)
