"""The logs of signers, vault and approver page, before an outsider, …"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from core.audit.heads import Wrong
from core.audit.programs import lines, words
from core.audit.programs.account import Account
from kernel import encodings, entry, note
from tests.programs import (
    ANA,
    BUILT,
    COLD,
    COLD_LINES,
    DIGEST,
    EVENTS,
    OPENED,
    OTHER,
    OWN,
    PAGE,
    SECRET,
    SIGNED,
    SIGNER,
    STORED,
    TXID,
    VAULT,
    WHEN,
    Bodies,
    Desk,
    answer,
    head,
    journal,
    key_of,
    root,
    said,
)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


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


@pytest.mark.parametrize("wrong", ["another key", "another log"])
def test_are_read_against_no_head_that_is_not_their_keys(wrong: str, tmp_path: Path) -> None:
    """Also where nobody looked at the heads before: a bad one is not passed over as if it were not there."""
    place = tmp_path / "journal.jsonl"
    place.write_bytes(b"".join(body + b"\n" for body in SIGNED))
    good = head(SIGNER, SIGNED, 5)
    text = note.Checkpoint(SIGNER, 6, root(SIGNED)).text()
    signer = Ed25519PrivateKey.generate() if wrong == "another key" else SECRET
    bad = note.sign(
        text, by=note.Verifier(SIGNER, signer.public_key().public_bytes_raw()), signer=signer.sign
    )
    if wrong == "another log":
        bad = bad.replace(f"\n\N{EM DASH} {SIGNER} ", f"\n\N{EM DASH} {VAULT} ")
    with pytest.raises(Wrong, match=f"a head of {SIGNER}: not signed by {SIGNER}"):
        Account().read(key_of(SIGNER), place, heads=f"{good}\n{bad}", witnesses=[])
    assert [found.size for found in Account().read(key_of(SIGNER), place, heads=good, witnesses=[])] == [5]
