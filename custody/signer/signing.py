"""From a message to an answer: check, remember, sign, in this order. The socket and the air gap share it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from custody.signer import checks, lanes, requests
from custody.signer.counters import EVERYTHING, LANE, Memory
from custody.signer.journal import Journal
from custody.signer.refusals import Refused
from custody.signer.requests import Attested, Order, Spend
from custody.signer.succession import COPY, check_genesis, check_recovery, check_successor, read
from custody.signer.tokens import Token
from custody.signer.watched import Watched
from kernel import canonical
from kernel.intent import time_text
from kernel.registry import Registry

Message = dict[str, canonical.Value]

PROBE_EVERY_MS: Final = 60_000
FREEZE_FILE: Final = "FREEZE"  # whoever runs the host may stop the signer; only officers start it again


class Signer:
    """One token with its registry and its memory."""

    def __init__(
        self,
        *,
        token: Token,
        registry: Registry,
        state: Path,
        clock: Callable[[], float],
        order: Order | None = None,
    ) -> None:
        self.token, self.registry, self._state = token, registry, state
        self._clock = clock
        self._attested: dict[str, Attested] = {}
        self._probed_ms = 0
        self._acts: Mapping[str, Callable[[Mapping[str, canonical.Value]], Message]] = {
            "sign": lambda message: self._sign(requests.spend(message)),
            "sign_unattended": lambda message: self._sign(requests.spend(message, unattended=True)),
            "learn": self._learn,
            "attest": self._attest,
            "order": self._obey,
            "log_head": self._log,
            "log_proof": self._log,
            "log_entries": self._log,
            "log_cosigned": self._log,
            "health": lambda message: self.health(),
        }
        self.journal = Journal(state, token)
        try:
            self._begin(order)
        except Refused:
            self.journal.close()
            raise

    def _begin(self, order: Order | None) -> None:
        """Check the keys, then take the registry up: none is pinned that names other keys than these."""
        token, registry = self.token, self.registry
        self.memory = Memory.of(self.journal)
        for wallet in registry.wallets.values():
            if token.name in wallet.tokens:
                for index in range(len(wallet.keys)):
                    token.check_key(index, public_key=wallet.key_of(token.name, index))
        if not self.journal.lines and self.journal.fault is None:
            check_genesis(registry, order=order, token=token.name, now=self._now())
            self._remember("genesis", {"token": token.name, "serial": token.serial, **self._registry_entry()})
        if self.journal.fault is None and not self._pinned():
            self._succeed(order)
        if self._pinned():
            self._keep_copy()
        self._watch()

    def _watch(self) -> None:
        self.watched = Watched(
            token=self.token, registry=self.registry, journal=self.journal, remember=self._remember
        )
        if self.journal.fault is None and self._pinned():
            self.watched.start()

    def close(self) -> None:
        """Let go of the journal and the token."""
        self.journal.close()
        self.token.close()

    def answer(self, message: Mapping[str, canonical.Value]) -> Message:
        """The answer to one message. What was signed, obeyed, learnt or refused is written down before."""
        act = self._acts.get(str(message.get("type")))
        if message.get("v") != 1 or act is None:
            return self._refused(Refused("SIGNER_BAD_REQUEST", "no such version or type"))
        try:
            return act(message)
        except Refused as refusal:
            return self._refused(refusal)
        except Exception:
            # Whatever went wrong, what is remembered is what the journal says.
            self.memory = Memory.of(self.journal)
            raise

    def health(self) -> Message:
        """What an operator wants to know; nothing secret."""
        now_ms = self._now_ms()
        try:
            self._check_open(now_ms)
            self.memory.check_frozen(EVERYTHING)
            self.watched.check(now_ms)
            self._probe(now_ms)
            state, why = "ready", ""
        except Refused as refusal:
            state, why = refusal.code, refusal.detail
        limits = self.registry.limits
        return {
            "v": 1,
            "type": "health",
            "token": self.token.name,
            "serial": self.token.serial,
            "state": state,
            "why": why,
            "registry": {"version": self.registry.version, "digest": self.registry.digest.hex()},
            "journal": {"lines": self.journal.lines, "standing": self.journal.standing},
            "frozen": dict(self.memory.frozen),
            "used": {
                name: str(self.memory.used(name, window_s=limits.window_s, now_ms=now_ms))
                for name, wallet in self.registry.wallets.items()
                if self.token.name in wallet.tokens
            },
            "lanes": {
                name: {
                    "used": str(
                        self.memory.used(name, window_s=lane.window_s, now_ms=now_ms, unattended=True)
                    ),
                    "share": str(self.registry.wallets[name].share(lane.window_units_max)),
                    "attested": time_text(self._attested[name].said.time) if name in self._attested else "",
                    "broken": name in self.memory.lanes.breaks,
                    "known": sum(len(one.destinations) for one in self.memory.lanes.customers.values()),
                }
                for name, lane in self.registry.lanes.items()
            },
        }

    def _probe(self, now_ms: int) -> None:
        """Let the token prove once a minute that it still signs."""
        if now_ms >= self._probed_ms + PROBE_EVERY_MS:
            self.token.probe()
            self._probed_ms = now_ms

    def _sign(self, spend: Spend) -> Message:
        now_ms = self._now_ms()
        self._check_open(now_ms)
        self.watched.check(now_ms)
        self.memory.check_frozen(spend.wallet, unattended=spend.unattended)
        lane = None
        if spend.unattended:
            lane = self.memory.lanes.check(
                spend, registry=self.registry, attestations=self._attested, now_ms=now_ms
            )
        plan = checks.judge(
            spend,
            token=self.token.name,
            registry=self.registry,
            now=datetime.fromtimestamp(now_ms / 1000, UTC),
            lane=lane,
        )
        for intent, _ in spend.intents:
            self.memory.check_reopened(intent.expires, life=checks.intent_life(self.registry.limits))
        entry = self.memory.check(plan, limits=self.registry.limits, now_ms=now_ms)
        if entry is not None:
            # Remembered before the token is asked: a crash in between costs some of the window, no coin.
            self._remember("spend", entry)
        wanted = [
            (index, digest, plan.wallet.key_of(self.token.name, index))
            for index, digest in zip(plan.key_indexes, spend.psbt.digests(), strict=True)
        ]
        signatures: list[canonical.Value] = [
            {"input": place, "public_key": wanted[place][2].hex(), "signature": (der + b"\x01").hex()}
            for place, der in enumerate(self.token.sign_all(wanted))
        ]
        self._remember("signed", {"txid": plan.txid, "wallet": plan.wallet.name, "again": entry is None})
        told: Message = {"txid": plan.txid, "signatures": signatures}
        return {"v": 1, "type": "signed", "token": self.token.name, **told}

    def _learn(self, message: Mapping[str, canonical.Value]) -> Message:
        """Take in what a customer signed. Its age begins now, by this signer's own clock."""
        learnt, now_ms = requests.learnt(message), self._now_ms()
        self._check_open(now_ms)
        entry = self.memory.lanes.learn(learnt, registry=self.registry, now_ms=now_ms)
        if entry is not None:
            self._remember(*entry)
        replaced = entry is not None and bool(entry[1].get("replaces"))
        return {
            "v": 1,
            "type": "learnt",
            "token": self.token.name,
            "new": entry is not None,
            # Another key for a known customer: somebody should ask that customer, not the web tier.
            "alert": "SIGNER_CUSTOMER_KEY_CHANGED" if replaced else "",
        }

    def _attest(self, message: Mapping[str, canonical.Value]) -> Message:
        """Take in what a reconciler saw. Only the newest counts; a break is remembered until it is mended."""
        attested, now_ms = requests.attested(message), self._now_ms()
        self._check_open(now_ms)
        said = attested.said
        by = lanes.check_attestation(attested, registry=self.registry, now=self._now())
        broken = self.memory.lanes.breaks.get(said.wallet)
        before = self._attested.get(said.wallet)
        if before is None or said.time > before.said.time:
            details: Message = {"wallet": said.wallet, "by": by, "height": said.height}
            details |= {"on_chain": str(said.on_chain), "in_books": str(said.in_books)}
            if not said.agrees and (broken is None or said.time > broken):
                self._remember("unbalanced", {**details, "time": said.time.isoformat()})
            elif said.agrees and broken is not None and said.time > broken:
                self._remember("balanced", details)
            self._attested[said.wallet] = attested
        return {"v": 1, "type": "attested", "token": self.token.name, "agrees": said.agrees}

    def _log(self, message: Mapping[str, canonical.Value]) -> Message:
        """What a collector asks for, to carry it to the witnesses, and what it brings back."""
        if message["type"] == "log_cosigned":
            self._check_store()
            return self.watched.cosigned(message, memory=self.memory, now_s=self._now_ms() / 1000)
        watched = self.watched
        acts = {"log_head": watched.head, "log_proof": watched.proof, "log_entries": watched.entries}
        return acts[str(message["type"])](message)

    def _obey(self, message: Mapping[str, canonical.Value]) -> Message:
        order = requests.order(message)
        self._check_pinned()
        self.memory.check_order(order.signed.name)
        sightings = checks.judge_order(order, token=self.token.name, registry=self.registry, now=self._now())
        written = _written(order) | self.memory.check_counts(sightings)
        if order.kind == requests.REOPEN:
            if order.subject != self.journal.standing:
                raise Refused("SIGNER_BAD_ORDER", "the order reopens another journal than the one found")
            lost, now_ms = self.journal.fault is not None or self.memory.forked, self._now_ms()
            branch: Message = {"new_log": lost, "branch": str(now_ms) if lost else self.journal.branch}
            try:
                self.journal.reopen({**written, **self._registry_entry(), **branch}, at_ms=now_ms)
            finally:
                self.memory = Memory.of(self.journal)
            self._watch()
        else:
            self._check_store()
            if order.kind != requests.FREEZE:
                self.memory.check_clock(self.journal, now_ms=self._now_ms())
                self.memory.check_reopened(order.expires, life=checks.order_life(self.registry.limits))
            if order.kind in (requests.FREEZE, requests.RELEASE):
                self._freeze_or_release(order, written)
            elif order.kind == requests.VETO:
                self._remember("vetoed", {"digest": order.subject, **written})
            else:
                self._announce(order, written, registry=self.registry)
        return {"v": 1, "type": "obeyed", "token": self.token.name, "kind": order.kind}

    def _freeze_or_release(self, order: Order, written: Message) -> None:
        wallets = self.registry.wallets
        if order.subject not in {EVERYTHING, *wallets, *(name + LANE for name in wallets)}:
            raise Refused("SIGNER_UNKNOWN_WALLET", f"no wallet {order.subject[:40]!r}")
        if order.kind == requests.RELEASE:
            if self._freeze_file():
                raise Refused("SIGNER_FROZEN", f"first remove the file {FREEZE_FILE} on the host")
            self.memory.check_release(order.subject, order.expires)
        event = "frozen" if order.kind == requests.FREEZE else "released"
        self._remember(event, {"wallet": order.subject, **written})

    def _announce(self, order: Order, written: Message, *, registry: Registry) -> None:
        delay_s, recovery = registry.limits.registry_delay_s, order.kind == requests.RECOVERY
        if recovery and registry.recovery is not None:
            delay_s = registry.recovery.delay_s
        members = {"version": str(order.version), "digest": order.subject, "delay_s": str(delay_s)}
        self._remember("announced", {**members, "recovery": recovery, **written})

    def _check_open(self, now_ms: int) -> None:
        self._check_store()
        self.memory.check_clock(self.journal, now_ms=now_ms)
        if self._freeze_file() and EVERYTHING not in self.memory.frozen:
            self._remember("frozen", {"wallet": EVERYTHING, "reason": "by the host", "maker": "host"})

    def _check_store(self) -> None:
        if self.journal.fault is not None:
            raise self.journal.fault
        self.memory.check_forked()
        self._check_pinned()

    def _check_pinned(self) -> None:
        if not self._pinned():
            raise Refused("SIGNER_REGISTRY_CHANGED", "the registry file is not the one pinned here")

    def _pinned(self) -> bool:
        return self.journal.registry == self.registry.digest.hex()

    def _succeed(self, order: Order | None) -> None:
        """Take up the next registry, if the officers of the one before announced it, long enough ago."""
        old = read(self._state / COPY)
        if old.digest.hex() != self.journal.registry:
            raise Refused("SIGNER_REGISTRY_CHANGED", "the kept copy of the old registry was changed")
        now_ms, digest = self._now_ms(), self.registry.digest.hex()
        if order is not None and digest not in self.memory.announced:
            sightings = check_successor(
                self.registry, old=old, order=order, token=self.token.name, now=self._now()
            )
            self.memory.check_order(order.signed.name)
            self.memory.check_reopened(order.expires, life=checks.order_life(old.limits))
            written = _written(order) | self.memory.check_counts(sightings)
            self._announce(order, written, registry=old)
        if self.memory.may_follow(self.registry, old=old, now_ms=now_ms):
            if digest in self.memory.recoveries:
                check_recovery(self.registry, old=old)
            self._remember("registry", self._registry_entry())

    def _keep_copy(self) -> None:
        path = self._state / COPY
        if not path.exists() or hashlib.sha256(path.read_bytes()).digest() != self.registry.digest:
            path.write_bytes(self.registry.encoded)

    def _freeze_file(self) -> bool:
        return (self._state / FREEZE_FILE).exists()

    def _refused(self, refusal: Refused) -> Message:
        detail = refusal.detail[:400]
        if self.journal.fault is None:
            self._remember("refused", {"code": refusal.code, "detail": detail})
        told: Message = {"code": refusal.code, "detail": detail}
        return {"v": 1, "type": "refused", "token": self.token.name, **told}

    def _remember(self, event: str, details: Mapping[str, canonical.Value]) -> None:
        try:
            self.memory.add(self.journal.append(event, details, at_ms=self._now_ms()))
        except Refused:  # the token could not be told; the line stands all the same, and is remembered
            self.memory = Memory.of(self.journal)
            raise

    def _registry_entry(self) -> Message:
        return {"version": str(self.registry.version), "digest": self.registry.digest.hex()}

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._now_ms() / 1000, UTC)

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)


def _written(order: Order) -> Message:
    return {
        "order": order.signed.name,
        "maker": order.maker,
        "reason": order.reason[:400],
    }
