"""The unattended lane on the whole road: customers' statements, the worker's tasks, real signers on real
sockets, and a chain made by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, Final

import pytest
from django.conf import settings

from core.approvals.actions import submit_signature
from custody import actions, queries, raising_tasks, tasks
from custody.domain.limits import Quote
from custody.models import UtxoLock, Withdrawal
from kernel import canonical, encodings
from kernel.intent import time_text
from kernel.registry import Registry
from kernel.transaction import Transaction
from tests.customers import Customer, Reconciler
from tests.desks import outstanding
from tests.relay import work
from tests.signers import Remembered, Signers, lane_registry, serving, up
from tests.traders import second_factor
from tests.treasury import BTC, HOME, PRICE_CENTS, ROBOT, Treasury, customer_actor, raw_of
from tests.vault import Message

SMALL: Final = BTC // 100
DAY: Final = timedelta(days=1)
ONE_A_DAY: Final = {
    "name": "a day",
    "when": [["kind", "is", "custody.withdrawal"]],
    "sum": "count",
    "per": "customer",
    "seconds": 864_000,
    "at_most": "1",
    "teams": {"compliance": 1, "treasury": 2},
    "rejections": 1,
}
"""A window of the policy that lets a customer have one withdrawal in ten days."""
Drain = Callable[..., object]


class Scene:
    """Tom at tier 4 with some coins, who has signed for his home long ago, and fresh word of a reconciler."""

    def __init__(self, treasury: Treasury, signers: Signers, drain: Drain) -> None:
        self.treasury, self.signers, self._drain = treasury, signers, drain

    def sign(self, *destinations: str) -> None:
        tom = Customer(str(self.treasury.tom.pk))
        how = {"deployment": "test", "time": time_text(self.treasury.now)}
        said = [tom.key(**how)] if queries.key_statement(self.treasury.tom.pk) is None else []
        for message in [*said, *(tom.beneficiary(each, **how) for each in destinations)]:
            self.take(message)

    def take(self, message: dict[str, Any]) -> None:
        actions.take_statement(
            customer_id=self.treasury.tom.pk,
            payload=encodings.from_base64url(message["payload"]),
            proof=message["proof"],
            label="Tom's home",
            confirmed=second_factor(self.treasury.tom.pk, now=self.treasury.now).row,
            actor=customer_actor(self.treasury.tom),
            now=self.treasury.now,
        )
        self.drain()

    def pass_time(self, span: timedelta) -> None:
        """Later, at a fresh price, and the reconciler has just looked."""
        self.treasury.now += span
        self.signers.at(self.treasury.now)
        self.fresh_price()
        assert self.attest() == ["attested"] * 3

    def fresh_price(self) -> None:
        now = self.treasury.now
        actions.report_price(quote=Quote("BTC", PRICE_CENTS, now), source="test", actor=ROBOT, now=now)

    def attest(self, **changes: Any) -> list[str]:
        said = Reconciler().attests(self.treasury.now, deployment="test", **changes)
        return self.signers.codes(said)

    def finish(self) -> None:
        """All that the lane signed is deep in the chain, a second later, and the reconciler says so."""
        self.treasury.now += timedelta(seconds=1)
        self.signers.at(self.treasury.now)
        assert self.attest(spent=outstanding(*self.signers.desks.values())) == ["attested"] * 3

    def drain(self) -> None:
        self._drain(now=self.treasury.now)

    def withdraw(self, sats: int = SMALL, **changes: Any) -> Withdrawal:
        """Asked for, and moved as far as machines can."""
        row = self.treasury.request(sats, **changes)
        self.drain()
        return queries.withdrawal(row.pk)

    def approve(self, row: Withdrawal) -> Withdrawal:
        assert row.request is not None
        for officer in (self.treasury.staff.ben, self.treasury.staff.cy):
            submit_signature(
                request_id=row.request.pk,
                signed=officer.answer(row.request),
                actor=officer.actor,
                now=self.treasury.now,
            )
        self.drain()
        return queries.withdrawal(row.pk)

    def confirm(self, row: Withdrawal) -> None:
        """Its transaction is in a block, deep enough for its change to be spent again."""
        payment = queries.payment_of(row)
        assert payment is not None
        self.treasury.mine(raw_of(payment), empty=2)
        self.treasury.book()

    def old_messages(self) -> list[Message]:
        """What the lane was asked, each once, however many signers it was put to."""
        asked = [message for _, message in self.signers.asked if message["type"] == "sign_unattended"]
        return list({canonical.encode(message): message for message in asked}.values())

    def claims(self) -> int:
        return UtxoLock.objects.filter(released_at=None).count()


class Node:
    """Knows the treasury's transactions, and takes whatever is sent."""

    def __init__(self, known: dict[str, Transaction]) -> None:
        self._known = known

    def fee_rate(self, *, within_blocks: int) -> int:
        return 2

    def evicted_fees(self, txid: str) -> int:
        return 0

    def transaction(self, txid: str) -> Any:
        found = self._known.get(txid)
        return None if found is None else SimpleNamespace(raw=found.encoded())

    def broadcast(self, raw: bytes) -> Any:
        sent = Transaction.parse(raw)
        self._known[sent.txid] = sent
        return SimpleNamespace(delivered=True)


@dataclass(frozen=True)
class Ready:
    """A scene whose signers are not up: what the treasury holds, and what they remember."""

    treasury: Treasury
    registry: Registry
    remembered: Mapping[str, Remembered]

    def __deepcopy__(self, memo: dict[int, Any]) -> Ready:
        return replace(self, treasury=deepcopy(self.treasury, memo))  # nobody can write to the rest


@dataclass(frozen=True)
class Seasoned:
    """How such a scene is made: with so many coins, and with `more` than his home that he signed for."""

    coins: int = 2
    more: tuple[str, ...] = ()

    def __call__(self, now: datetime) -> Ready:
        treasury = Treasury.open(now, tier=4)
        for _ in range(self.coins):
            treasury.deposit(BTC)
        registry = lane_registry(treasury.staff)
        with pytest.MonkeyPatch.context() as patch, serving(registry, now=now) as signers:
            patch.setattr(settings, "SIGNERS_DIR", signers.folder)
            _give_node(treasury, patch)
            scene = Scene(treasury, signers, work)
            for destinations in filter(None, ((HOME,), self.more)):
                scene.sign(*destinations)
                scene.pass_time(2 * DAY)
            remembered = {token: Remembered.by(desk) for token, desk in signers.desks.items()}
        return Ready(treasury, registry, remembered)


@contextmanager
def opened(ready: Ready, *, patch: pytest.MonkeyPatch, drain: Drain) -> Iterator[Scene]:
    """The scene, with its signers up again."""
    _give_node(ready.treasury, patch)
    with up(ready.registry, ready.remembered, now=ready.treasury.now) as signers:
        patch.setattr(settings, "SIGNERS_DIR", signers.folder)
        scene = Scene(ready.treasury, signers, drain)
        assert scene.attest() == ["attested"] * 3
        yield scene


def _give_node(treasury: Treasury, patch: pytest.MonkeyPatch) -> None:
    for room in (tasks, raising_tasks):
        patch.setattr(room, "BitcoinNode", lambda url: nullcontext(Node(treasury.transactions)))
