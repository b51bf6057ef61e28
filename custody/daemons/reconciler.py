"""The reconciler: a process of its own that compares a wallet's coins with the books, and signs where they
agree, and where the books are sound as a whole.

It asks the node itself about the addresses of its own copy of the registry, and reads the ledger in a role
that can write nothing. Its key is in its folder and nowhere else. A worker asks it and carries what it signed
to the signers; it can make it say nothing, and then the signers' lane shuts by itself. When chain and books
differ it signs that, tells the signers itself (`road`), and the lane shuts at once, whatever a worker
carries; it looks by itself where nobody asks. So it does while another wallet's coins are not those of the
books, a customer was credited against no coins and officers' passkeys have not signed for it, or somebody has
another balance at the venue than the engine says, or the node does not have what was booked as come or paid
(`looking`). Where it cannot compare, it says nothing for two minutes, and then that: it is a break like any
other (`sight`), and ends with the first look that compares everything.

The same word frees what the lane signed once it is final, so it names coins that are spent deep in the chain.
Which coins signers wait for, the database may say; that they are spent, and by what, the node says alone.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from django.db import DatabaseError

from custody import queries
from custody.adapters.bitcoin import BitcoinNode, NodeError, NodeUnreachable
from custody.adapters.bitcoin_answers import NodeAnswerUnreadable
from custody.daemons.coins import Coins, Held, NotScanned
from custody.daemons.credits import Credits
from custody.daemons.looking import Looking, MoreToSee
from custody.daemons.road import Road
from custody.daemons.shown import Shown
from custody.daemons.sight import PATIENCE, Sight
from custody.daemons.tally import Tally
from custody.daemons.voice import Message, Overtaken, Voice
from custody.domain.credits import NotAgreed, check
from custody.domain.reconciliations import Books, breaks
from engine_bridge.comparing import NotCompared
from engine_bridge.following import MoreToCompare
from kernel import canonical, lane, members
from kernel.registry import Registry

log = logging.getLogger(__name__)

NETWORKS: Final = {"main": "mainnet", "test": "testnet"}
"""The node's names of networks that have another name in a registry."""


class NoKey(ValueError):
    """The file holds no Ed25519 key."""


class NotNow(Exception):
    """Node and books do not stand at the same block; the next try will find them there."""


_EXPECTED: Final = (
    *(NotNow, NotScanned, MoreToSee, NotCompared, Overtaken),
    *(NodeError, NodeUnreachable, NodeAnswerUnreadable, DatabaseError, OSError),
)
"""Why a look can come back without word. Anything else is a fault, and keeps it from none all the same."""


def key_at(path: Path) -> Ed25519PrivateKey:
    """The reconciler's key from its PEM file; NoKey."""
    key = load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise NoKey(f"{path} holds no Ed25519 key")
    return key


class Reconciler:
    """One key, one registry, one node. `venue` says where ledger and engine differ, or NotCompared."""

    def __init__(
        self,
        *,
        key: Ed25519PrivateKey,
        registry: Registry,
        node: BitcoinNode,
        clock: Callable[[], datetime],
        venue: Callable[[], list[str]],
        agreed: Credits | None = None,
        shown: Shown | None = None,
        tally: Tally | None = None,
        coins: Coins | None = None,
        road: Road | None = None,
        patience: timedelta = PATIENCE,
    ) -> None:
        self._registry, self._node, self._clock = registry, node, clock
        self._venue = venue
        self._agreed = agreed or Credits()
        self._tally = tally or Tally()
        self._coins = coins or coins_of(registry, node)
        self._looking = Looking(node=node, registry=registry, shown=shown or Shown())
        self._road = road
        self._alone = threading.Lock()  # whoever asks, and the one that looks by itself
        self._saying = threading.Lock()  # words come one after the other, also beside a look that hangs
        self._sight = Sight(registry.lanes, now=clock(), patience=patience)
        self._voice = Voice(key=key, registry=registry, road=road)
        self._looked: dict[str, datetime] = {}

    def answer(self, message: Message, uid: int) -> Message:
        """What it says to a worker's `{"v":1,"type":"reconcile","wallet":…}`."""
        wallet = message.get("wallet")
        known = members.is_version(message.get("v"), 1) and message.get("type") == "reconcile"
        if not known or not isinstance(wallet, str):
            return {"v": 1, "type": "refused", "why": "no such request"}
        if wallet not in self._registry.lanes:
            return {"v": 1, "type": "refused", "why": "the registry gives this wallet no lane"}
        try:
            with self._alone:
                return self._look(wallet)
        except Exception as error:
            why = _said(error)
            log.warning("%s: %s", wallet, why, exc_info=not isinstance(error, _EXPECTED))
            with self._saying:
                self._sight.missed(wallet, why)
            if isinstance(error, MoreToSee | MoreToCompare | NotScanned):
                self._looked.pop(wallet, None)  # goes on at once, though nobody asks
            return self._blind(wallet, again=True) or {"v": 1, "type": "later", "why": why}

    def look_unasked(self, *, every: timedelta) -> None:
        """Look at wallets of which nothing was said for so long, and try signers again that were silent."""
        for wallet in self._registry.lanes:
            now = self._clock()
            if wallet not in self._looked or abs(now - self._looked[wallet]) >= every:
                self._looked[wallet] = now  # one that comes to nothing is not tried all the time
                self.answer({"v": 1, "type": "reconcile", "wallet": wallet}, 0)
        if self._road is not None:
            self._road.go()

    def watch(self) -> None:
        """Tell signers of each wallet that was not compared for too long. Waits for no look: one may hang."""
        for wallet in self._registry.lanes:
            self._blind(wallet, again=False)

    def _blind(self, wallet: str, *, again: bool) -> Message | None:
        """Word of a break, where nobody could look for too long."""
        with self._saying:
            now = self._clock()
            found = self._sight.blind(wallet, now=now, again=again)
            if found is None:
                return None
            log.error("%s: %s", wallet, found.sentence)
            return self._voice.say(
                wallet,
                began=now,
                now=now,
                height=found.height,
                on_chain=found.units,
                in_books=found.units,
                unsound=[found.sentence],
            )

    def _look(self, wallet: str) -> Message:
        """Both sides at one block, and signed whether they agree. Where they moved on (NotNow), or the venue
        cannot be asked, it says what is wrong all the same, and nothing where that is nothing.
        """
        began = self._clock()
        described = self._registry.wallets[wallet]
        later: list[Exception] = []
        before = self._at_tip()
        held: Held | None = None
        try:
            held = self._coins.at(*before)
        except NotScanned as error:
            later.append(error)
        self._tally.go_round()
        try:
            self._looking.go_round(now=began)
        except MoreToSee as error:
            later.append(error)
        is_seen = not any(isinstance(error, MoreToSee) for error in later)
        books = queries.books_of(
            wallet, known=self._agreed.references, booked=self._looking.booked, sums=self._tally.sums
        )
        spent = {} if books is None else self._spent(wallet, books.height)
        unseen = (
            self._looking.breaks(books.whole.booked, now=self._clock())
            if is_seen and books is not None
            else []
        )
        if books is None or books.height < 1:
            raise NotNow("there is no block yet")
        on_chain, differs = books.units, False
        if held is not None and (books.height, books.tip) == (held.height, held.tip) == self._at_tip():
            on_chain = held.units(described.indexes)
            differs = on_chain != books.units
            unsound = [*self._unsound(books, held.units() - on_chain, began=began), *unseen]
        else:  # the two sums say nothing of each other
            if held is not None:
                later.append(NotNow(self._apart(books)))
            unsound = self._unsound(books, books.whole.elsewhere, began=began)
        try:
            unsound += self._venue()
        except Exception as error:  # noqa: BLE001 - what else is wrong is said all the same
            later.append(error)
        if later and not unsound and not differs:
            raise later[0]
        unsound += [f"Not all was compared: {_said(error)}." for error in later]
        if differs:
            log.error(
                "%s holds %d units at %d, the books say %d", wallet, on_chain, books.height, books.units
            )
        for said in unsound:
            log.error("%s: %s", wallet, said)
        with self._saying:
            if later:
                self._sight.missed(wallet, _said(later[0]))
            else:
                self._sight.compared(wallet, began=began, height=books.height, units=on_chain)
            now = self._looked[wallet] = self._clock()
            return self._voice.say(
                wallet,
                began=began,
                now=now,
                height=books.height,
                on_chain=on_chain,
                in_books=books.units,
                unsound=unsound,
                spent=spent,
            )

    def _unsound(self, books: Books, elsewhere: int, *, began: datetime) -> list[canonical.Value]:
        """What is wrong beyond the wallet itself, in sentences."""
        unsigned: list[tuple[str, str]] = []
        for credit in books.whole.credits:
            try:
                check(credit, self._registry, absent=self._agreed.absent(credit.reference))
            except NotAgreed as error:
                unsigned.append((credit.reference, str(error)))
            else:
                self._agreed.add(credit)
        if len(books.whole.credits) < queries.CREDITS_MAX:  # else more are there that were not read
            self._agreed.seen(began, unsigned=[reference for reference, _ in unsigned])
        unsound = breaks(books.whole, elsewhere=elsewhere, signed=self._agreed.units)
        return [
            *unsound,
            *(f"Officers have not signed for the adjustment {one}: {why}." for one, why in unsigned),
        ]

    def _spent(self, wallet: str, height: int) -> dict[str, canonical.Value]:
        """Coins that signers wait for and that the node itself shows as spent, deep enough, and by what."""
        found: dict[str, canonical.Value] = {}
        for coin, by in queries.awaited_coins(wallet, height=height).items():
            seen = self._node.transaction(by)
            spends = {f"{one.txid}:{one.index}" for one in seen.spends} if seen else set()
            if seen and seen.confirmations >= lane.DEPTH and coin in spends:
                found[coin] = by
        return found

    def _at_tip(self) -> tuple[int, str]:
        chain = self._node.chain()
        if NETWORKS.get(chain.network, chain.network) != self._registry.network:
            raise NotNow(f"the node is on {chain.network}, the registry on {self._registry.network}")
        return chain.height, chain.tip

    def _apart(self, books: Books) -> str:
        """How the block of the books stands to the node's, by the node alone: a row is no block."""
        there = self._node.block_hash(books.height)
        if there == books.tip:
            return "the node and the books do not stand at the same block"
        other = "no block" if there is None else "another block"
        return (
            f"the node and the books do not stand at the same block: the books stand on {books.tip[:80]} at "
            f"{books.height}, where the node has {other}"
        )


def coins_of(registry: Registry, node: BitcoinNode, **how: Any) -> Coins:
    """The coins on all addresses of a registry. To make these takes long where there are many."""
    wallets = registry.wallets.values()
    return Coins(
        node=node,
        addresses=lambda: [one.address(index) for one in wallets for index in range(len(one.keys))],
        scripts=frozenset(script for one in wallets for script in one.indexes),
        **how,
    )


def _said(error: Exception) -> str:
    """The first line of what it says."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")[:200]
