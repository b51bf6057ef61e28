"""Officers, workers and blocks that meet while a fee is raised …"""

from __future__ import annotations

from contextlib import nullcontext
from datetime import datetime
from functools import partial
from typing import Any

import pytest

from core.ledger import invariants
from core.refusals import Refused
from custody import actions, queries, raising_tasks
from custody.adapters import judge, signer_client
from custody.adapters.bitcoin import Broadcast, Outcome
from custody.models import Payment, PaymentVersion, VersionSignature
from tests import raising
from tests.racing import at_once, done
from tests.stockroom import Lend
from tests.treasury import BTC, ROBOT, Treasury, raw_of, signatures

ROUNDS = 3
SMALL = BTC // 100


class Node:
    """Takes whatever it is given."""

    def broadcast(self, raw: bytes) -> Broadcast:
        return Broadcast(Outcome.ACCEPTED)


def a_coin_a_round(now: datetime) -> Treasury:
    found = Treasury.open(now, tier=4)
    for _ in range(ROUNDS):
        found.deposit(BTC)
    return found


@pytest.fixture
def treasury(lend_real: Lend, now: datetime, monkeypatch: pytest.MonkeyPatch) -> Treasury:
    """Committed for real, with a coin for each round, soft keys behind the signers' client, and a node."""
    found = lend_real(a_coin_a_round, now)

    def answer(folder: object, token: str, request: dict[str, Any]) -> signer_client.Signed:
        return signer_client.Signed(token, signatures(request["psbt"], token))

    monkeypatch.setattr(signer_client, "ask", answer)
    monkeypatch.setattr(raising_tasks, "BitcoinNode", lambda url: nullcontext(Node()))
    assert judge  # its libraries are loaded before threads want them
    return found


def raise_to(treasury: Treasury, payment: Payment, rate: int) -> PaymentVersion | Refused:
    return raising.raised(treasury, payment, rate)


def test_build_one_version_together_and_bring_it_out_once(treasury: Treasury) -> None:
    for _ in range(ROUNDS):
        payment = treasury.broadcast(treasury.approved(sats=SMALL))
        results = at_once(*[partial(raise_to, treasury, payment, rate) for rate in (10, 10, 12, 14)])
        (version,) = set(done(results))
        assert isinstance(version, PaymentVersion)
        assert PaymentVersion.objects.filter(payment=payment).count() == 2
        at_once(*[partial(raising_tasks.carry, version.pk, now=treasury.now)] * 3)
        assert queries.payment(payment.pk).txid == version.txid
        assert VersionSignature.objects.filter(version=version).count() >= 2


def test_confirm_one_version_whatever_comes_first(treasury: Treasury) -> None:
    for _ in range(ROUNDS):
        payment = treasury.broadcast(treasury.approved(sats=SMALL))
        version = raising.signed(treasury, payment)
        block = treasury.block(raw_of(payment))
        at_once(
            partial(actions.read_blocks, blocks=[block], actor=ROBOT, now=treasury.now),
            partial(raising_tasks.carry, version.pk, now=treasury.now),
            partial(raise_to, treasury, payment, 30),
        )
        row = queries.payment(payment.pk)
        assert (row.owner.state, row.txid) == ("confirmed", payment.txid)
        treasury.mine()
        treasury.book()
        assert queries.payment(payment.pk).fee_units == payment.fee_units
    assert not any(invariants.broken().values())
