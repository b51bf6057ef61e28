"""The road of a payment on real parts: a regtest chain, signers over SoftHSM tokens, an air gap of files."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings as django_settings

from core import clock, ledger
from core.approvals.actions import submit_signature
from core.freezes.models import Freeze
from core.ledger import AccountKind, invariants
from custody import actions, queries
from custody.adapters.bitcoin import BitcoinNode
from custody.daemons import watcher
from custody.domain.wallets import Targets
from custody.models import Address, PaymentVersion, Refill, SignerOrder, Sweep, Withdrawal
from customers.models import Customer
from devstack.demo.outside import Outsider
from kernel import canonical, intent
from kernel.money import Amount
from kernel.registry import Registry
from tests import chains, worlds
from tests.officers import Officer, Staff, enrol
from tests.treasury import BTC, ROBOT, customer_actor, trader
from tests.vault import MODULE, NAMES, Vault, registry_document, run

HOT = ("hot-1", "hot-2", "hot-3")


@dataclass
class Scene:
    """Everything that the journey needs, each part real."""

    staff: Staff
    tom: Customer
    outside: Outsider
    node: BitcoinNode
    vault: Vault
    folder: Path
    drain: Callable[..., int]

    @property
    def now(self) -> datetime:
        return clock.now()

    def settle_down(self) -> None:
        """Watcher and workers until nothing moves."""
        while watcher.step(self.node, now=self.now) or self.drain(now=self.now):
            pass

    def approve(self, row: Withdrawal | Refill | Sweep) -> None:
        request = row.request
        assert request is not None
        if not isinstance(row, Withdrawal):
            self.staff.ana.asks(request, self.now)
        for officer in (self.staff.ben, self.staff.cy):
            submit_signature(
                request_id=request.pk, signed=officer.answer(request), actor=officer.actor, now=self.now
            )

    def funding(self) -> Amount:
        account = ledger.account(AccountKind.CUSTOMER_FUNDING, "BTC", self.tom.pk)
        return ledger.balance(account).posted


@dataclass(frozen=True)
class Ready:
    """The scene without its node and its signers, and the registry that they are to be given."""

    staff: Staff
    tom: Customer
    outside: Outsider
    chain: chains.Files
    document: dict[str, Any]


class Prepared:
    """How it is made: staff enrolled, registry pinned to their passkeys, Tom at tier 2 with 0.5 BTC."""

    def __init__(self, vault: Vault) -> None:
        self.vault = vault

    def __call__(self, now: datetime) -> Ready:
        staff = enrol(now=now)
        document = self.registry(staff)
        registry = Registry.parse(canonical.encode(document))
        targets = Targets(Amount(BTC // 2, "BTC"), Amount(BTC, "BTC"))
        actions.load_registry(registry=registry, targets=targets, actor=ROBOT, now=now)
        with tempfile.TemporaryDirectory(prefix="cs-", dir="/tmp") as at:
            folder, tom = Path(at), trader("Tom", tier=2)
            with chains.running(folder) as url, BitcoinNode(url) as node:
                outside = Outsider(node)
                outside.earn()
                address = actions.assign_address(
                    customer_id=tom.pk, asset="BTC", actor=customer_actor(tom), now=now
                )
                outside.pay(address.address, BTC // 2)
                outside.mine(2)
                while watcher.step(node, now=now):
                    pass
            return Ready(staff, tom, worlds.left(outside), chains.files(folder), document)

    def registry(self, staff: Staff) -> dict[str, Any]:
        officers = {
            str(person.identity.pk): {
                "name": NAMES.get(str(person.identity.pk), "?"),
                "teams": ["treasury"],
                "public_key": person.passkey.public_key_hex,
            }
            for person in (staff.ana, staff.ben, staff.cy)
        }
        document = registry_document(
            self.vault.document["wallets"], deployment=django_settings.DEPLOYMENT, officers=officers
        )
        document["policies"][intent.SWEEP] = {
            "teams": {"treasury": 2},
            "source": "hot",
            "destination": "cold/0",
        }
        return document


def withdraw(scene: Scene, sats: int = BTC // 10) -> Withdrawal:
    """Requested, released by Ana, approved by Ben and Cy, and moved as far as machines can."""
    row = actions.request_withdrawal(
        customer_id=scene.tom.pk,
        client_id="rent",
        amount=Amount(sats, "BTC"),
        destination=Outsider.fresh_address(),
        label="Tom's landlord",
        actor=customer_actor(scene.tom),
        now=scene.now,
    )
    scene.settle_down()
    row = actions.release_from_screening(
        withdrawal_id=row.pk, reason="the lease was seen", actor=scene.staff.ana.actor, now=scene.now
    )
    scene.approve(row)
    scene.settle_down()
    return queries.withdrawal(row.pk)


def sign_cold(scene: Scene, token: str, bundle: bytes) -> bytes:
    """Carry the bundle to a cold token and its answer back."""
    desk = scene.folder / token
    desk.mkdir()
    (desk / "bundle.json").write_bytes(bundle)
    arguments = ["--token", token, "--registry", str(scene.vault.registry_file), "--module", MODULE]
    arguments += ["--state", str(desk / "state"), "--in", str(desk / "bundle.json")]
    done = run(
        scene.vault.folder / token, "custody.signer.airgap", "sign", *arguments, "--out", str(desk / "out")
    )
    assert done.returncode == 0, done.stderr
    return (desk / "out").read_bytes()


def release(scene: Scene, order: SignerOrder, officer: Officer) -> None:
    """The officer's release, given as on the approver page."""
    request = order.request
    assert request is not None
    signed = officer.answer(request, "release")
    submit_signature(request_id=request.pk, signed=signed, actor=officer.actor, now=scene.now)


def raised(scene: Scene, row: Withdrawal, rate: int = 20) -> PaymentVersion:
    """Ana raises the fee of what no block takes."""
    payment = queries.payment_of(row)
    assert payment is not None
    return actions.raise_fee(
        payment_id=payment.pk, feerate=rate, reason="Tom waits", actor=scene.staff.ana.actor, now=scene.now
    )


def check_paid(scene: Scene, row: Withdrawal, before: Amount, fee: int) -> None:
    """Once, with this fee, in the ledger as on the chain."""
    assert queries.withdrawal(row.pk).state == "settled"
    assert scene.funding() == before - row.amount - row.fee
    address = scene.node.unspent([row.destination])
    assert [coin.amount for coin in address] == [row.amount]
    ours = [one.address for one in Address.objects.filter(wallet__name="hot")]
    hot = sum(coin.amount.units for coin in scene.node.unspent(ours))
    assert ledger.balance(ledger.account(AccountKind.HOT_WALLET, "BTC")).posted.units == hot
    assert ledger.balance(ledger.account(AccountKind.NETWORK_FEES, "BTC")).posted.units == fee
    assert not any(invariants.broken().values())
    assert not Freeze.objects.exists()
