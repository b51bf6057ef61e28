"""The books as a whole, as the reconciler sees them …"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.db import DatabaseError, transaction

from core.approvals.actions import submit_signature
from core.audit.models import AuditEvent
from core.health import Status
from core.ledger import AccountKind
from custody import actions, probes, queries
from custody.adapters.reconciler_client import NothingReconciled, reconcile
from custody.daemons.credits import BadFile, Credits
from custody.domain.credits import Credit, NotAgreed, check
from custody.models import Adjustment, Wallet
from engine_bridge.comparing import NotCompared
from kernel import canonical, intent
from kernel.money import Amount
from tests import sweeping
from tests.lane import Scene
from tests.reconciling import Chain, book, look, reconciled, registry_of
from tests.roles import as_role
from tests.sql import refused
from tests.treasury import BTC, ROBOT, raw_of, signatures, trader

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reconciler")]

COINS = 4
CREDIT = Amount(BTC // 2, "BTC")


@pytest.fixture
def coins() -> int:
    return COINS


def adjusted(scene: Scene, amount: Amount = CREDIT) -> Adjustment:
    """Half a bitcoin for Tom against no coins: Ana asks, Ben and Cy agree."""
    treasury = scene.treasury
    row = actions.request_adjustment(
        customer_id=treasury.tom.pk,
        amount=amount,
        reason="sold by hand",
        reference="desk 1",
        actor=treasury.staff.ana.actor,
        now=treasury.now,
    )
    assert row.request is not None
    for officer in (treasury.staff.ben, treasury.staff.cy):
        submit_signature(
            request_id=row.request.pk,
            signed=officer.answer(row.request),
            actor=officer.actor,
            now=treasury.now,
        )
    return row


def credit_of(scene: Scene) -> Credit:
    books = queries.books_of("hot")
    assert books is not None
    (found,) = books.whole.credits
    return found


def test_are_sound_at_every_step_of_a_refill(scene: Scene) -> None:
    treasury, ana = scene.treasury, scene.treasury.staff.ana
    treasury.fund("cold", 300 * BTC)
    assert look(scene).agrees
    Wallet.objects.filter(name="hot").update(refill_below=5 * BTC, target=6 * BTC)
    row = treasury.refill_requested()
    treasury.sign_off(row)
    payment = treasury.built(queries.refill(row.pk))
    actions.export_bundle(refill_id=row.pk, actor=ana.actor, now=treasury.now)
    for token in ("cold-1", "cold-3", "cold-5"):
        data = canonical.encode(
            {
                "v": 1,
                "type": "signed",
                "token": token,
                "txid": payment.txid,
                "signatures": signatures(payment.psbt, token),
            }
        )
        actions.import_signatures(refill_id=row.pk, data=data + b"\n", actor=ana.actor, now=treasury.now)
    payment = queries.payment(payment.pk)
    raw = queries.signed_psbt(payment).finalised().encoded()
    actions.store_signed(payment_id=payment.pk, raw=raw, actor=ROBOT, now=treasury.now)
    actions.report_broadcast(payment_id=payment.pk, actor=ROBOT, now=treasury.now)
    assert look(scene).agrees
    treasury.mine(raw_of(queries.payment(payment.pk)))
    assert (queries.refill(row.pk).state, look(scene).breaks) == ("confirmed", [])
    treasury.mine(empty=2)
    assert look(scene).agrees
    treasury.book()
    assert (queries.refill(row.pk).state, look(scene).breaks) == ("settled", [])


def test_are_sound_at_every_step_of_a_sweep(scene: Scene) -> None:
    treasury = scene.treasury
    treasury.fund("cold", 60 * BTC)
    assert look(scene).agrees
    Wallet.objects.filter(name="hot").update(refill_below=0, target=BTC // 8)
    row, payment = sweeping.signed(treasury)
    assert look(scene).agrees
    treasury.mine(raw_of(payment))
    assert (queries.sweep(row.pk).state, look(scene).breaks) == ("confirmed", [])
    treasury.mine(empty=2)
    assert look(scene).agrees
    treasury.book()
    assert (queries.sweep(row.pk).state, look(scene).breaks) == ("settled", [])


def test_shut_the_lane_while_another_wallets_coins_are_not_there(scene: Scene, chain: Chain) -> None:
    scene.treasury.fund("cold", 3 * BTC)
    assert look(scene).agrees
    chain.emptied = {"cold"}
    broken = look(scene)
    assert broken.holds_what_books_say
    assert broken.breaks == [
        "The other wallets hold 0 BTC on the chain, the books say 3 BTC: 3 BTC too little."
    ]
    reading = probes.read_reconciliation(scene.treasury.now)
    assert (reading.status, "the lane is shut" in reading.sentence) == (Status.DOWN, True)
    assert broken.breaks[0] in reading.sentence
    events = [event.doc for event in AuditEvent.objects.order_by("n")]
    said = [one["after"] for one in events if one["action"] == "custody.reconciliation.changed"][-1]
    assert (said["agrees"], said["breaks"]) == (False, broken.breaks)
    chain.emptied = set()
    assert look(scene).agrees


def test_are_sound_with_a_credit_that_officers_signed(scene: Scene) -> None:
    adjusted(scene)
    with as_role("cs_reconciler"):
        check(credit_of(scene), registry_of(scene))
    assert look(scene).agrees


def test_shut_the_lane_for_a_credit_that_no_known_passkey_signed(
    scene: Scene, chain: Chain, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whoever owns the console writes rows that look like approvals: the registry knows no such passkey."""
    row = adjusted(scene)
    ben = str(scene.treasury.staff.ben.identity.pk)
    own = registry_of(scene)
    others = {name: officer for name, officer in own.officers.items() if name != ben}
    path = tmp_path / "credits"
    reconciled(scene, chain, monkeypatch, registry=replace(own, officers=others), agreed=Credits(path))
    broken, much = look(scene), "0.5 BTC too much."
    one = "of those who signed for it, the registry knows the passkeys of 1, and 2 are needed."
    assert not broken.agrees
    assert broken.breaks == [
        "Credits against no coins are 0.5 BTC in the ledger, and officers signed for 0 BTC: " + much,
        f"Officers have not signed for the adjustment {row.pk}: " + one,
    ]
    reconciled(scene, chain, monkeypatch, agreed=Credits(path))
    assert look(scene).agrees
    assert path.read_text() == f"BTC {BTC // 2} {row.pk}\n"
    reconciled(scene, chain, monkeypatch, registry=replace(own, officers=others), agreed=Credits(path))
    assert look(scene).agrees  # who left the registry signed for it all the same


def test_shut_the_lane_for_a_credit_whose_approval_was_kept_back(
    scene: Scene, chain: Chain, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Officers signed it in time. Whoever owns the database books it weeks later, under a time of its own."""
    path, today = tmp_path / "credits", scene.treasury.now
    reconciled(scene, chain, monkeypatch, agreed=Credits(path))
    scene.treasury.now += timedelta(weeks=3)
    assert look(scene).agrees
    scene.treasury.now = today
    row = adjusted(scene)
    scene.treasury.now += timedelta(weeks=3, minutes=1)
    assert row.request is not None
    end = str(canonical.decode_object(bytes(row.request.payload))["expires"])
    ended = f"its approval ended at {intent.time(end):%Y-%m-%d %H:%M}, and it came into the books since."
    for _ in range(2):  # and again after a restart
        reconciled(scene, chain, monkeypatch, agreed=Credits(path))
        assert look(scene).breaks[1:] == [f"Officers have not signed for the adjustment {row.pk}: {ended}"]
    assert path.read_text() == ""


def test_shut_the_lane_for_a_credit_of_another_asset_too(
    scene: Scene, chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the venue it buys coins. Nothing that could not be compared as well keeps it back."""
    adjusted(scene, Amount(5_000_000, "USDT"))
    assert look(scene).agrees

    def silent() -> list[str]:
        raise NotCompared("the venue was not compared: UNAVAILABLE")

    chain.ahead = 1
    nobody = replace(registry_of(scene), officers={})
    reconciled(scene, chain, monkeypatch, registry=nobody, venue=silent)
    scene.treasury.now += timedelta(seconds=1)
    scene.signers.at(scene.treasury.now)
    broken = look(scene)
    assert "SIGNER_BOOKS_BROKEN" in scene.withdraw().reason  # at once: the last word that agrees is young
    assert [said.partition(":")[0] for said in broken.breaks][:1] == [
        "Credits against no coins are 5 USDT in the ledger, and officers signed for 0 USDT"
    ]
    assert broken.breaks[-2:] == [
        "Not all was compared: the node and the books do not stand at the same block.",
        "Not all was compared: the venue was not compared: UNAVAILABLE.",
    ]


def test_shut_the_lane_for_a_balance_at_the_venue_that_the_engine_does_not_know(
    scene: Scene, chain: Chain, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    said = "Account 7 at the venue has 0 BTC in the engine, and 1 BTC in the ledger."
    reconciled(scene, chain, monkeypatch, venue=lambda: [said])
    scene.treasury.now += timedelta(seconds=1)
    scene.signers.at(scene.treasury.now)
    assert look(scene).breaks == [said]
    assert "SIGNER_BOOKS_BROKEN" in scene.withdraw().reason

    def silent() -> list[str]:
        raise NotCompared("the venue was not compared: UNAVAILABLE")

    reconciled(scene, chain, monkeypatch, venue=silent)
    with pytest.raises(NothingReconciled, match="the venue was not compared"):
        reconcile(settings.RECONCILER_SOCKET, "hot")


def test_take_no_signature_for_another_credit(scene: Scene) -> None:
    adjusted(scene)
    registry, credit = registry_of(scene), credit_of(scene)
    check(credit, registry)
    ben, cy = (one for one in credit.approvals if one.officer != credit.maker)
    for other in (
        replace(credit, units=credit.units + 1),
        replace(credit, asset="USDT"),
        replace(credit, customer=str(uuid4())),
        replace(credit, reference=str(uuid4())),
        replace(credit, kind="custody.deposit"),
        replace(credit, maker=ben.officer),
        replace(credit, payload=b""),
        replace(credit, payload=credit.payload + b" "),
        replace(credit, approvals=()),
        replace(credit, approvals=(ben, ben)),
        replace(credit, approvals=(ben, replace(cy, officer=credit.maker))),
        replace(credit, approvals=(ben, replace(cy, nonce=bytes(32)))),
        replace(credit, approvals=(ben, replace(ben, officer=cy.officer))),
    ):
        with pytest.raises(NotAgreed):
            check(other, registry)
    with pytest.raises(NotAgreed):
        check(credit, replace(registry, deployment="production"))


def test_let_no_role_credit_anybody_against_no_coins(scene: Scene) -> None:
    """Neither beside what officers agreed to, nor a second time."""
    adjusted(scene)
    for role in ("cs_console", "cs_trader", "cs_worker"):
        with as_role(role), pytest.raises(DatabaseError), transaction.atomic():
            credit(1)
    with (
        pytest.raises(DatabaseError, match="credits that officers agreed to are 50000000"),
        transaction.atomic(),
    ):
        credit(1)
    assert look(scene).agrees


def credit(units: int) -> None:
    book(
        "custody.adjustment",
        (AccountKind.CUSTOMER_FUNDING, uuid4(), units),
        (AccountKind.EXTERNAL, None, -units),
    )


def test_keep_what_a_withdrawal_reserves_until_it_ended(scene: Scene) -> None:
    """Else its customer could spend it once more while the chain pays."""
    row = scene.withdraw()
    assert row.state == "broadcast"
    for state in ("voided", "expired", "posted"):
        with as_role("cs_trader"):
            refused(
                "UPDATE ledger_hold SET state = %s WHERE reference = %s",
                *(state, row.hold_reference),
                match="ends with its withdrawal",
            )
    scene.confirm(row)
    assert queries.withdrawal(row.pk).state == "settled"
    assert look(scene).agrees


def test_remember_no_line_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "credits"
    for line in ("BTC 5", "BTC five 1", "BTC 5  1", ""):
        path.write_text(f"BTC 7 one\n{line}\n")
        with pytest.raises(BadFile):
            Credits(path)
    path.write_text("BTC 7 one\nUSDT 5 two\n")
    known = Credits(path)
    assert (known.units, set(known.references)) == ({"BTC": 7, "USDT": 5}, {"one", "two"})


def test_are_read_for_a_customer_with_coins_of_their_own_alone(scene: Scene) -> None:
    """Another trader's balance changes nothing while it has its coins."""
    scene.treasury.deposit(BTC, trader("Tia", tier=2))
    assert look(scene).agrees
