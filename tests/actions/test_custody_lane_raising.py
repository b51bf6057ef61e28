"""A payment of the signers' lane that no block takes …"""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.ledger import invariants
from custody import actions, queries
from custody.actions.raising import FeeNotRaised
from tests import raising
from tests.lane import SMALL, Scene
from tests.roles import as_role
from tests.treasury import BTC

pytestmark = pytest.mark.django_db


def test_has_its_fee_raised_without_officers_within_the_hour(scene: Scene) -> None:
    row = scene.withdraw()
    payment = queries.payment_of(row)
    assert payment is not None
    scene.pass_time(timedelta(minutes=30))
    with as_role("cs_console"):
        version = raising.raised(scene.treasury, payment)
    with as_role("cs_worker"):
        scene.drain()
    assert queries.payment(payment.pk).txid == version.txid
    used = sorted(scene.signers.used().values())
    counted = SMALL + payment.fee_units + version.fee_units
    assert used == [0, counted, counted], "those that counted the payment count it once"
    scene.treasury.mine(raising.raw_of(queries.version(version.pk)), empty=2)
    scene.treasury.book()
    assert queries.withdrawal(row.pk).state == "settled"
    assert scene.treasury.funding().posted.units == 2 * BTC - row.units - row.fee_units
    assert not any(invariants.broken().values())
    scene.finish()
    outstanding = [desk.health["lanes"]["hot"]["outstanding"] for desk in scene.signers.desks.values()]
    assert outstanding == ["0"] * 3, "by one coin of any version"


def test_has_no_fee_raised_after_that(scene: Scene) -> None:
    payment = queries.payment_of(scene.withdraw())
    assert payment is not None
    scene.pass_time(timedelta(minutes=61))
    with pytest.raises(FeeNotRaised, match="its approval ended at"):
        raising.raised(scene.treasury, payment)
    found = queries.to_raise(queries.payment(payment.pk), now=scene.treasury.now)
    assert found is not None
    assert found.why_not == "its approval has ended, and signers sign nothing for it any more"


def test_is_not_raised_where_the_lane_is_shut_and_stands_where_it_stood(scene: Scene) -> None:
    payment = queries.payment_of(scene.withdraw())
    assert payment is not None
    for desk in scene.signers.desks.values():
        desk.signer._attested.clear()
    version = raising.raised(scene.treasury, payment)
    scene.drain()
    version = queries.version(version.pk)
    assert {code for _, code in queries.collected_version(version).refusals} == {"SIGNER_ATTESTATION_OLD"}
    assert queries.payment(payment.pk).txid == payment.txid
    scene.pass_time(timedelta(minutes=1))
    actions.raise_fee(
        payment_id=payment.pk,
        feerate=10,
        reason="the books agree again",
        actor=scene.treasury.staff.ana.actor,
        now=scene.treasury.now,
    )
    scene.drain()
    assert queries.payment(payment.pk).txid == version.txid
