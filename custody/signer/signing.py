"""From a message to an answer: check, remember, sign, in this order. The socket and the air gap share it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from custody.signer import checks, requests
from custody.signer.counters import EVERYTHING, Memory
from custody.signer.journal import Journal
from custody.signer.refusals import Refused
from custody.signer.registry import COPY, check_genesis, check_successor, read
from custody.signer.requests import Order
from custody.signer.tokens import Token
from kernel import canonical
from kernel.registry import Registry

Message = dict[str, canonical.Value]

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

    def close(self) -> None:
        """Let go of the journal and the token."""
        self.journal.close()
        self.token.close()

    def answer(self, message: Mapping[str, canonical.Value]) -> Message:
        """The answer to one message; every one but a health question is written down before it is given."""
        kind = message.get("type")
        if message.get("v") != 1 or kind not in ("sign", "order", "health"):
            return self._refused(Refused("SIGNER_BAD_REQUEST", "no such version or type"))
        try:
            if kind == "health":
                return self.health()
            return self._sign(message) if kind == "sign" else self._obey(message)
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
                name: str(self.memory.used(name, limits=limits, now_ms=now_ms))
                for name, wallet in self.registry.wallets.items()
                if self.token.name in wallet.tokens
            },
        }

    def _sign(self, message: Mapping[str, canonical.Value]) -> Message:
        spend = requests.spend(message)
        now_ms = self._now_ms()
        self._check_open(now_ms)
        self.memory.check_frozen(spend.wallet)
        plan = checks.judge(
            spend,
            token=self.token.name,
            registry=self.registry,
            now=datetime.fromtimestamp(now_ms / 1000, UTC),
        )
        for intent, _ in spend.intents:
            self.memory.check_reopened(intent.expires, limits=self.registry.limits)
        entry = self.memory.check(plan, limits=self.registry.limits, now_ms=now_ms)
        if entry is not None:
            # Remembered before the token is asked: a crash in between costs some of the window, no coin.
            self._remember("spend", entry)
        signatures: list[canonical.Value] = []
        for place, (index, digest) in enumerate(zip(plan.key_indexes, spend.psbt.digests(), strict=True)):
            key = plan.wallet.key_of(self.token.name, index)
            signature = self.token.sign(index, digest, public_key=key) + b"\x01"
            signatures.append({"input": place, "public_key": key.hex(), "signature": signature.hex()})
        self._remember("signed", {"txid": plan.txid, "wallet": plan.wallet.name, "again": entry is None})
        return {
            "v": 1,
            "type": "signed",
            "token": self.token.name,
            "txid": plan.txid,
            "signatures": signatures,
        }

    def _obey(self, message: Mapping[str, canonical.Value]) -> Message:
        order = requests.order(message)
        self._check_pinned()
        self.memory.check_order(order.signed.name)
        checks.judge_order(order, token=self.token.name, registry=self.registry, now=self._now())
        if order.kind == requests.REOPEN:
            if order.subject != self.journal.standing:
                raise Refused("SIGNER_BAD_ORDER", "the order reopens another journal than the one found")
            self.journal.reopen({**_written(order), **self._registry_entry()}, at_ms=self._now_ms())
            self.memory = Memory.of(self.journal)
        else:
            self._check_store()
            if order.kind != requests.FREEZE:
                self.memory.check_clock(self.journal, now_ms=self._now_ms())
                self.memory.check_reopened(order.expires, limits=self.registry.limits)
            if order.kind in (requests.FREEZE, requests.RELEASE):
                self._freeze_or_release(order)
            elif order.kind == requests.VETO:
                self._remember("vetoed", {"digest": order.subject, **_written(order)})
            else:
                self._announce(order)
        return {"v": 1, "type": "obeyed", "token": self.token.name, "kind": order.kind}

    def _freeze_or_release(self, order: Order) -> None:
        if order.subject != EVERYTHING and order.subject not in self.registry.wallets:
            raise Refused("SIGNER_UNKNOWN_WALLET", f"no wallet {order.subject[:40]!r}")
        if order.kind == requests.RELEASE and self._freeze_file():
            raise Refused("SIGNER_FROZEN", f"first remove the file {FREEZE_FILE} on the host")
        event = "frozen" if order.kind == requests.FREEZE else "released"
        self._remember(event, {"wallet": order.subject, **_written(order)})

    def _announce(self, order: Order) -> None:
        members = {"version": str(order.version), "digest": order.subject}
        self._remember("announced", {**members, **_written(order)})

    def _check_open(self, now_ms: int) -> None:
        self._check_store()
        self.memory.check_clock(self.journal, now_ms=now_ms)
        if self._freeze_file() and EVERYTHING not in self.memory.frozen:
            self._remember("frozen", {"wallet": EVERYTHING, "reason": "by the host", "maker": "host"})

    def _check_store(self) -> None:
        if self.journal.fault is not None:
            raise self.journal.fault
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
            check_successor(self.registry, old=old, order=order, token=self.token.name, now=self._now())
            self.memory.check_order(order.signed.name)
            self.memory.check_reopened(order.expires, limits=old.limits)
            self._announce(order)
        if self.memory.may_follow(self.registry, old=old, now_ms=now_ms):
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
        return {
            "v": 1,
            "type": "refused",
            "token": self.token.name,
            "code": refusal.code,
            "detail": detail,
        }

    def _remember(self, event: str, details: Mapping[str, canonical.Value]) -> None:
        self.memory.add(self.journal.append(event, details, at_ms=self._now_ms()))

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
