"""What the edge says of a person's device and groups (get-identity), and what that proves at a moment.

The answer's shape is the one that Cloudflare publishes with its client types: `devicePosture` maps the id of
a posture rule to `{id, rule_name, type, success, timestamp, ...}`. Which rules mean what is configuration.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from core.access.domain.tokens import User

ENTRIES_MAX: Final = 500
"""More rules or groups than anybody has: what comes after them is not looked at."""
AHEAD_MAX: Final = timedelta(minutes=5)
"""How far a device's clock may be before ours."""


class Check(StrEnum):
    """What an act can demand of the device from which it is asked for."""

    MANAGED = "managed"
    DISK_ENCRYPTION = "disk_encryption"


class Verdict(StrEnum):
    """What is known of one check. Only `passed` opens anything."""

    PASSED = "passed"
    FAILED = "failed"
    STALE = "stale"
    UNKNOWN = "unknown"


class BadAnswer(ValueError):
    """The answer is none."""


class AnotherPerson(BadAnswer):
    """The answer is not about the bearer of the token."""


@dataclass(frozen=True, slots=True)
class Finding:
    """How one posture rule came out, and when; `at` is None where the edge gave no legible time."""

    passed: bool
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Posture:
    """One answer about one person. `device` is empty where no enrolled device is behind the request."""

    device: str
    groups: frozenset[str]
    findings: Mapping[str, Finding]


@dataclass(frozen=True, slots=True)
class Meaning:
    """What this deployment reads out of an answer.

    `rules` names the posture rules of each check: one that has passed is enough, since a rule is made for one
    operating system. Where `groups` is not empty, whoever is in none of them lacks what any act demands.
    """

    rules: Mapping[Check, frozenset[str]]
    groups: frozenset[str]
    lasts: timedelta


def read(body: bytes, *, who: User) -> Posture:
    """The answer, if it is about the bearer of the token that was shown; else BadAnswer."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        raise BadAnswer("not JSON") from None
    if not isinstance(said, dict):
        raise BadAnswer("not an object")
    email = said.get("email")
    if said.get("user_uuid") != who.subject or not isinstance(email, str) or email.lower() != who.email:
        raise AnotherPerson("about somebody else")
    if said.get("common_name") or said.get("service_token_id"):
        raise AnotherPerson("about a program")
    found = said.get("devicePosture")
    entries = list(found.items())[:ENTRIES_MAX] if isinstance(found, dict) else []
    return Posture(
        device=_device(said.get("device_id")),
        groups=_groups(said.get("groups")),
        findings={rule: _finding(entry) for rule, entry in entries if isinstance(entry, dict)},
    )


def verdict(check: Check, posture: Posture | None, *, meaning: Meaning, now: datetime) -> Verdict:
    """What the answer says about one check; a rule that passed of late outweighs the others."""
    if posture is None:
        return Verdict.UNKNOWN
    found = [posture.findings[rule] for rule in meaning.rules[check] if rule in posture.findings]
    said = [_said(finding, meaning.lasts, now) for finding in found]
    for best in (Verdict.PASSED, Verdict.FAILED, Verdict.STALE):
        if best in said:
            return best
    return Verdict.UNKNOWN


def is_member(posture: Posture | None, *, meaning: Meaning) -> bool:
    """Whether the person is in a group that this deployment asks for, where it asks for any."""
    return not meaning.groups or (posture is not None and bool(posture.groups & meaning.groups))


def _said(finding: Finding, lasts: timedelta, now: datetime) -> Verdict:
    if finding.at is None or not -AHEAD_MAX <= now - finding.at < lasts:
        return Verdict.STALE
    return Verdict.PASSED if finding.passed else Verdict.FAILED


def _finding(entry: Mapping[str, Any]) -> Finding:
    """`success` must be the boolean; a text or a number that looks like one has not passed."""
    return Finding(entry.get("success") is True and not entry.get("error"), _moment(entry.get("timestamp")))


def _moment(value: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo is not None else None


def _device(value: Any) -> str:
    """The device's id as it is written into the audit log; empty where it is no short plain name."""
    is_plain = isinstance(value, str) and len(value) <= 120 and value.isascii() and value.isprintable()
    return value if is_plain else ""


def _groups(value: Any) -> frozenset[str]:
    """Names and ids of the groups: providers give plain names, or objects with an id, a name, an e-mail."""
    names: set[str] = set()
    for entry in value[:ENTRIES_MAX] if isinstance(value, list) else ():
        parts = map(entry.get, ("id", "name", "email")) if isinstance(entry, dict) else (entry,)
        names.update(part for part in parts if isinstance(part, str) and 0 < len(part) <= 255)
    return frozenset(names)
