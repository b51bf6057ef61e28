"""From a message to an answer: check, remember, sign, in this order. The socket and the air gap share it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Final

from custody.signer import checks, lanes, orders, requests, safes
from custody.signer.checks import Plan
from custody.signer.counters import Memory
from custody.signer.holds import EVERYTHING
from custody.signer.refusals import Refused
from custody.signer.requests import Message, Spend
from custody.signer.standing import Standing
from kernel import canonical, evm
from kernel.entry import SPEND
from kernel.intent import Intent, time_text
from kernel.lane import Lane
from kernel.members import is_version
from kernel.pinned import Limits

PROBE_EVERY_MS: Final = 60_000

Aside = Callable[[], contextlib.AbstractContextManager[None]]


class Signer(Standing):
    """What one signer answers. It decides about one message at a time; `aside` lets others' turns come."""

    aside: Aside = contextlib.nullcontext

    def answer(
        self, message: Mapping[str, canonical.Value], user: str = "", *, may_order: bool = True
    ) -> Message:
        """The answer to one message. What was signed, obeyed, learnt or refused is written down before."""
        self.journal.tell(at_ms=self.now_ms())
        try:
            act = _ACTS.get(str(message.get("type")))
            if may_order:  # who may not, may bring no veto: it has not listened for one
                self.follow()
            if not is_version(message.get("v"), 1) or act is None:
                raise Refused("SIGNER_BAD_REQUEST", "no such version or type")
            return act(self, message)
        except Refused as refusal:
            if refusal.code == "SIGNER_TOKEN_FAILED":
                self._probed_ms = 0  # whoever asks how it is hears of it at once
            self.journal.refuse(user, refusal, at_ms=self.now_ms())
            return self._said("refused", {"code": refusal.code, "detail": refusal.detail[:400]})
        except Exception:
            # Whatever went wrong, what is remembered is what the journal says.
            self.memory = Memory.of(self.journal)
            raise

    def health(self, message: Mapping[str, canonical.Value] | None = None) -> Message:
        """What an operator wants to know; nothing secret."""
        now_ms, standing = self.now_ms(), ""
        try:
            self.token.check_answers()
            standing = self.token.in_time(lambda: self.journal.standing)
            self.check_open(now_ms)
            self.memory.holds.check(EVERYTHING)
            self.journal.check_room()
            self.watched.check(now_ms)
            if now_ms >= self._probed_ms + PROBE_EVERY_MS:
                self.token.in_time(self.token.probe)
                self._probed_ms = now_ms
            state, why = "ready", ""
        except Refused as refusal:
            state, why = refusal.code, refusal.detail
        used = partial(self.memory.used, now_ms=now_ms)
        limits, believed = self.registry.limits, self.believed  # which may be another, as long as it waits
        members: Message = {
            "serial": self.token.serial,
            "state": state,
            "why": why,
            "registry": {"version": believed.version, "digest": believed.digest.hex()},
            "journal": {"lines": self.journal.lines, "standing": standing},
            "frozen": self.memory.holds.reasons(),
            "uncounted": self.uncounted(),
            "used": {
                name: str(used(name, window_s=limits.window_s))
                for wallet in self.registry.signing
                if self.token.name in wallet.tokens
                for name in wallet.accounts
            },
            "lanes": {
                name: {
                    "used": str(used(name, window_s=lane.window_s, unattended=True)),
                    "outstanding": str(sum(one.units for one in self.memory.outstanding.of(name))),
                    "share": str(self.registry.wallets[name].share(lane.window_units_max)),
                    "attested": time_text(self._attested[name].said.time) if name in self._attested else "",
                    "broken": name in self.memory.lanes.breaks,
                    "known": sum(len(one.destinations) for one in self.memory.lanes.customers.values()),
                }
                for name, lane in self.registry.lanes.items()
            },
        }
        return self._said("health", members)

    def _sign(self, message: Mapping[str, canonical.Value]) -> Message:
        """Sign a transaction that every check lets pass. An unattended one takes its wallet's lane."""
        spend = requests.spend(message, unattended=message["type"] == "sign_unattended")
        now_ms = self._check_may_sign(spend.wallet, unattended=spend.unattended)
        registry, lane = self.registry, self._lane(spend, now_ms)
        now = datetime.fromtimestamp(now_ms / 1000, UTC)
        self.memory.holds.check_heard(spend.signed)
        plan = checks.judge(spend, token=self.token.name, registry=registry, now=now, lane=lane)
        is_new = self._count(plan, spend.intent, limits=registry.limits, now_ms=now_ms)
        wanted = [
            (index, digest, plan.wallet.key_of(self.token.name, index))
            for index, digest in zip(plan.key_indexes, spend.psbt.digests(), strict=True)
        ]
        with self.aside():
            self.journal.settle(self.gathering.wait)
            with self.gathering.working():
                made = self.token.sign_all(wanted)
        # What was stopped meanwhile keeps its signatures in.
        self.check_store()
        self.memory.check_reopened(spend.intent.expires, life=registry.limits.intent_life)
        self.memory.holds.check(spend.wallet, unattended=spend.unattended)
        self.memory.holds.check_heard(spend.signed)
        self._lane(spend, now_ms)
        signatures: list[canonical.Value] = [
            {"input": place, "public_key": asked[2].hex(), "signature": (der + b"\x01").hex()}
            for place, (asked, der) in enumerate(zip(wanted, made, strict=True))
        ]
        self.remember("signed", {"txid": plan.txid, "wallet": plan.wallet.name, "again": not is_new})
        return self._said("signed", {"txid": plan.txid, "signatures": signatures})

    def _lane(self, spend: Spend, now_ms: int) -> Lane | None:
        """The lane that lets it through; none where officers approved it."""
        if not spend.unattended:
            return None
        return self.memory.lanes.check(
            spend, registry=self.registry, attestations=self._attested, now_ms=now_ms
        )

    def _sign_safe(self, message: Mapping[str, canonical.Value]) -> Message:
        """Sign a Safe's transaction, by the hash that is computed here, if every check lets it pass."""
        spend = safes.spend(message)
        now_ms = self._check_may_sign(spend.wallet)
        registry, now = self.registry, datetime.fromtimestamp(now_ms / 1000, UTC)
        self.memory.holds.check_heard(spend.signed)
        safe, plan = safes.judge(spend, token=self.token.name, registry=registry, now=now)
        limits = safe.caps(registry.limits, spend.intent.amount.asset)
        is_new = self._count(plan, spend.intent, limits=limits, now_ms=now_ms)
        key, digest = safe.key_of(self.token.name, 0), spend.transaction.digest()
        self.token.in_time(self.journal.settle)
        signature = self.token.in_time(lambda: self.token.sign_for_evm(0, digest, key))
        self.remember("signed", {"txid": plan.txid, "wallet": safe.name, "again": not is_new})
        said: Message = {"hash": f"0x{digest.hex()}", "owner": evm.address_of(key)}
        return self._said("signed_safe", {**said, "signature": f"0x{signature.hex()}"})

    def _check_may_sign(self, wallet: str, *, unattended: bool = False) -> int:
        """This moment, if nothing keeps the signer from signing anything out of this wallet."""
        now_ms = self.now_ms()
        self.check_open(now_ms)
        self.journal.check_room(unattended=unattended)
        self.watched.check(now_ms)
        self.memory.holds.check(wallet, unattended=unattended)
        self.token.check_answers()
        return now_ms

    def _count(self, plan: Plan, intent: Intent, *, limits: Limits, now_ms: int) -> bool:
        """Whether it is new, and then counted: remembered, and to be settled before the token signs.

        A crash in between costs some of the window, no coin.
        """
        self.memory.check_reopened(intent.expires, life=self.registry.limits.intent_life)
        entry = self.memory.check(plan, limits=limits, now_ms=now_ms)
        if entry is None or not entry["paid"]:
            self.journal.check_again(at_ms=now_ms)
        if entry is not None:
            self.remember(SPEND, entry)
        return entry is not None

    def _learn(self, message: Mapping[str, canonical.Value]) -> Message:
        """Take in what a customer signed. Its age begins now, by this signer's own clock."""
        learnt, now_ms = requests.learnt(message), self.now_ms()
        self.check_open(now_ms)
        self.journal.check_room(unattended=True)
        entry = self.memory.lanes.learn(learnt, registry=self.registry, now_ms=now_ms)
        if entry is not None:
            self.remember(*entry)
        # Another key for a known customer: somebody should ask that customer, not the web tier.
        replaced = entry is not None and bool(entry[1].get("replaces"))
        alert = "SIGNER_CUSTOMER_KEY_CHANGED" if replaced else ""
        return self._said("learnt", {"new": entry is not None, "alert": alert})

    def _attest(self, message: Mapping[str, canonical.Value]) -> Message:
        """Take in what a reconciler saw. Only the newest counts; a break is remembered until it is mended."""
        attested, now_ms = requests.attested(message), self.now_ms()
        self.check_open(now_ms)
        said = attested.said
        by = lanes.check_attestation(attested, registry=self.registry, now=self.now())
        broken, before = self.memory.lanes.breaks.get(said.wallet), self._attested.get(said.wallet)
        if before is None or said.time > before.said.time:
            details: Message = {"wallet": said.wallet, "by": by, "height": said.height}
            details |= {"on_chain": str(said.on_chain), "in_books": str(said.in_books)}
            if not said.agrees and (broken is None or said.time > broken):
                self.remember("unbalanced", {**details, "time": said.time.isoformat()})
            elif said.agrees and broken is not None and said.time > broken:
                self.remember("balanced", details)
            self._attested[said.wallet] = attested
            news = self.memory.outstanding.news(said.wallet, said.spent)
            if news and lanes.is_fresh(attested, self.registry.lanes[said.wallet], now_ms=now_ms):
                self.remember("final", {"wallet": said.wallet, "by": by, "spent": news})
        return self._said("attested", {"agrees": said.agrees})

    def _cosigned(self, message: Mapping[str, canonical.Value]) -> Message:
        self.check_store(stops=True)
        return self.watched.cosigned(message, memory=self.memory, now_s=self.now_ms() / 1000)

    def _asked(self, message: Mapping[str, canonical.Value]) -> Message:
        """How it is; and as long as nobody waits for more, a new file is begun."""
        self.shorten(self.aside)
        return self.health(message)

    def _obey(self, message: Mapping[str, canonical.Value]) -> Message:
        order = requests.order(message)
        orders.obey(self, order)
        return self._said("obeyed", {"kind": order.kind})

    def _said(self, kind: str, members: Message) -> Message:
        return requests.said(kind, self.token.name, members)


_ACTS: Final[Mapping[str, Callable[[Signer, Mapping[str, canonical.Value]], Message]]] = {
    "sign": Signer._sign,
    "sign_unattended": Signer._sign,
    "sign_safe": Signer._sign_safe,
    "learn": Signer._learn,
    "attest": Signer._attest,
    "order": Signer._obey,
    "log_head": lambda signer, message: signer.token.in_time(lambda: signer.watched.head(message)),
    "log_proof": lambda signer, message: signer.watched.proof(message),
    "log_entries": lambda signer, message: signer.watched.entries(message),
    "log_cosigned": Signer._cosigned,
    "health": Signer._asked,
}
