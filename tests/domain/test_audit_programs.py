"""The logs of signers, vault and approver page, before an outsider, …"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from core.audit import verifier
from core.audit.programs import lines, words
from core.audit.programs.deeds import Deeds, Findings
from kernel import canonical, cosignature, encodings, entry, merkle, note

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


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def test_hold_and_are_told_in_plain_words(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert desk.judged() == 0
    found = said(capsys)
    assert "; 6 lines read (1 frozen, 1 genesis, 1 refused, 1 signed, 1 spend, 1 started)\n" in found
    assert "; 3 lines read (2 opened, 1 refused)\n" in found
    assert found.endswith("4 deeds of those programs stand in the audit log as in their own\n")
    assert "NOTE" not in found
    told = (desk.folder / "words.txt").read_text(encoding="utf-8").splitlines()
    assert [line.split(" ", 3)[3] for line in told if line.startswith(SIGNER)][1:4] == [
        "refused user 990: SIGNER_QUORUM: one is missing",
        f"decides to sign {TXID}, as officers approved: 1000 to bcrt1q for w1; 1200 leave hot, with the fee",
        f"signed {TXID} out of hot",
    ]
    assert any(
        line.endswith("for officer/ana through user 990: kyc.person.read, event e1")
        and "opened 1 texts of customers.customer/7 (kyc_profile.person|7)" in line
        for line in told
    )
    assert any(
        line.endswith(f"officer {ANA} signed approve of custody.withdrawal {DIGEST}, request r1")
        for line in told
    )
    assert len(told) == 10, "whatever somebody gave as a reason, a line is one line"


def forged(bodies: Bodies) -> Bodies:
    return [*bodies[:1], bodies[1].replace(b"990", b"991"), *bodies[2:]]


WRONG: dict[str, tuple[str, Callable[[Bodies], Bodies], str]] = {
    "forged": (SIGNER, forged, "line 1 of test/signer/hot-1 is not the one behind which line 2 was written"),
    "cut": (SIGNER, lambda x: x[:4], "line 4 of test/signer/hot-1 is missing: its key signed 5 lines"),
    "removed": (SIGNER, lambda x: [*x[:3], *x[4:]], "line 3 of test/signer/hot-1 is missing: line 4 stands"),
    "moved": (SIGNER, lambda x: [*x[:3], x[4], x[3], x[5]], "line 3 of test/signer/hot-1 is missing: line 4"),
    "substituted": (
        SIGNER,
        lambda x: [
            *x[:2],
            *journal(("started", {}), ("started", {}), *[("signed", {"txid": OTHER})] * 4)[2:],
        ],
        "line 1 of test/signer/hot-1 is not the one behind which line 2 was written",
    ),
    "written anew": (
        SIGNER,
        lambda x: journal(*[("started", {"nonce": "1"})] * len(x)),
        "one of the lines 0 to 1 of test/signer/hot-1 was changed, removed, added or moved: its key signed",
    ),
    "another program's": (
        SIGNER,
        lambda x: [*x[:3], OPENED[0], *x[4:]],
        "line 3 .* is none that its program",
    ),
    "not canonical": (
        VAULT,
        lambda x: [b" " + x[0], *x[1:]],
        "line 0 of test/vault is none: it is not canonic",
    ),
    "another reader": (
        VAULT,
        lambda x: [*x[:1], x[1].replace(b"officer/ana", b"officer/eve"), *x[2:]],
        "one of the lines 1 to 2 of test/vault was changed, removed, added or moved: its key signed another",
    ),
    "the only one under a head": (
        PAGE,
        lambda x: [answer("reject")],
        "line 0 of test/approver is not the one",
    ),
}


@pytest.mark.parametrize(("log", "change", "why"), WRONG.values(), ids=WRONG.keys())
def test_have_the_first_bad_line_named(
    log: str, change: Callable[[Bodies], Bodies], why: str, desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    assert desk.judged({log: change(desk.wrote[log])}) == 1
    assert re.match(f"FAIL {why}", said(capsys))


def test_may_go_on_behind_their_heads_as_far_as_a_witness_remembers_and_no_other_way(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    """Heads are carried on a moment after a witness saw them: lines that lead to both are the proof."""
    desk.heads[SIGNER] = [2]
    for seen, given, why in (
        (SIGNED, None, ""),
        (SIGNED, SIGNED[:5], "line 5 of test/signer/hot-1 is missing: .* saw 6 lines"),
        (journal(*[("started", {})] * 6), None, "one of the lines 2 to 5 .*: .* saw another root at 6"),
    ):
        desk.memory = f"6 {encodings.base64_standard(root(seen))} {SIGNER}\n"
        assert desk.judged(given and {SIGNER: given}) == (1 if why else 0)
        assert re.match(f"FAIL {why}" if why else "OK 4 events", said(capsys))
    assert desk.judged(without=SIGNER) == 1
    assert "the head of test/signer/hot-1 is old: 2 lines" in said(capsys)


HIDDEN: dict[str, tuple[Bodies, str]] = {
    "a payment": (
        [READ, HEARD],
        f"FAIL hot-1 signed {TXID} (line 3, {WHEN}), and the audit log knows no such payment",
    ),
    "a read": ([BUILT, STORED, HEARD], "FAIL the vault opened customers.customer/7 to officer/ana (line 1,"),
    "whom": (
        [BUILT, STORED, HEARD, READ.replace(b"customer/7", b"customer/8")],
        "and event e1 says that officer/ana read of customers.customer/8",
    ),
    "who": (
        [BUILT, STORED, HEARD, READ.replace(b'"ana"', b'"eve"')],
        "and event e1 says that officer/eve read",
    ),
    "that it never signed": (
        [*EVENTS, BUILT.replace(b"/p1", b"/p2").replace(b"aa", b"bb"), STORED.replace(b"/p1", b"/p2")],
        "FAIL the audit log says that hot-1 signed custody.payment/p2",
    ),
}


@pytest.mark.parametrize(("events", "why"), HIDDEN.values(), ids=HIDDEN.keys())
def test_know_a_deed_that_the_databases_owner_hid_or_made_up(
    events: Bodies, why: str, desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    """The export holds by itself: every event in it was sealed, signed and cosigned."""
    desk.events = events
    assert desk.judged() == 1
    found = said(capsys)
    assert found.startswith("OK ")
    assert why in found


def test_say_of_a_deed_of_a_moment_ago_that_its_event_may_be_to_come(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.events, desk.sealed_at = [READ, HEARD], AT
    assert desk.judged() == 0
    assert f"NOTE hot-1 signed {TXID} (line 3, {WHEN}), and the audit log knows" in said(capsys)
    desk.events = [BUILT, READ]
    assert desk.judged() == 0, "an answer may be lost"
    found = said(capsys)
    assert "and the audit log does not say that this signature arrived" in found
    assert f"NOTE {ANA} signed approve of custody.withdrawal {DIGEST} on the approver page" in found


def test_of_a_signer_without_a_network_are_read_as_they_were_carried_back(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    """No witness sees them: the head that the signer left beside them is by its own key."""
    refill = [BUILT.replace(TXID.encode(), OTHER.encode()), STORED.replace(b"hot-1", b"cold-1")]
    refill = [event.replace(b"/p1", b"/p3") for event in refill]
    desk.carried, desk.events = COLD_LINES, [*EVENTS, *refill]
    assert desk.judged() == 0
    found = said(capsys)
    assert "; carried here, and seen by no witness; 3 lines read (1 genesis, 1 signed, 1 spend)\n" in found
    assert found.endswith("5 deeds of those programs stand in the audit log as in their own\n")

    later = [event.replace(b"/p3", b"/p4").replace(OTHER.encode(), b"dd" * 32) for event in refill]
    desk.events += later
    assert desk.judged() == 0, "what was signed since need not be in it yet"
    assert "cold-1 signed custody.payment/p4 (event e2, " in (found := said(capsys))
    assert "after its log was carried here: have a newer copy of it" in found
    before = [event.replace(b'"at":"2026-09-22', b'"at":"2026-09-20') for event in later]
    during = [event.replace(b'"at":"2026-09-22T00:00:00', f'"at":"{WHEN[:-3]}21'.encode()) for event in later]
    for events, code in ((before, 0), (during, 1)):
        desk.events = [*EVENTS, *refill, *events]
        assert desk.judged() == code
    assert "FAIL the audit log says that cold-1 signed custody.payment/p4" in said(capsys)

    desk.events = EVENTS
    assert desk.judged() == 1, "what it signed and no event tells was hidden, as of every signer"
    assert f"FAIL cold-1 signed {OTHER} (line 2, " in said(capsys)
    desk.carried = COLD_LINES[:2]
    assert desk.judged() == 1
    assert said(capsys).startswith("FAIL line 2 of test/signer/cold-1 is missing: its key signed 3 lines")
    (desk.folder / "cold.keys").write_text(f"{key_of(COLD)}\n{key_of('test/signer/cold-2')}\n")
    assert desk.judged(cold=False) == 2, "a key whose log is not there is not passed over"
    assert "--lines has no folder of test/signer/cold-2" in capsys.readouterr().err
    desk.carried, desk.memory = COLD_LINES, f"4 {encodings.base64_standard(root(COLD_LINES))} {COLD}\n"
    assert desk.judged() == 1, "an earlier copy had more"


ODD: dict[str, dict[str, Any]] = {
    "no time": {"at": "yesterday"},
    "no name": {"id": None},
    "no actor": {"actor": "ana"},
    "nothing after": {"after": "all"},
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
def test_are_compared_whatever_shape_somebody_gave_an_event(
    odd: dict[str, Any], desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever owns the database can have anything sealed: it must not keep the rest from being compared."""
    for made in (READ, STORED.replace(b"hot-1", b"hot-9"), HEARD):
        members = {name: value for name, value in (json.loads(made) | odd).items() if value is not None}
        desk.events.append(canonical.encode(members))
    assert desk.judged() == 0
    assert said(capsys).endswith("4 deeds of those programs stand in the audit log as in their own\n")


def test_tell_a_safes_signature_which_the_application_does_not_ask_for(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    """A signer names it by its hash and the intent behind it; an event would name the hash."""
    safe = f"0x{TXID}"
    lines = (("spend", {"txid": f"{safe} w1"}), ("signed", {"txid": f"{safe} w1"}))
    desk.wrote[SIGNER], desk.heads[SIGNER] = journal(*lines), [2]
    desk.events = [READ, HEARD]
    assert desk.judged() == 0
    assert f"NOTE hot-1 signed {safe} (line 1, " in said(capsys)
    desk.events = [BUILT.replace(TXID.encode(), safe.encode()), READ, STORED, HEARD]
    assert desk.judged() == 0
    assert "NOTE" not in (found := said(capsys))
    assert found.endswith("4 deeds of those programs stand in the audit log as in their own\n")


def test_of_an_order_to_the_signers_are_heard_under_its_own_events() -> None:
    """An officer's order to stop is no request: what was signed of it stands in the order's events."""
    deeds = Deeds()
    lines.Reading(PAGE).read(iter([answer()]), [], deeds.take)
    assert len(deeds.compare(is_whole=True, sealed_ms=AT * 1000).notes) == 1
    deeds.look(
        event(7, "custody.signer_order.drafted", "custody.signer_order/o1", {"digest": DIGEST}) + b"\n"
    )
    assert deeds.compare(is_whole=True, sealed_ms=AT * 1000) == Findings()


def test_answer_for_their_own_signers_and_for_any_version_of_a_payment() -> None:
    """A raised fee makes another transaction of it, which not each signer signed; nor is each log given."""
    deeds = Deeds()
    lines.Reading(SIGNER).read(iter(SIGNED), [], deeds.take)
    raised = BUILT.replace(b"payment.built", b"payment.raised").replace(TXID.encode(), OTHER.encode())
    for each in (BUILT, raised, STORED, STORED.replace(b"hot-1", b"hot-9"), HEARD):
        deeds.look(each + b"\n")
    assert deeds.compare(is_whole=True, sealed_ms=(AT + 120) * 1000) == Findings(fit=1)


def test_of_a_reopened_signer_begin_with_its_first_log() -> None:
    """A signature that the audit log made up is not excused by the log that began later."""
    deeds, name = Deeds(), f"{SIGNER}/ab12"
    later = entry.line(0, "started", {}, previous=entry.FIRST, at_ms=2_000_000_000_000, secret=b"secret")
    lines.Reading(name).read(iter([later]), [], deeds.take)
    lines.Reading(SIGNER).read(iter(SIGNED), [], deeds.take)
    for each in (BUILT, STORED, STORED.replace(b"/p1", b"/p2"), BUILT.replace(b"/p1", b"/p2")):
        deeds.look(each.replace(TXID.encode(), OTHER.encode()) + b"\n")
    found = deeds.compare(is_whole=True, sealed_ms=AT * 1000)
    assert len([fault for fault in found.faults if "and its own log says nothing of it" in fault]) == 2


def test_know_a_reader_that_is_no_person_by_its_label() -> None:
    deeds = Deeds()
    lines.Reading(VAULT).read(iter([opening("e1", actor="system/screening")]), [], deeds.take)
    deeds.look(READ.replace(b'"identity":"ana","kind":"officer","label":"Ana"', SCREENING) + b"\n")
    assert deeds.compare(is_whole=True, sealed_ms=AT * 1000) == Findings(fit=1)


def test_may_be_to_come_where_no_witness_says_when_the_export_ends() -> None:
    """Then its newest event does: a deed of a minute before it, or since, may have its event behind."""
    signed_ms = (AT - 60 + 3) * 1000
    for behind_ms, faults in ((60_000, 1), (59_999, 0), (-1, 0)):
        deeds = Deeds()
        lines.Reading(SIGNER).read(iter(SIGNED), [], deeds.take)
        moment = datetime.fromtimestamp((signed_ms + behind_ms) / 1000, UTC).isoformat()
        deeds.look(b'{"action":"test.old","at":"2020-01-01T00:00:00+00:00"}\n')
        deeds.look(b'{"action":"test.done","at":"' + moment.encode() + b'"}\n')
        found = deeds.compare(is_whole=True, sealed_ms=None)
        assert (len(found.faults), len(found.notes)) == (faults, 1 - faults)


def test_blame_no_span_of_the_log_for_what_may_lie_in_front_of_it() -> None:
    """An export of a time holds no event of before: there a deed without one is no fault."""

    def found(*events: bytes, is_whole: bool) -> Findings:
        deeds = Deeds()
        lines.Reading(SIGNER).read(iter(SIGNED), [], deeds.take)
        lines.Reading(VAULT).read(iter(OPENED), [], deeds.take)
        for event in events:
            deeds.look(event + b"\n")
        return deeds.compare(is_whole=is_whole, sealed_ms=(AT + 120) * 1000)

    span, whole = found(READ, is_whole=False), found(READ, is_whole=True)
    assert (span.fit, span.faults, len(span.notes)) == (whole.fit, [], 1) == (2, [], 1)
    assert span.notes[0].endswith(
        "and the audit log knows no such payment: it may stand in front of the export"
    )
    assert (whole.notes, len(whole.faults)) == ([], 1)
    other = STORED.replace(b"/p1", b"/p2")
    span, whole = (found(READ, BUILT, STORED, other, is_whole=each) for each in (False, True))
    assert (span.fit, span.faults, len(span.notes)) == (3, [], 1)
    assert "and which transaction that is stands in front of the export" in span.notes[0]
    assert (whole.notes, len(whole.faults)) == ([], 1)


@pytest.mark.parametrize(
    ("events", "who"),
    [
        ([*EVENTS, HEARD.replace(DIGEST.encode(), b"ee" * 32)], ANA),
        ([BUILT, STORED, READ, HEARD.replace(ANA.encode(), b"0192-eve")], "0192-eve"),
    ],
    ids=["something else", "somebody else"],
)
def test_say_which_approvals_the_page_knows_nothing_of(
    events: Bodies, who: str, desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    """A passkey can sign without our page; signers check it all the same, so it need not be made up."""
    desk.events = events
    assert desk.judged() == 0
    assert f"NOTE the audit log says that {who} signed approve of approvals.r/1" in said(capsys)


def test_are_read_from_a_folder_of_files_that_follow_each_other(tmp_path: Path) -> None:
    """A signer begins a new file now and then; what was left of an attempt is no second one."""
    for first, end, name in ((0, 2, "2"), (2, 5, "5"), (5, 6, "")):
        before = entry.Entry.written(SIGNED[end - 1]).hash[:16]
        path = tmp_path / (f"journal-{name}-{before}.jsonl" if name else "journal.jsonl")
        path.write_bytes(b"".join(body + b"\n" for body in SIGNED[first:end]))
    (tmp_path / f"journal-3-{'0' * 16}.jsonl").write_bytes(SIGNED[5] + b"\n")
    with (tmp_path / "journal.jsonl").open("ab") as file:
        file.write(b'{"at":1,"det')
    assert list(lines.bodies(tmp_path)) == SIGNED


def test_are_read_of_no_other_program() -> None:
    for log in (OWN, "test/vaults", "test/vault/2", "signer/hot-1"):
        with pytest.raises(ValueError, match="is no signer's, approver's or vault's log"):
            lines.Reading(log)


def test_are_told_for_everything_that_a_signer_writes_down() -> None:
    source = "".join(path.read_text() for path in Path("custody/signer").glob("*.py"))
    written = set(
        re.findall(r'(?:remember|append|return) ?\(?"([a-z_]+)", (?:\{|self|entry|details)', source)
    )
    assert written >= {"started", "signed", "beneficiary_removed", "refused"}
    assert (written | entry.WEIGHTY | entry.LATER) <= words._SIGNER.keys()
