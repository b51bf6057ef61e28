"""What signers, vault and approver page wrote, for tests, and the desk of an auditor who is handed it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from core.audit import verifier
from core.audit.programs import words
from kernel import canonical, cosignature, entry, merkle, note

SECRET = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
WITNESS = Ed25519PrivateKey.from_private_bytes(b"\x09" * 32)
BY = cosignature.Cosigner("witness.example/1", WITNESS.public_key().public_bytes_raw())
OWN, SIGNER, VAULT, PAGE = "countersign/test/audit", "test/signer/hot-1", "test/vault", "test/approver"
COLD = "test/signer/cold-1"
AT = 1_790_000_000  # seconds: what all of these did
TXID, OTHER, DIGEST, ANA = "aa" * 32, "bb" * 32, "cc" * 32, "0192-ana"

WHEN = words.moment((AT - 60 + 3) * 1000)

Bodies = list[bytes]


def journal(*said: tuple[str, dict[str, Any]]) -> Bodies:
    """As a signer writes it."""
    found: Bodies = []
    previous = entry.FIRST
    for number, (event, details) in enumerate(said):
        moment = (AT - 60 + number) * 1000
        body = entry.line(number, event, details, previous=previous, at_ms=moment, secret=b"secret")
        previous = entry.Entry.written(body).hash
        found.append(body)
    return found


SPENT = {"wallet": "hot", "txid": TXID, "units": "1200", "paid": {"bcrt1q": "1000"}, "coins": ["cd:0"]}
SIGNED = journal(
    ("genesis", {"token": "hot-1", "serial": "1", "version": "1", "digest": "ab"}),
    ("refused", {"code": "SIGNER_QUORUM", "detail": "one is missing", "user": "990"}),
    ("spend", {**SPENT, "intents": {"w1": ["bcrt1q", "1000"]}, "unattended": False}),
    ("signed", {"wallet": "hot", "txid": TXID, "again": False}),
    ("started", {"nonce": "00", "version": "1", "digest": "ab"}),
    ("frozen", {"wallet": "hot", "by": [ANA], "order": "o", "maker": ANA, "reason": "odd\n payments"}),
)

COLD_LINES = journal(
    ("genesis", {}), ("spend", {"txid": OTHER}), ("signed", {"wallet": "cold", "txid": OTHER, "again": False})
)


def opening(event: str, **other: object) -> bytes:
    said: dict[str, Any] = {"v": 1, "at_ms": str((AT - 60) * 1000), "caller": "990", "actor": "officer/ana"}
    said |= {"subject": "customers.customer/7", "purpose": "kyc.person.read", "event": event}
    return canonical.encode(said | {"places": ["kyc_profile.person|7"], "code": "", **other})


OPENED = [opening("e5", code="VAULT_QUOTA"), opening("e1"), opening("e1", places=["kyc_case_event.note|8"])]


def answer(verb: str = "approve") -> bytes:
    said: dict[str, Any] = {"v": 1, "at_ms": str((AT - 60) * 1000), "officer": ANA, "credential_id": "c"}
    said |= {"verb": verb, "kind": "custody.withdrawal", "request": "r1", "nonce": "00", "digest": DIGEST}
    return canonical.encode({**said, "assertion": "dd"})


def event(number: int, action: str, target: str, after: dict[str, Any], **actor: str) -> bytes:
    who = {"kind": "officer", "identity": "ana", "label": "Ana"} | actor
    members = {"id": f"e{number}", "action": action, "actor": who, "target": target, "after": after}
    return canonical.encode({**members, "at": "2026-09-22T00:00:00.000000Z", "reason": ""})


BUILT = event(0, "custody.payment.built", "custody.payment/p1", {"txid": TXID})
READ = event(1, "kyc.person.read", "kyc.profile/7", {"fields": ["name"], "person": "customers.customer/7"})
STORED = event(2, "custody.payment.signature_stored", "custody.payment/p1", {"token": "hot-1"})
SCREENING = b'"identity":null,"kind":"system","label":"screening"'
HEARD = event(
    3, "approvals.request.signed", "approvals.r/1", {"verb": "approve", "digest": DIGEST}, identity=ANA
)
EVENTS = [BUILT, READ, STORED, HEARD]


def key_of(log: str) -> note.Verifier:
    return note.Verifier(log, SECRET.public_key().public_bytes_raw())


def root(bodies: Bodies) -> bytes:
    return merkle.root(merkle.leaf(body) for body in bodies)


def head(log: str, bodies: Bodies, size: int, at: int = AT + 120) -> str:
    by = key_of(log)
    text = note.Checkpoint(log, size, root(bodies[:size])).text()
    line = cosignature.cosign(text, by=BY, signer=WITNESS.sign, at=at)
    return note.sign(text, by=by, signer=SECRET.sign) + f"{line}\n"


@dataclass
class Desk:
    """An auditor's: what was written and sealed, and beside it what the auditor is handed."""

    folder: Path
    events: Bodies = field(default_factory=lambda: [*EVENTS])
    sealed_at: int = AT + 120
    heads: dict[str, list[int]] = field(default_factory=lambda: {SIGNER: [2, 5, 6], VAULT: [1, 3], PAGE: [1]})
    wrote: dict[str, Bodies] = field(
        default_factory=lambda: {SIGNER: [*SIGNED], VAULT: [*OPENED], PAGE: [answer()]}
    )
    memory: str = ""
    carried: Bodies | None = None

    def judged(self, given: dict[str, Bodies] | None = None, *, without: str = "", cold: bool = True) -> int:
        """The verifier's exit code, over other lines than were written where they are `given`."""
        put = lambda name, text: (self.folder / name).write_text(text, encoding="utf-8") and name  # noqa: E731
        (self.folder / "events.jsonl").write_bytes(b"".join(body + b"\n" for body in self.events))
        put("checkpoints.txt", head(OWN, self.events, len(self.events), self.sealed_at))
        put("key.txt", f"{key_of(OWN)}\n")
        put("witness.key", f"{BY}\n")
        heads = [head(log, self.wrote[log], size) for log, sizes in self.heads.items() for size in sizes]
        put("logs.txt", "\n".join(heads))
        put("logs.keys", "".join(f"{key_of(log)} /a/socket\n" for log in self.heads))
        asked = ["events.jsonl", "--checkpoints", "checkpoints.txt", "--key", "key.txt"]
        asked += ["--witness-key", "witness.key", "--logs", "logs.txt", "--log-keys", "logs.keys"]
        if self.memory:
            asked += ["--witness", put("seen.txt", self.memory)]
        asked = [str(self.folder / word) if "." in word else word for word in asked]
        for log, bodies in (self.wrote | (given or {})).items():
            place = self.folder / f"{log.replace('/', '-')}.jsonl"
            place.write_bytes(b"".join(body + b"\n" for body in bodies))
            if log != without:
                asked += ["--lines", log, str(place)]
        if self.carried is not None:
            place = self.folder / "cold"
            place.mkdir(exist_ok=True)
            (place / "journal.jsonl").write_bytes(b"".join(body + b"\n" for body in self.carried))
            (place / "head.txt").write_text(head(COLD, COLD_LINES, len(COLD_LINES)), encoding="utf-8")
            if cold:
                put("cold.keys", f"{key_of(COLD)}\n")
            asked += ["--cold-keys", str(self.folder / "cold.keys"), "--lines", COLD, str(place)]
        return verifier.main([*asked, "--words", str(self.folder / "words.txt")])


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out
