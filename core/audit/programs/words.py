"""What a line of a trusted program's log says, in plain words and one line, whoever wrote what is in it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from core.audit.programs.lines import Kind, Line
from kernel import encodings

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TEXT_MAX: Final = 1_000

Said = Mapping[str, Any]


def say(line: Line) -> str:
    """Log, number, moment, and what happened."""
    tell = {Kind.SIGNER: _signer, Kind.APPROVER: _approver, Kind.VAULT: _vault}[line.kind]
    try:
        said = tell(line.said)
    except (KeyError, TypeError, ValueError, AttributeError):  # of another shape than we know: whole, then
        said = json.dumps(line.said, ensure_ascii=False)
    said = said if len(said) <= _TEXT_MAX else f"{said[:_TEXT_MAX]}..."
    return encodings.plain(f"{line.log} {line.number} {moment(line.at_ms)} {said}")


def moment(at_ms: int) -> str:
    """The time for people; the number where no calendar shows it."""
    try:
        return f"{_EPOCH + timedelta(milliseconds=at_ms):%Y-%m-%dT%H:%M:%SZ}"
    except OverflowError:
        return f"{at_ms} ms"


def topic(line: Line) -> str:
    """What sort of line it is, to count them by."""
    if line.kind is Kind.SIGNER:
        return str(line.said["event"])
    if line.kind is Kind.APPROVER:
        return str(line.said["verb"])
    return "counted" if "counted" in line.said else "refused" if line.said["code"] else "opened"


def _signer(said: Said) -> str:
    tell = _SIGNER.get(said["event"])
    return tell(said["details"]) if tell else f"{said['event']}: {_raw(said['details'])}"


def _spend(one: Said) -> str:
    paid = ", ".join(f"{units} to {to} for {intent}" for intent, (to, units) in one["intents"].items())
    how = "unattended, as customers signed" if one["unattended"] else "as officers approved"
    leaves = f"{one['units']} leave {one['wallet']}, with the fee"
    return f"decides to sign {one['txid']}, {how}: {paid}; {leaves}"


def _signed(one: Said) -> str:
    return f"signed {one['txid']} out of {one['wallet']}{' again' if one['again'] else ''}"


def _ordered(one: Said) -> str:
    return f", as {one['maker']} asked: {one['reason']}"


def _registry(one: Said) -> str:
    return f"registry version {one['version']} ({one['digest']})"


def _counted(counts: Said) -> str:
    each = (
        f"{times} times {code} to user {user}"
        for user, codes in counts.items()
        for code, times in codes.items()
    )
    return f"refused more than it wrote down: {', '.join(each)}"


def _raw(details: Said) -> str:
    return json.dumps(details, ensure_ascii=False)


_SIGNER: Final[Mapping[str, Callable[[Said], str]]] = {
    "genesis": lambda one: f"begins on token {one['token']} ({one['serial']}) with {_registry(one)}",
    "started": lambda one: f"started with {_registry(one)}",
    "registry": lambda one: f"goes on with {_registry(one)}",
    "announced": lambda one: (
        f"hears of {_registry(one)}, good in {one['delay_s']} s{', by recovery' if one['recovery'] else ''}"
        + _ordered(one)
    ),
    "vetoed": lambda one: f"takes no registry {one['digest']}{_ordered(one)}",
    "spend": _spend,
    "signed": _signed,
    "frozen": lambda one: f"is frozen for {one['wallet']}{_ordered(one)}",
    "released": lambda one: f"is released for {one['wallet']}{_ordered(one)}",
    "reopened": lambda one: (
        f"is reopened, {'lines were lost and a new log begins' if one['new_log'] else 'nothing was lost'}"
        + _ordered(one)
    ),
    "customer_key": lambda one: (
        f"learns the key of customer {one['customer']}: {one['public_key']}"
        + (f" in the place of {one['replaces']}" if one["replaces"] else "")
    ),
    "beneficiary": lambda one: f"learns the destination {one['destination']} of customer {one['customer']}",
    "beneficiary_removed": lambda one: (
        f"forgets the destination {one['destination']} of customer {one['customer']}"
    ),
    "unbalanced": lambda one: (
        f"hears from {one['by']} that {one['wallet']} holds {one['on_chain']}"
        f" and the books say {one['in_books']}"
    ),
    "balanced": lambda one: f"hears from {one['by']} that books and chain of {one['wallet']} agree again",
    "final": lambda one: (
        f"hears from {one['by']} what is final of {one['wallet']}: {', '.join(one['spent'].values())}"
    ),
    "cosigned": lambda one: f"was shown that witnesses saw its first {one['size']} lines",
    "forked": lambda one: f"was shown another log of {one['size']} lines than its own, and stops",
    "checkpoint": lambda one: f"begins a new file, with what is kept as {one['state']}",
    "refused": lambda one: f"refused user {one['user']}: {one['code']}: {one['detail']}",
    "refusals": lambda one: _counted(one["counts"]),
}


def _approver(said: Said) -> str:
    who = f"officer {said['officer']}" if said["officer"] else f"an unknown passkey ({said['credential_id']})"
    about = f", about officer {said['about']}" if "about" in said else ""
    return f"{who} signed {said['verb']} of {said['kind']} {said['digest']}, request {said['request']}{about}"


def _vault(said: Said) -> str:
    if "counted" in said:
        return _counted(said["counted"])
    what = f"{len(said['places'])} texts of {said['subject']} ({', '.join(said['places'])})"
    why = f"for {said['actor']} through user {said['caller']}: {said['purpose']}, event {said['event']}"
    return f"refused {what} {why}: {said['code']}" if said["code"] else f"opened {what} {why}"
