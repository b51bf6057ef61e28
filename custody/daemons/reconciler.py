"""The reconciler: a process of its own that compares a wallet's coins with the books, and signs where they
agree, and where the books are sound as a whole.

It asks the node itself about the addresses of its own copy of the registry, and reads the ledger in a role
that can write nothing. Its key is in its folder and nowhere else. A worker asks it and carries what it signed
to the signers; it can make it say nothing, and then the signers' lane shuts by itself. When chain and books
differ it signs that, tells the signers itself (`road`), and the lane shuts at once, whatever a worker
carries; it looks by itself where nobody asks. So it does while another wallet's coins are not those of the
books, a customer was credited against no coins and officers' passkeys have not signed for it, or somebody has
another balance at the venue than the engine says, or the node does not have what was booked as come or paid
(`looking`). An engine that does not answer leaves it without word, unless something else is wrong.

The same word frees what the lane signed once it is final, so it names coins that are spent deep in the chain.
Which coins signers wait for, the database may say; that they are spent, and by what, the node says alone.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from custody import queries
from custody.adapters.bitcoin import BitcoinNode, NodeError, NodeUnreachable
from custody.adapters.bitcoin_answers import NodeAnswerUnreadable
from custody.daemons.credits import Credits
from custody.daemons.looking import Looking, MoreToSee
from custody.daemons.road import Road
from custody.daemons.shown import Shown
from custody.domain.credits import NotAgreed, check
from custody.domain.reconciliations import Books, breaks
from engine_bridge.comparing import NotCompared
from kernel import canonical, encodings, lane, members
from kernel.intent import time_text
from kernel.registry import Registry

log = logging.getLogger(__name__)

NETWORKS: Final = {"main": "mainnet", "test": "testnet"}
"""The node's names of networks that have another name in a registry."""

BREAKS_MAX: Final = 10
"""Sentences in one answer; the log has all."""

_SECOND: Final = timedelta(seconds=1)

Message = Mapping[str, canonical.Value]


class NoKey(ValueError):
    """The file holds no Ed25519 key."""


class NotNow(Exception):
    """Node and books do not stand at the same block; the next try will find them there."""


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
        road: Road | None = None,
    ) -> None:
        self._key, self._registry, self._node, self._clock = key, registry, node, clock
        self._venue = venue
        self._agreed = agreed or Credits()
        self._looking = Looking(node=node, registry=registry, shown=shown or Shown())
        self._road = road
        self._alone = threading.Lock()  # whoever asks, and the one that looks by itself
        self._looked: dict[str, datetime] = {}
        self._sound: dict[str, datetime] = {}  # when it last said of a wallet that all agrees

    def answer(self, message: Message, uid: int) -> Message:
        """What it says to a worker's `{"v":1,"type":"reconcile","wallet":…}`."""
        wallet = message.get("wallet")
        known = members.is_version(message.get("v"), 1) and message.get("type") == "reconcile"
        if not known or not isinstance(wallet, str):
            return {"v": 1, "type": "refused", "why": "no such request"}
        try:
            with self._alone:
                return self.look(wallet)
        except (
            *(NotNow, MoreToSee, NotCompared),
            *(NodeError, NodeUnreachable, NodeAnswerUnreadable, OSError),
        ) as error:
            log.warning("%s: %s", wallet[:40], error)
            return {"v": 1, "type": "later", "why": str(error)[:200]}

    def look_unasked(self, *, every: timedelta) -> None:
        """Look at wallets of which nothing was said for so long, and try signers again that were silent."""
        for wallet in self._registry.lanes:
            now = self._clock()
            if wallet not in self._looked or abs(now - self._looked[wallet]) >= every:
                self._looked[wallet] = now  # one that comes to nothing is not tried all the time
                self.answer({"v": 1, "type": "reconcile", "wallet": wallet}, 0)
        if self._road is not None:
            self._road.go()

    def look(self, wallet: str) -> Message:
        """Both sides at one block, and signed whether they agree. Where they moved on (NotNow), or the venue
        cannot be asked (NotCompared), it says what is wrong all the same, and nothing where that is nothing.
        """
        if wallet not in self._registry.lanes:
            return {"v": 1, "type": "refused", "why": "the registry gives this wallet no lane"}
        described = self._registry.wallets[wallet]
        before = self._at_tip()
        coins = self._node.unspent(
            one.address(index) for one in self._registry.wallets.values() for index in range(len(one.keys))
        )
        on_chain = sum(coin.amount.units for coin in coins if coin.script in described.indexes)
        elsewhere = sum(coin.amount.units for coin in coins) - on_chain
        books = queries.books_of(wallet, known=self._agreed.references, booked=self._looking.booked)
        spent = {} if books is None else self._spent(wallet, books.height)
        unseen = [] if books is None else self._looking.breaks(books.whole.booked, now=self._clock())
        if books is None or books.height < 1:
            raise NotNow("there is no block yet")
        later: list[Exception] = []
        if (books.height, books.tip) == before == self._at_tip():
            unsound = [*self._unsound(books, elsewhere), *unseen]
            differs = on_chain != books.units
        else:
            later.append(NotNow("the node and the books do not stand at the same block"))
            unsound, differs = self._unsound(books, books.whole.elsewhere), False
        try:
            unsound += self._venue()
        except NotCompared as error:
            later.append(error)
        count = len(unsound) + differs
        if later and not count:
            raise later[0]
        unsound += [f"Not all was compared: {error}." for error in later]
        if differs:
            log.error(
                "%s holds %d units at %d, the books say %d", wallet, on_chain, books.height, books.units
            )
        for said in unsound:
            log.error("%s: %s", wallet, said)
        payload = canonical.encode(
            {
                "v": 3,
                "kind": lane.ATTESTATION,
                "deployment": self._registry.deployment,
                "network": self._registry.network,
                "wallet": wallet,
                "height": books.height,
                "on_chain": str(on_chain),
                # No amount is below nothing; that it was is among what is wrong.
                "in_books": str(max(books.units, 0)),
                "breaks": count,
                "spent": spent,
                "time": time_text(self._time(wallet, agrees=not count)),
            }
        )
        signature = self._key.sign(lane.DOMAIN_TAG + payload)
        word = {"payload": encodings.base64url(payload), "signature": encodings.base64url(signature)}
        if self._road is not None:
            attest: Message = {"v": 1, "type": "attest", **word}
            self._road.say(wallet, described.tokens, attest if count else None)
        return {
            "v": 1,
            "type": "reconciled",
            "wallet": wallet,
            "height": books.height,
            "on_chain": str(on_chain),
            "in_books": str(books.units),
            "breaks": unsound[:BREAKS_MAX],
            **word,
        }

    def _time(self, wallet: str, *, agrees: bool) -> datetime:
        """When it says so. Signers take newer word only, by the second: so what is wrong is never said in the
        second in which all still agreed, or whoever asks just then would keep it from them.
        """
        now = self._looked[wallet] = self._clock()
        second = now.replace(microsecond=0)
        if agrees:
            self._sound[wallet] = second
        elif self._sound.get(wallet) == second:
            second += _SECOND
        return second

    def _unsound(self, books: Books, elsewhere: int) -> list[canonical.Value]:
        """What is wrong beyond the wallet itself, in sentences."""
        unsigned = []
        for credit in books.whole.credits:
            try:
                check(credit, self._registry)
            except NotAgreed as error:
                unsigned.append(f"Officers have not signed for the adjustment {credit.reference}: {error}.")
            else:
                self._agreed.add(credit)
        unsound = breaks(books.whole, elsewhere=elsewhere, signed=self._agreed.units)
        return [*unsound, *unsigned]

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
