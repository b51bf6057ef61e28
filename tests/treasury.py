"""A treasury for tests: soft keys in place of tokens, blocks made by hand, and the steps up to each state.

Signatures, scripts and transactions are real; only the tokens and the network are not there.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Any, Final
from uuid import UUID, uuid4

from core import ledger
from core.access.models import Identity, Kind
from core.actor import Actor, system
from core.approvals.actions import submit_signature
from core.freezes.actions import ask_release
from core.freezes.models import Freeze
from custody import actions, queries
from custody.domain import coins
from custody.domain.chain import Received, SeenBlock
from custody.domain.limits import Quote
from custody.domain.wallets import Targets
from custody.models import Address, Owner, Payment, Refill, Sweep, Wallet, Withdrawal
from customers.models import Customer
from kernel import canonical, script
from kernel.intent import REFILL, SWEEP, WITHDRAWAL
from kernel.money import Amount
from kernel.psbt import Psbt
from kernel.registry import Registry
from kernel.transaction import Input, Outpoint, Output, Transaction
from tests.officers import Staff, enrol
from tests.softkeys import SoftKey

ROBOT: Final = system("test")
HOME: Final = "bcrt1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qzf4jry"
"""Somebody's P2WSH address outside, from BIP 173's test vectors in regtest's spelling."""
BTC: Final = 100_000_000
PRICE_CENTS: Final = 60_000_00
HOT, COLD = 6, 3

_number = count(1)


def token_keys(wallet: str, tokens: int, indexes: int, first: int) -> dict[str, list[SoftKey]]:
    """Soft keys for each token, every one different."""
    return {
        f"{wallet}-{token + 1}": [SoftKey(first + token * 100 + index) for index in range(indexes)]
        for token in range(tokens)
    }


KEYS: Final = token_keys("hot", 3, HOT, 1_000) | token_keys("cold", 5, COLD, 5_000)


def described(wallet: str, threshold: int, tokens: int, indexes: int) -> dict[str, Any]:
    """A wallet as the registry describes it."""
    names = [f"{wallet}-{number}" for number in range(1, tokens + 1)]
    rows = [[KEYS[name][index].public_key.hex() for name in names] for index in range(indexes)]
    return {"m": threshold, "tokens": names, "keys": rows}


REGISTRY: Final[dict[str, Any]] = {
    "v": 1,
    "version": 1,
    "deployment": "test",
    "network": "regtest",
    "rp_id": "approver.localhost",
    "origin": "http://approver.localhost:8000",
    "officers": {},
    "wallets": {"hot": described("hot", 2, 3, HOT), "cold": described("cold", 3, 5, COLD)},
    "policies": {
        WITHDRAWAL: {"teams": {"treasury": 2}, "source": "hot"},
        REFILL: {"teams": {"treasury": 2}, "source": "cold", "destination": "hot/0"},
        SWEEP: {"teams": {"treasury": 2}, "source": "hot", "destination": "cold/0"},
    },
    "limits": {
        "fee_sats_max": "100000",
        "feerate_sats_vb_max": "200",
        "window_s": 86400,
        "window_units_max": {"hot": "100000000000", "cold": "100000000000"},
    },
}
"""Hot 2-of-3 and cold 3-of-5 over the soft keys."""


def registry(deployment: str = "test") -> Registry:
    """The same, read."""
    return Registry.parse(canonical.encode({**REGISTRY, "deployment": deployment}))


@dataclass
class Treasury:
    """Wallets, staff, one trader, and a chain that grows when a test says so."""

    staff: Staff
    tom: Customer
    now: datetime
    transactions: dict[str, Transaction] = field(default_factory=dict)

    @classmethod
    def open(cls, now: datetime, *, tier: int = 2, refill_below: int = 0, target: int = 0) -> Treasury:
        """Registry loaded, price known, Tom signed up at `tier`."""
        targets = Targets(Amount(refill_below, "BTC"), Amount(target, "BTC"))
        actions.load_registry(registry=registry(), targets=targets, actor=ROBOT, now=now)
        actions.report_price(quote=Quote("BTC", PRICE_CENTS, now), source="test", actor=ROBOT, now=now)
        return cls(enrol(now=now), trader("Tom", tier=tier), now)

    # --- The chain ----------------------------------------------------------------------------------

    def coin(self, output_script: str, sats: int) -> Transaction:
        """A transaction from nowhere that pays to a script."""
        source = hashlib.sha256(f"source {next(_number)}".encode()).hexdigest()
        made = Transaction((Input(Outpoint(source, 0)),), (Output(sats, bytes.fromhex(output_script)),))
        self.transactions[made.txid] = made
        return made

    def block(self, *held: Transaction) -> SeenBlock:
        """The next block, not yet read."""
        tip = queries.tip()
        scripts = queries.known_scripts({out.script.hex() for each in held for out in each.outputs})
        height = 0 if tip is None else tip.height + 1
        name = hashlib.sha256(f"block {height} {next(_number)}".encode()).hexdigest()
        return SeenBlock(
            height=height,
            hash=name,
            previous=tip.hash if tip else "",
            received=tuple(
                Received(Outpoint(each.txid, place), out.sats, out.script.hex())
                for each in held
                for place, out in enumerate(each.outputs)
                if out.script.hex() in scripts
            ),
            spent={spent.outpoint: each.txid for each in held for spent in each.inputs},
            txids=frozenset(each.txid for each in held),
        )

    def mine(self, *held: Transaction, empty: int = 0) -> None:
        """A block with these transactions, then `empty` more, read and booked as the watcher does."""
        for content in (held, *([()] * empty)):
            self.transactions |= {each.txid: each for each in content}
            actions.read_blocks(blocks=[self.block(*content)], actor=ROBOT, now=self.now)

    def unwind(self, blocks: int = 1) -> None:
        """The highest blocks leave the chain."""
        for _ in range(blocks):
            tip = queries.tip()
            assert tip is not None
            actions.unwind_block(block_hash=tip.hash, actor=ROBOT, now=self.now)

    def book(self) -> None:
        """Credit and settle what is deep enough."""
        for deposit_id in queries.deposits_due(network="regtest"):
            actions.book_deposit(deposit_id=deposit_id, actor=ROBOT, now=self.now)
        for payment_id in queries.payments_due(network="regtest"):
            actions.settle_payment(payment_id=payment_id, actor=ROBOT, now=self.now)

    # --- Tom ----------------------------------------------------------------------------------------

    def deposit(self, sats: int, customer: Customer | None = None) -> Transaction:
        """Coins to a customer's address, credited."""
        owner = customer or self.tom
        address = actions.assign_address(
            customer_id=owner.pk, asset="BTC", actor=customer_actor(owner), now=self.now
        )
        made = self.coin(address.script, sats)
        self.mine(made, empty=1)
        self.book()
        return made

    def fund(self, wallet: str, sats: int) -> Transaction:
        """Coins of our own to a wallet's address 0."""
        made = self.coin(Address.objects.get(wallet__name=wallet, index=0).script, sats)
        self.mine(made, empty=1)
        self.book()
        return made

    def request(self, sats: int = BTC // 10, *, client_id: str = "", **changes: Any) -> Withdrawal:
        """Tom asks for a withdrawal to his home."""
        arguments: dict[str, Any] = {
            "customer_id": self.tom.pk,
            "client_id": client_id or f"w{next(_number)}",
            "amount": Amount(sats, "BTC"),
            "destination": HOME,
            "label": "Tom's home",
            "actor": customer_actor(self.tom),
            "now": self.now,
        }
        return actions.request_withdrawal(**arguments | changes)

    def screened(self, **changes: Any) -> Withdrawal:
        """Released by Ana, where the first use of the destination put it on hold."""
        row = self.request(**changes)
        row = actions.report_screening(withdrawal_id=row.pk, hits=[], actor=ROBOT, now=self.now)
        if row.state == "screened":
            return row
        return actions.release_from_screening(
            withdrawal_id=row.pk, reason="Tom called", actor=self.staff.ana.actor, now=self.now
        )

    def sign_off(self, row: Owner) -> None:
        """Ben and Cy approve, what Ana asks for where she must."""
        assert row.request is not None
        if not isinstance(row, Withdrawal):
            self.staff.ana.asks(row.request, self.now)
        for officer in (self.staff.ben, self.staff.cy):
            submit_signature(
                request_id=row.request.pk,
                signed=officer.answer(row.request),
                actor=officer.actor,
                now=self.now,
            )

    def release(self, freeze: Freeze) -> None:
        """Sam asks for a freeze's release, Ana and Ben agree."""
        asker = self.staff.sam.actor
        request = ask_release(freeze_id=freeze.pk, reason="fine", actor=asker, now=self.now)
        for officer in (self.staff.ana, self.staff.ben):
            signed = officer.answer(request)
            submit_signature(request_id=request.pk, signed=signed, actor=officer.actor, now=self.now)

    def approved(self, **changes: Any) -> Withdrawal:
        """Released and approved, not yet built."""
        row = self.screened(**changes)
        self.sign_off(row)
        return queries.withdrawal(row.pk)

    # --- Paying -------------------------------------------------------------------------------------

    def psbt_for(self, row: Owner, *, rate: int = 2) -> tuple[str, int]:
        """What the builder would build now."""
        wallet = queries.wallet_named(queries.source_of(row))
        chosen = self.select(wallet, row, rate=rate)
        scripts = dict(Address.objects.values_list("script", "witness_script"))
        sources = []
        for each in chosen.coins:
            previous = self.transactions[each.outpoint.txid]
            spent = previous.outputs[each.outpoint.index].script.hex()
            sources.append((previous, bytes.fromhex(scripts[spent])))
        return coins.build(chosen, sources, mark=queries.mark_of(row)).base64(), chosen.vsize

    def select(self, wallet: Wallet, row: Owner, *, rate: int) -> coins.Selection:
        free = [coins.Coin(Outpoint(coin.txid, coin.vout), coin.units) for coin in queries.free_coins(wallet)]
        usable, first = queries.choosable(free, row, wallet)
        return coins.select(
            usable,
            pays=Output(row.units, script.script_of(row.destination, "regtest")),
            feerate=rate,
            fee_cap=row.fee_cap_units,
            wallet=coins.Script(wallet.threshold, len(wallet.tokens), queries.change_script(wallet)),
            first=first,
        )

    def built(self, row: Owner | None = None) -> Payment:
        """A withdrawal (or the one given) with its transaction stored."""
        owner = row or self.approved()
        psbt, vsize = self.psbt_for(owner)
        return actions.store_built(owner=owner, psbt=psbt, vsize=vsize, actor=ROBOT, now=self.now)

    def signing(self, row: Withdrawal | None = None) -> Payment:
        """Signers may be asked."""
        return actions.mark_asked(payment_id=self.built(row).pk, actor=ROBOT, now=self.now)

    def sign(self, payment: Payment, *tokens: str) -> Payment:
        """These tokens sign and their signatures are stored."""
        for token in tokens:
            actions.store_signature(
                payment_id=payment.pk,
                token=token,
                signatures=signatures(payment.psbt, token),
                actor=ROBOT,
                now=self.now,
            )
        return queries.payment(payment.pk)

    def signed(self, row: Withdrawal | None = None) -> Payment:
        """Two tokens have signed and the raw transaction is stored."""
        payment = self.sign(self.signing(row), "hot-1", "hot-3")
        raw = queries.signed_psbt(payment).finalised().encoded()
        return actions.store_signed(payment_id=payment.pk, raw=raw, actor=ROBOT, now=self.now)

    def broadcast(self, row: Withdrawal | None = None) -> Payment:
        """Sent."""
        return actions.report_broadcast(payment_id=self.signed(row).pk, actor=ROBOT, now=self.now)

    def refill_requested(self) -> Refill:
        """Proposed, and adopted by Ana."""
        row = actions.propose_refill(target="hot", source="cold", actor=ROBOT, now=self.now)
        return actions.request_refill(
            refill_id=row.pk, reason="hot is low", actor=self.staff.ana.actor, now=self.now
        )

    def sweep_requested(self) -> Sweep:
        """Proposed, and adopted by Ana."""
        row = actions.propose_sweep(source="hot", target="cold", actor=ROBOT, now=self.now)
        ana = self.staff.ana.actor
        return actions.request_sweep(sweep_id=row.pk, reason="hot is full", actor=ana, now=self.now)

    def funding(self, customer: Customer | None = None) -> ledger.accounts.Balance:  # type: ignore[name-defined]
        """The customer's funding balance."""
        owner = customer or self.tom
        return ledger.balance(ledger.account(ledger.AccountKind.CUSTOMER_FUNDING, "BTC", owner.pk))


def funded(now: datetime) -> Treasury:
    """Tom at tier 2 with one bitcoin."""
    found = Treasury.open(now)
    found.deposit(BTC)
    return found


def raw_of(payment: Payment) -> Transaction:
    """The stored transaction."""
    return Transaction.parse(bytes.fromhex(payment.raw))


def signatures(psbt: str, token: str) -> list[dict[str, Any]]:
    """What the token's signer would answer."""
    parsed = Psbt.parse_base64(psbt)
    found = []
    for place, (spend, digest) in enumerate(zip(parsed.spends, parsed.digests(), strict=True)):
        _, members = script.read_multisig(spend.witness_script)
        key = next(key for key in KEYS[token] if key.public_key in members)
        found.append(
            {
                "input": place,
                "public_key": key.public_key.hex(),
                "signature": (key.sign(digest) + b"\x01").hex(),
            }
        )
    return found


def trader(name: str, *, tier: int) -> Customer:
    """A customer at a tier."""
    identity = Identity.objects.create(
        kind=Kind.CUSTOMER, email=f"{name.lower()}-{uuid4().hex[:6]}@example.com", display_name=name
    )
    return Customer.objects.create(identity=identity, password="!", country="DE", tier=tier)


def customer_actor(customer: Customer) -> Actor:
    """The actor that an API key makes."""
    return Actor(identity=customer.pk, kind="customer", label=customer.display_name)


def outsider() -> Actor:
    """Somebody who is nobody here."""
    return Actor(identity=UUID(int=1), kind="customer", label="stranger")
