"""The reconciler itself over the lane's scene, and the node that it asks."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import connection

from core import ledger
from core.ledger import AccountKind
from core.trusted import serving
from custody import actions, lane_tasks, queries
from custody.adapters.bitcoin_answers import ChainInfo, OutPoint
from custody.daemons.credits import Credits
from custody.daemons.reconciler import Reconciler, coins_of
from custody.daemons.road import Road
from custody.daemons.shown import Shown
from custody.daemons.tally import Tally
from custody.models import Block, Deposit, Payment, Reconciliation, Utxo
from kernel.money import Amount
from kernel.registry import Registry
from kernel.transaction import Transaction
from tests.lane import Scene
from tests.treasury import ROBOT

KEY = Ed25519PrivateKey.from_private_bytes(bytes([90]) * 32)
"""The one that the tests' registry pins."""


class Chain:
    """A node that holds what the treasury's chain does, and what a test makes of it."""

    def __init__(self) -> None:
        self.stolen, self.ahead = 0, 0
        self.emptied: set[str] = set()
        self.mined: dict[str, tuple[Transaction, int]] = {}
        self.scene: Scene | None = None

    def chain(self) -> ChainInfo:
        tip = queries.tip()
        assert tip is not None
        return ChainInfo(network="regtest", height=tip.height + self.ahead, tip=tip.hash, is_synced=True)

    def block_hash(self, height: int) -> str | None:
        return Block.objects.filter(height=height).values_list("hash", flat=True).first()

    def scan(self, addresses: Any) -> Any:
        tip = self.chain()
        return SimpleNamespace(height=tip.height, tip=tip.tip, coins=self.unspent(addresses))

    def unspent(self, addresses: Any) -> list[Any]:
        rows = Utxo.objects.filter(address__address__in=list(addresses), spent_in=None, height__isnull=False)
        rows = rows.exclude(wallet__name__in=self.emptied)
        return [
            SimpleNamespace(
                amount=row.amount,
                script=bytes.fromhex(row.address.script),
                outpoint=OutPoint(row.txid, row.vout),
            )
            for row in rows.select_related("address").order_by("pk")[self.stolen :]
        ]

    def mine(self, scene: Scene, *held: Transaction, empty: int = 0) -> None:
        """Blocks that node and books both have."""
        for content in (held, *([()] * empty)):
            scene.treasury.mine(*content)
            self.mined |= {each.txid: (each, self.chain().height) for each in content}

    def unwind(self, scene: Scene) -> None:
        """The highest block leaves the chain."""
        tip = self.chain()
        actions.unwind_block(block_hash=tip.tip, actor=ROBOT, now=scene.treasury.now)
        self.mined = {txid: found for txid, found in self.mined.items() if found[1] < tip.height}

    def transactions(self, txids: Any) -> dict[str, Any]:
        return {txid: self.transaction(txid) for txid in txids}

    def transaction(self, txid: str) -> Any:
        made, height = self.mined.get(txid) or self._booked(txid)
        if made is None:
            return None
        return SimpleNamespace(
            txid=txid,
            spends=[OutPoint(one.outpoint.txid, one.outpoint.index) for one in made.inputs],
            outputs=[
                SimpleNamespace(index=place, amount=Amount(out.sats, "BTC"), script=out.script)
                for place, out in enumerate(made.outputs)
            ],
            confirmations=self.chain().height - height + 1,
        )

    def _booked(self, txid: str) -> tuple[Transaction | None, int]:
        """One that the treasury really made, where its books have it in a block and are done with it."""
        made = self.scene.treasury.transactions.get(txid) if self.scene else None
        done = Deposit.objects.filter(txid=txid).values_list("height", flat=True).first()
        paid = Payment.objects.filter(txid=txid, height__isnull=False).first()
        if done is None and paid is not None and paid.owner.state == "settled":
            done = paid.height
        return (None, 0) if made is None or done is None else (made, done)


def reconciled(
    scene: Scene,
    chain: Chain,
    patch: pytest.MonkeyPatch,
    *,
    registry: Registry | None = None,
    agreed: Credits | None = None,
    venue: Callable[[], list[str]] = list,
    shown: Shown | None = None,
    tally: Tally | None = None,
    road: Road | None = None,
) -> Reconciler:
    """Put the reconciler in its socket's place: in this thread, which sees what is not committed."""
    chain.scene = scene
    registry = registry or registry_of(scene)
    reconciler = Reconciler(
        key=KEY,
        registry=registry,
        coins=coins_of(registry, chain, start=lambda job: job()),  # type: ignore[arg-type]
        node=chain,  # type: ignore[arg-type]
        clock=lambda: scene.treasury.now,
        venue=venue,
        agreed=agreed,
        shown=shown,
        tally=tally,
        road=road,
    )
    patch.setattr(serving, "ask", lambda _path, message, patience_s: [dict(reconciler.answer(message, 0))])
    return reconciler


def registry_of(scene: Scene) -> Registry:
    """The one that the signers have."""
    return next(iter(scene.signers.desks.values())).registry


def look(scene: Scene) -> Reconciliation:
    """Compare, and carry what the reconciler says."""
    lane_tasks.reconcile(now=scene.treasury.now)
    return Reconciliation.objects.get()


def book(kind: str, *legs: tuple[AccountKind, UUID | None, int], reference: object = None) -> None:
    """An entry by SQL."""
    entry = uuid4()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO ledger_entry (id, kind, reference, posted_at) VALUES (%s, %s, %s, now())",
            [entry, kind, str(reference or entry)],
        )
        places = ", ".join(["(%s, %s, 'BTC', %s)"] * len(legs))
        cursor.execute(
            f"INSERT INTO ledger_posting (entry_id, account_id, asset, units) VALUES {places}",
            [p for of, owner, units in legs for p in (entry, ledger.account(of, "BTC", owner).pk, units)],
        )
