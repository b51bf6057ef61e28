"""A signer that forgets what is over …

It answers like one that never forgets, but for three answers, which it gives instead of a yes or of another
no: `SIGNER_REPLAY` to an intent whose coins it forgot, also over these coins; `SIGNER_WINDOW_FULL` while a
window reaches back to what it forgot, which takes a longer window or a clock put back; `SIGNER_COUNTER` where
a count comes so late that nothing it was said with is remembered. Here both are asked the same, at any
moments, in any order, and one of them begins a new file whenever it likes.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from custody.signer import journal
from kernel import evm
from kernel.approval import Verb
from kernel.intent import Intent, time_text
from kernel.money import Amount
from kernel.safe import SafeTransaction
from kernel.script import address_of
from tests import messages
from tests.checkpoints import DAY
from tests.customers import SITE, Customer, Reconciler, payout, section, unattended
from tests.desks import outstanding
from tests.messages import coin, order, request, withdrawal
from tests.safe_payments import message as safe_message
from tests.safe_payments import payment
from tests.softkeys import SoftKey
from tests.softtoken import Desk, SoftToken, hot_registry
from tests.vault import BEN, CY, Message

KEYS = [SoftKey(30_000 + number) for number in range(3)]
NEVER = 10**9
EXAMPLES = int(os.environ.get("FORGETTING_EXAMPLES", "20"))
NOW = 1_795_000_000.0
SAFE = {
    "chain_id": 31_337,
    "address": evm.address(b"\x5a" * 20),
    "m": 2,
    "owners": {f"safe-{number}": key.public_key.hex() for number, key in enumerate(KEYS)},
    "teams": {"treasury": 2},
    "assets": {"ETH": {"decimals": 18, "window_units_max": str(10**22)}},
}
ELSEWHERE = address_of(b"\x00\x14" + b"\x09" * 20, messages.NETWORK)
PAIRS = (("whole", "short"), ("whole of a Safe", "short of a Safe"))
PLACES = st.integers(0, 3)
"""Of what was asked before, the newest first."""


class SafeToken(SoftToken):
    """The first of the Safe's."""

    def __init__(self) -> None:
        super().__init__("safe-0")

    def sign(self, index: int, digest: bytes, *, public_key: bytes) -> bytes:
        return KEYS[0].sign(digest)

    def check_key(self, index: int, *, public_key: bytes) -> None:
        assert KEYS[0].public_key == public_key


class Both(RuleBasedStateMachine):
    """One that never forgets, and one that does: the same token, registry, clock and messages."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="forgetting-"))
        limits = {"window_units_max": {"hot": "300000000"}, "destination_units_max": {"hot": "270000000"}}
        lanes = {"hot": section(window_units_max="9000000")}
        registry = hot_registry(lanes=lanes, customers=SITE, safes={"vault": SAFE}, limits=limits)
        self.desks = [
            Desk(self.folder / name, registry=registry, token=token(), now=NOW)
            for pair, token in zip(PAIRS, (SoftToken, SafeToken), strict=True)
            for name in pair
        ]
        self.whole, self.short = self.desks[:2]
        self.asked = list[tuple[Intent, Any, bool]]()
        self.safes = list[tuple[Intent, int]]()
        self.count = self.fees = 0
        self.tom = Customer()
        for message in (self.tom.key(), self.tom.beneficiary()):
            self.both(message)
        self.clock(3 * DAY)
        self.attest(agrees=True, final=False)

    def teardown(self) -> None:
        for desk in self.desks:
            desk.journal.close()
        shutil.rmtree(self.folder)

    # What they are asked.

    def both(self, message: Message, *, name: str = "", safe: bool = False) -> str:
        """The answer of both; where the short one says why it alone refuses, the whole one is not asked."""
        whole, short = self.desks[2:] if safe else self.desks[:2]
        answer = self.say(short, message)
        forgotten = short.signer.memory.forgotten
        if answer == "SIGNER_REPLAY" and name in forgotten:
            return answer
        if answer == "SIGNER_WINDOW_FULL" and (short.now - DAY) * 1000 < forgotten.until_ms:
            return answer
        assert answer == self.say(whole, message)
        return answer

    def say(self, desk: Desk, message: Message) -> str:
        journal.FILE_LINES = NEVER
        return desk.code(message)

    def given(self, kind: str, **members: Any) -> str:
        """An order that is another each time."""
        self.count += 1
        how = {
            "nonce": self.count.to_bytes(32, "big"),
            "expires": time_text(self.whole.in_hours(24)),
            **members,
        }
        return self.both(order(kind, **how))

    def spend(self, intent: Intent, coins: Any, *, lane: bool) -> str:
        self.fees += 1  # another transaction each time
        if lane:
            self.attest(agrees=True, final=False)
        made = request(self.whole.registry, [intent], coins=coins, fee=2_000 + self.fees)
        name = f"{intent.kind}/{intent.reference}"
        return self.both(unattended(made) if lane else made, name=name)

    @rule(lane=st.booleans(), hours=st.sampled_from([1, 24, 24 * 7, 24 * 8]))
    def spend_anew(self, lane: bool, hours: int) -> None:
        made = payout if lane else withdrawal
        intent = made(expires=self.whole.in_hours(hours))
        coins = [coin(self.whole.registry, "hot", 1, 150_000_000)]
        self.asked.append((intent, coins, lane))
        self.spend(intent, coins, lane=lane)

    @rule(place=PLACES, anew=st.booleans(), same_coins=st.booleans(), other=st.booleans())
    def spend_again(self, place: int, anew: bool, same_coins: bool, other: bool) -> None:
        """Over its coins or others, as it was approved or approved anew, perhaps for another amount."""
        if not self.asked:
            return
        intent, coins, lane = self.asked[max(0, len(self.asked) - 1 - place)]
        changes: dict[str, Any] = {"expires": self.whole.in_hours(24 * 7)} if anew else {}
        if other:
            changes["amount"] = Amount(1_500_000, "BTC")
        made = payout if lane else withdrawal
        again = made(**{"reference": intent.reference, "expires": intent.expires, **changes})
        self.spend(again, coins if same_coins else None, lane=lane)

    @rule(place=PLACES, is_new=st.booleans(), nonce=st.integers(0, 3))
    def spend_of_a_safe(self, place: int, is_new: bool, nonce: int) -> None:
        if is_new or not self.safes:
            self.safes.append((payment(expires=self.whole.in_hours(24)), nonce))
        intent, first = self.safes[max(0, len(self.safes) - 1 - place)]
        intent = payment(reference=intent.reference, expires=self.whole.in_hours(24))
        call = self.whole.registry.safes["vault"].transfer("ETH", intent.amount.units, intent.destination)
        at = first if is_new else nonce
        transaction = SafeTransaction(31_337, SAFE["address"], *call, at, base_gas=intent.mark)  # type: ignore[arg-type]
        name = f"{intent.kind}/{intent.reference}"
        self.both(safe_message(intent, transaction), name=name, safe=True)

    @rule(agrees=st.booleans(), final=st.booleans())
    def attest(self, agrees: bool, final: bool) -> None:
        self.clock(1)
        spent = dict(sorted(outstanding(self.whole).items())[:3]) if final else {}
        books = {} if agrees else {"in_books": 1}
        self.both(Reconciler().attests(self.whole.in_hours(0), spent=spent, **books))

    @rule(what=st.sampled_from(["beneficiary", "elsewhere", "removal", "stranger", "other key"]))
    def learn(self, what: str) -> None:
        time = {"time": time_text(self.whole.in_hours(0))}
        if what == "other key":
            self.tom = Customer(seed=7 + len(self.asked) % 3)
        said = {
            "beneficiary": lambda: self.tom.beneficiary(**time),
            "elsewhere": lambda: self.tom.beneficiary(ELSEWHERE, **time),
            "removal": lambda: self.tom.removal(**time),
            "stranger": lambda: Customer(str(uuid4())).key(**time),
        }
        self.both(said.get(what, lambda: self.tom.key(**time))())

    @rule(name=st.sampled_from(["hot", "*", "hot/lane", f"officer:{CY}"]), release=st.booleans())
    def freeze_or_release(self, name: str, release: bool) -> None:
        if release or name in self.short.signer.memory.holds.held:
            self.clock(121)
            self.given("signer.release", wallet=name)
        else:
            self.given("signer.freeze", wallet=name, verb=Verb.APPROVE, officers=[BEN])

    @rule(veto=st.booleans(), version=st.integers(2, 3))
    def announce_or_veto(self, veto: bool, version: int) -> None:
        digest = f"{version:064x}"
        if veto:
            self.given("signer.veto", digest=digest, verb=Verb.APPROVE, officers=[BEN])
        else:
            self.given("signer.registry", version=version, digest=digest, keys=[])

    # What happens to them.

    @rule(seconds=st.sampled_from([1, 60, 3_600, DAY, 5 * DAY, 8 * DAY, 30 * DAY]))
    def clock(self, seconds: float) -> None:
        for desk in self.desks:
            desk.now += seconds

    @rule(days=st.sampled_from([0.1, 5, 40]))
    def put_the_clock_back(self, days: float) -> None:
        self.clock(-days * DAY)
        for desk in self.desks:
            standing = desk.signer.journal.standing
            about = {"token": desk.token.name, "expires": time_text(desk.in_hours(1))}
            self.count += 1
            nonce = self.count.to_bytes(32, "big")
            made = order("signer.reopen", standing=standing, nonce=nonce, **about)
            answer = self.say(desk, made)
            assert answer in {"obeyed", "SIGNER_OFFICER_SUSPENDED"}

    @rule()
    def restart(self) -> None:
        journal.FILE_LINES = NEVER
        for desk in self.desks:
            desk.restart()

    @rule(days=st.sampled_from([2, 8]))
    def forget_much(self, days: int) -> None:
        """Later, and in as many files as it takes until what was before is before those lines, too."""
        self.clock(days * DAY)
        for _ in range(2):
            for desk in self.desks:
                desk.signer.remember("started", {"nonce": ""})
            self.forget(lines=1)

    @rule(lines=st.integers(1, 12))
    def forget(self, lines: int) -> None:
        """It begins a new file, by whatever length; the other has a line at this moment as well."""
        for whole, short in zip(self.desks[::2], self.desks[1::2], strict=True):
            begun = short.file.stat().st_ino
            journal.FILE_LINES = lines
            assert short.health
            journal.FILE_LINES = NEVER
            if short.file.stat().st_ino != begun:
                whole.signer.remember("started", {"nonce": ""})

    @invariant()
    def look_alike(self) -> None:
        journal.FILE_LINES = NEVER
        for one, other in zip(self.desks[::2], self.desks[1::2], strict=True):
            whole, short = one.health, other.health
            for name in ("state", "frozen", "uncounted"):
                assert short[name] == whole[name]
            for name in ("outstanding", "known", "broken"):
                assert short["lanes"]["hot"][name] == whole["lanes"]["hot"][name]
            if (other.now - DAY) * 1000 >= other.signer.memory.forgotten.until_ms:
                assert (short["used"], short["lanes"]) == (whole["used"], whole["lanes"])


def test_answers_as_one_that_never_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "FILE_LINES", NEVER)  # and what it was, in the end

    class Run(Both.TestCase):  # type: ignore[name-defined,misc]
        settings = settings(max_examples=EXAMPLES, stateful_step_count=40, deadline=None)

    Run().runTest()
