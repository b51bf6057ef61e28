"""The logs of signers, vault and approver page, held against the audit log, …"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from core.audit.programs import lines
from core.audit.programs.deeds import Deeds, Findings
from kernel import canonical, entry
from tests.programs import (
    ANA,
    AT,
    BUILT,
    DIGEST,
    EVENTS,
    HEARD,
    OPENED,
    OTHER,
    PAGE,
    READ,
    SCREENING,
    SIGNED,
    SIGNER,
    STORED,
    TXID,
    VAULT,
    WHEN,
    Bodies,
    Desk,
    answer,
    event,
    journal,
    opening,
    said,
)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


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
        for each in events:
            deeds.look(each + b"\n")
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
