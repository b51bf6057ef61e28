"""On the console's screens, what a freeze holds back …"""

from __future__ import annotations

from core import clock
from core.approvals.models import Waiver
from core.freezes.actions import pull_freeze
from custody import actions, queries
from custody.models import Payment, Withdrawal
from tests.doors import at_console
from tests.exchange import Exchange
from tests.traders import new_password
from tests.treasury import ROBOT


def signed(exchange: Exchange) -> Payment:
    return exchange.treasury.signed(exchange.treasury.approved(sats=1_000_000))


def page(exchange: Exchange, payment: Payment) -> str:
    path = f"/withdrawals/{payment.withdrawal_id}/"
    return str(at_console(exchange.staff.ana.identity).get(path).content.decode())


def test_says_which_freeze_and_why_and_whether_a_node_may_have_it(exchange: Exchange) -> None:
    payment = signed(exchange)
    assert "Held by" not in page(exchange, payment)
    actions.mark_handed(payment_id=payment.pk, actor=ROBOT, now=clock.now())
    pull_freeze(scope="wallet:hot", reason="a stolen laptop", actor=exchange.staff.sam.actor, now=clock.now())
    found = page(exchange, payment)
    for words in ("Held by", "wallet:hot", "a stolen laptop", "Sam", "it may be out", "A freeze holds it"):
        assert words in found
    actions.report_broadcast(payment_id=payment.pk, actor=ROBOT, now=clock.now())
    assert "Held by" not in page(exchange, payment)


def test_says_until_when_a_new_password_holds_it(exchange: Exchange) -> None:
    payment = signed(exchange)
    new_password(exchange.treasury.tom.pk, now=clock.now())
    found = page(exchange, payment)
    assert "Held until" in found
    assert "got a new password by mail" in found
    assert "It stays where it is until" in found


def test_says_that_no_node_has_been_given_it(exchange: Exchange) -> None:
    payment = signed(exchange)
    pull_freeze(scope="asset:BTC", reason="odd prices", actor=exchange.staff.sam.actor, now=clock.now())
    actions.mark_handed(payment_id=payment.pk, actor=ROBOT, now=clock.now())
    assert "No node has been given it." in page(exchange, payment)


def test_goes_before_the_signers_again_from_its_own_page(exchange: Exchange) -> None:
    treasury, ana = exchange.treasury, at_console(exchange.staff.ana.identity)
    payment = treasury.signing(treasury.approved(sats=1_000_000))
    address = f"/withdrawals/{payment.withdrawal_id}/"
    assert "Ask the signers again" not in page(exchange, payment)
    for token in ("hot-1", "hot-2"):
        actions.report_refusal(
            payment_id=payment.pk, token=token, code="SIGNER_FROZEN", detail="x", actor=ROBOT, now=clock.now()
        )
    assert "Ask the signers again" in ana.get(address).content.decode()
    assert ana.post(f"{address}ask", {"reason": "they were released"}).status_code == 302
    assert queries.payment(payment.pk).owner.state == "signing"


def test_says_until_when_funds_stay_held_that_the_lane_could_still_pay(exchange: Exchange) -> None:
    """Given up after the lane refused it, while its message is good: as if that had been offered just now."""
    payment = exchange.treasury.built(exchange.treasury.approved(sats=1_000_000))
    row = payment.withdrawal
    assert row is not None
    assert row.request is not None
    waiver = Waiver.objects.create(
        kind=row.request.kind,
        deployment=row.request.deployment,
        payload=bytes(row.request.payload),
        subject=row.hold_reference,
        policy_version=1,
        rule="what the lane takes",
        facts={"kind": row.request.kind, "lane": "open", "risk": "clear"},
    )
    Withdrawal.objects.filter(pk=row.pk).update(waiver=waiver)
    Payment.objects.filter(pk=payment.pk).update(offered_at=clock.now())
    ana, address = at_console(exchange.staff.ana.identity), f"/withdrawals/{row.pk}/"
    assert ana.post(f"{address}fail", {"reason": "a duplicate"}).status_code == 302
    void = queries.void_at(queries.payment(payment.pk))
    found = ana.get(address).content.decode()
    assert void is not None
    for words in (
        f"could still pay it until {void:%H:%M} UTC",
        "stay held until",
        "Nothing is left to decide",
    ):
        assert words in found
