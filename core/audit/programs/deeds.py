"""Whether the audit log says of the trusted programs' deeds what their own logs say.

Whoever owns the database can keep an act's event from ever being sealed, or add one of their own: no tree
shows either. But what a signer signed, the vault opened and officers signed on the page stands in logs that
the database's owner cannot write. Both are laid side by side here.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from core.audit.programs.lines import Kind, Line
from core.audit.programs.words import moment
from kernel import encodings

LATEST_MS: Final = 60_000
"""So long after a deed its event is sealed and cosigned, at the latest."""
_ACTION: Final = re.compile(rb'"action":"([^"\\]*)"')
_BUILT: Final = ("custody.payment.built", "custody.payment.raised")
_STORED: Final = "custody.payment.signature_stored"
_GIVEN: Final = ("approvals.request.signed", "approvals.request.asked")
_ORDER: Final = "custody.signer_order."
_SAFE: Final = "0x"
"""So begins what a signer calls a Safe's transaction, and no other: nobody hides another kind behind it."""


@dataclass(slots=True)
class Findings:
    """What does not fit (`faults`), and what only may not (`notes`)."""

    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    fit: int = 0

    def told(self) -> Iterator[str]:
        """A line for each, with nothing in it that does not show."""
        for mark, texts in (("NOTE", self.notes), ("FAIL", self.faults)):
            yield from (encodings.plain(f"{mark} {text}") for text in texts)


@dataclass(slots=True)
class Deeds:
    """First the programs' lines are taken in, then the events of the audit log. It remembers what either says
    of signatures and openings, and nothing else.
    """

    carried: set[str] = field(default_factory=set)
    """Tokens of signers whose logs were carried here: they may have signed more since."""
    _logs: set[str] = field(default_factory=set)
    _begins_ms: dict[str, int] = field(default_factory=dict)
    _ends_ms: dict[str, int] = field(default_factory=dict)
    _signed: dict[tuple[str, str], Line] = field(default_factory=dict)  # by token and transaction
    _decided: set[tuple[str, str]] = field(default_factory=set)
    _opened: list[Line] = field(default_factory=list)
    _given: dict[tuple[str, str], list[Line]] = field(default_factory=lambda: defaultdict(list))
    _purposes: set[str] = field(default_factory=set)
    _events: set[str] = field(default_factory=set)
    _built: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))  # payment: transactions
    _stored: list[tuple[str, str, Mapping[str, Any]]] = field(default_factory=list)  # token, payment
    _reads: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    _answers: list[Mapping[str, Any]] = field(default_factory=list)
    _digests: set[str] = field(default_factory=set)
    _newest: bytes = b""

    def take(self, line: Line) -> None:
        """A line of a program's log."""
        said: Mapping[str, Any] = line.said
        self._begins_ms.setdefault(line.log, line.at_ms)
        self._ends_ms[line.log] = line.at_ms
        if line.kind is Kind.VAULT:
            if said.get("code") == "":
                self._opened.append(line)
                self._purposes.add(str(said["purpose"]))
                self._events.add(str(said["event"]))
        elif line.kind is Kind.APPROVER:
            self._logs.add("approver")
            self._given[str(said["verb"]), str(said["digest"])].append(line)
        else:
            token = token_of(line.log)
            self._logs.add(token)
            if said["event"] in ("spend", "signed"):
                deed = token, str(said["details"].get("txid")).partition(" ")[0]  # a Safe's has its intent
                self._decided.add(deed)
                if said["event"] == "signed":
                    self._signed.setdefault(deed, line)

    def look(self, text: bytes) -> None:
        """A line of the audit log's export."""
        self._newest = text
        found = _ACTION.search(text)
        action = found[1].decode() if found else ""
        if action not in self._purposes and not action.startswith(("custody.", "approvals.")):
            return
        try:
            event = _shaped(json.loads(text))
            self._look(event["action"], event, event["after"])
        except (ValueError, KeyError, TypeError):
            return  # no event of the application's: it covers no deed, and shows none

    def _look(self, action: str, event: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        payment = event["target"]
        if action in _BUILT:
            self._built[payment].add(str(after["txid"]))
        elif action == _STORED:
            self._stored.append((str(after["token"]), payment, event))
        elif action in _GIVEN or action.startswith(_ORDER):
            self._digests.add(str(after["digest"]))
            if action in _GIVEN:
                self._answers.append(event)
        elif event["id"] in self._events:
            self._reads[event["id"]] = event

    def compare(self, *, is_whole: bool, sealed_ms: int | None) -> Findings:
        """What fits and what does not. `sealed_ms` is when witnesses saw the end of the export; what happened
        shortly before may have its event behind that. Where the export is a span, so may what lies in front.
        """
        found, end_ms = Findings(), (sealed_ms or self._newest_ms()) - LATEST_MS
        known = {txid for txids in self._built.values() for txid in txids}
        stored = {(token, txid) for token, payment, _ in self._stored for txid in self._built[payment]}
        for (token, txid), line in self._signed.items():
            what = f"{token} signed {txid} (line {line.number}, {moment(line.at_ms)})"
            if (token, txid) in stored:
                found.fit += 1
            elif txid in known:
                found.notes.append(f"{what}, and the audit log does not say that this signature arrived")
            elif txid.startswith(_SAFE):
                found.notes.append(f"{what} for a Safe, whose payments no event tells: ask for its approval")
            else:
                _miss(found, line, f"{what}, and the audit log knows no such payment", is_whole, end_ms)
        for token, payment, event in self._stored:
            self._check_stored(found, token, payment, event, is_whole=is_whole)
        for line in self._opened:
            self._check_opened(found, line, is_whole, end_ms)
        self._check_answers(found)
        return found

    def _check_stored(
        self, found: Findings, token: str, payment: str, event: Mapping[str, Any], *, is_whole: bool
    ) -> None:
        if token not in self._logs or any((token, txid) in self._decided for txid in self._built[payment]):
            return
        said = f"the audit log says that {token} signed {payment} (event {event['id']}, {event['at']})"
        ends_ms = max(at for log, at in self._ends_ms.items() if token_of(log) == token)
        if not self._built[payment] and not is_whole:
            found.notes.append(f"{said}, and which transaction that is stands in front of the export")
        elif _ms(event["at"]) < min(at for log, at in self._begins_ms.items() if token_of(log) == token):
            found.notes.append(f"{said}: before its log begins")
        elif token in self.carried and _ms(event["at"]) > ends_ms:
            found.notes.append(f"{said}, after its log was carried here: have a newer copy of it")
        else:
            found.faults.append(f"{said}, and its own log says nothing of it")

    def _check_opened(self, found: Findings, line: Line, is_whole: bool, end_ms: int) -> None:
        said: Mapping[str, Any] = line.said
        when = f"line {line.number}, {moment(line.at_ms)}"
        what = f"the vault opened {said['subject']} to {said['actor']} ({when})"
        read = self._reads.get(str(said["event"]))
        if read is None:
            _miss(found, line, f"{what}, and the audit log has no event {said['event']}", is_whole, end_ms)
            return
        actor = read["actor"]
        reader = f"{actor.get('kind')}/{actor.get('identity') or actor.get('label')}"
        person = read["after"].get("person")
        if (reader, read["action"], person) == (said["actor"], said["purpose"], said["subject"]):
            found.fit += 1
        else:
            told = f"{reader} read of {person} ({read['action']})"
            found.faults.append(f"{what} for {said['purpose']}, and event {read['id']} says that {told}")

    def _check_answers(self, found: Findings) -> None:
        if "approver" not in self._logs:
            return
        for event in self._answers:
            after, who = event["after"], event["actor"].get("identity")
            lines = self._given.get((str(after.get("verb", "ask")), str(after["digest"])), [])
            if any(line.said["officer"] in ("", who) for line in lines):
                found.fit += 1
            else:
                said = f"the audit log says that {who} signed {after.get('verb', 'ask')} of {event['target']}"
                found.notes.append(
                    f"{said} (event {event['id']}), and the approver page's log knows nothing of it"
                )
        for (verb, digest), lines in self._given.items():
            if digest not in self._digests:
                line, unheard = lines[0], "and the audit log does not say that it was heard"
                when = f"on the approver page (line {line.number}, {moment(line.at_ms)})"
                what = f"{line.said['officer'] or 'somebody'} signed {verb} of {line.said['kind']} {digest}"
                found.notes.append(f"{what} {when}, {unheard}")

    def _newest_ms(self) -> int:
        try:
            return _ms(json.loads(self._newest)["at"])
        except (ValueError, KeyError, TypeError):
            return 0


def token_of(log: str) -> str:
    """The token whose signer writes that log; nothing for another program's."""
    return log.partition("/signer/")[2].partition("/")[0]


def _miss(found: Findings, line: Line, what: str, is_whole: bool, end_ms: int) -> None:
    """A deed without its event: a fault, unless the event may lie outside of the export."""
    if line.at_ms > end_ms:
        found.notes.append(f"{what} yet: the export ends too early to hold it. Verify a newer one")
    elif not is_whole:
        found.notes.append(f"{what}: it may stand in front of the export")
    else:
        found.faults.append(f"{what}: it was hidden, or never written")


def _shaped(event: Any) -> Mapping[str, Any]:
    """What is compared later, or an error now: nobody keeps the rest from it by an event of another shape."""
    texts = {name: str(event[name]) for name in ("id", "action", "target", "at")}
    _ms(texts["at"])
    return texts | {name: dict(event[name] or {}) for name in ("actor", "after")}


def _ms(at: Any) -> int:
    return int(datetime.fromisoformat(at).timestamp() * 1000)
