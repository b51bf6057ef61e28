"""Webhook deliveries: whether the provider signed these bytes, and what they ask of us.

A delivery is never believed beyond "look again": it carries no time and no order, and whoever captured one
can send it for ever. Only a notice that takes something away counts by itself.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from kernel import frames
from kyc.domain.answers import mapping, text

BODY_BYTES_MAX: Final = frames.FRAME_BYTES_MAX // 2
"""Real ones have a few thousand; in base64 such a body still fits into one answer of the vault."""

SUMSUB_ALGORITHMS: Final[Mapping[str, str]] = {"HMAC_SHA256_HEX": "sha256", "HMAC_SHA512_HEX": "sha512"}
_OBJECT_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Meaning(StrEnum):
    """What a signed delivery leads to."""

    READ = "read"
    LOWER = "lower"
    NOTE = "note"
    IGNORE = "ignore"
    POISON = "poison"


@dataclass(frozen=True, slots=True)
class Notice:
    """A delivery, understood as far as we need it. Ids are checked for shape; nothing else is believed."""

    meaning: Meaning
    event: str = ""
    applicant_id: str = ""
    external_user_id: str = ""
    check_id: str = ""
    why: str = ""


def signed_by_sumsub(
    raw: bytes, *, digest: str | None, algorithm: str | None, secrets: Iterable[bytes]
) -> bool:
    """Whether the digest is the HMAC of exactly these bytes under one of the webhook's secrets.

    The full lower-case text is compared in constant time. A missing or non-ASCII digest, an algorithm that is
    not pinned and an empty secret never verify.
    """
    name = SUMSUB_ALGORITHMS.get(algorithm or "HMAC_SHA256_HEX")
    return name is not None and _matches(raw, digest=digest, name=name, secrets=secrets)


def signed_by_onfido(raw: bytes, *, digest: str | None, secrets: Iterable[bytes]) -> bool:
    """Whether the digest is the HMAC-SHA256 of the whole raw body under one of the webhook's tokens."""
    return _matches(raw, digest=digest, name="sha256", secrets=secrets)


def _matches(raw: bytes, *, digest: str | None, name: str, secrets: Iterable[bytes]) -> bool:
    if not digest or not digest.isascii():
        return False
    given, found = digest.encode("ascii"), False
    for secret in secrets:
        if not secret:
            continue
        expected = hmac.new(secret, raw, name).hexdigest().encode("ascii")
        found |= hmac.compare_digest(given, expected)
    return found


def body_digest(raw: bytes) -> str:
    """SHA-256 of the body in hex: equal bytes are one delivery."""
    return hashlib.sha256(raw).hexdigest()


_SUMSUB_LOWER: Final = frozenset({"applicantDeactivated", "applicantDeleted"})
_SUMSUB_READ: Final = frozenset(
    "applicant" + name
    for name in [
        "Created",
        "Pending",
        "Prechecked",
        "OnHold",
        "AwaitingService",
        "AwaitingUser",
        "Reviewed",
        "WorkflowCompleted",
        "PersonalInfoChanged",
        "TagsChanged",
        "Activated",
        "PersonalDataDeleted",
        "Reset",
        "LevelChanged",
    ]
)
_ONFIDO_READ: Final = frozenset(
    "check." + name for name in ["started", "reopened", "withdrawn", "completed", "form_completed"]
)


def from_sumsub(raw: bytes, *, accepts_sandbox: bool) -> Notice:
    """What a signed Sumsub body asks of us."""
    body = _parsed(raw)
    if body is None:
        return Notice(Meaning.POISON, why="signed, but not a JSON object")
    event = text(body.get("type"))[:64]
    applicant, external = text(body.get("applicantId")), text(body.get("externalUserId"))
    if body.get("testMode") is True:
        return Notice(Meaning.IGNORE, event, why="sent by hand from the dashboard")
    if body.get("sandboxMode") is True and not accepts_sandbox:
        return Notice(Meaning.IGNORE, event, why="from the sandbox")
    if event not in _SUMSUB_READ | _SUMSUB_LOWER:
        return Notice(Meaning.NOTE, event, why="nothing of ours depends on this type")
    if not (_OBJECT_ID.fullmatch(applicant) or _OBJECT_ID.fullmatch(external)):
        return Notice(Meaning.POISON, event, why="signed, but names no applicant")
    meaning = Meaning.LOWER if event in _SUMSUB_LOWER else Meaning.READ
    return Notice(meaning, event, applicant_id=_safe(applicant), external_user_id=_safe(external))


def from_onfido(raw: bytes) -> Notice:
    """What a signed Onfido body asks of us. It carries no result and no applicant: both are read."""
    body = _parsed(raw)
    if body is None:
        return Notice(Meaning.POISON, why="signed, but not a JSON object")
    payload = mapping(body.get("payload"))
    event, subject = text(payload.get("action"))[:64], text(mapping(payload.get("object")).get("id"))
    if event not in _ONFIDO_READ:
        return Notice(Meaning.NOTE, event, why="nothing of ours depends on this type")
    if not _OBJECT_ID.fullmatch(subject):
        return Notice(Meaning.POISON, event, why="signed, but names no check")
    return Notice(Meaning.READ, event, check_id=subject)


def _parsed(raw: bytes) -> Mapping[str, object] | None:
    try:
        found = json.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _safe(identifier: str) -> str:
    return identifier if _OBJECT_ID.fullmatch(identifier) else ""
