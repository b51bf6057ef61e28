"""The ceremony: a question about one act, and its one answer."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from core import audit
from core.access import rights
from core.action import action
from core.actor import Actor
from core.approvals.expiry import DatabaseClock
from core.factors import judging
from core.factors.domain import acts
from core.factors.domain.factors import Kind
from core.factors.domain.strength import Needs
from core.factors.events import Event
from core.factors.given import Given, Touched
from core.factors.models import Challenge
from core.refusals import NotAllowed
from kernel import encodings

SENTENCES: Final[Mapping[str, str]] = {
    "challenge.unknown": "That was no question to you in this session. Answer the one below.",
    "challenge.used": "That question was answered already. Answer the one below.",
    "challenge.expired": "The question was more than a minute old. Answer the one below.",
    "challenge.other_act": "What you confirmed is not what arrived. Read the act below before confirming.",
    "challenge.too_weak": "A code is not enough for this: use your passkey.",
    "challenge.unanswered": "The answer could not be read. Answer again.",
    "factors.unknown": "This authenticator is not one of yours, or not any more.",
    "factors.wait": "Too many wrong codes. Wait a little, then take the code that your app shows next.",
    "factors.wrong_code": "The code is wrong or was used already. Take the next one that your app shows.",
    "factors.counter": "Your passkey counted backwards, so there may be a copy of it. Have it replaced.",
    "assertion.user_verification": "Your passkey did not ask for your PIN or finger. Use one that does.",
}
"""What each reason means to the person; the others are the passkey's own codes."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a ceremony ended: by which authenticator, or why not (a stable code, empty where it held)."""

    fault: str
    factor: UUID | None = None
    kind: Kind | None = None

    @property
    def sentence(self) -> str:
        """The reason, for the person."""
        return SENTENCES.get(self.fault, f"Your passkey's answer was not accepted ({self.fault}).")


@action(Event.CHALLENGED)
def issue_challenge(
    *, purpose: str, act: str, digest: bytes, session: str, actor: Actor, now: datetime
) -> Challenge:
    """A fresh question to the officer who acts, about the act of this digest; good for one minute."""
    officer = rights.officer_behind(actor)
    if officer is None:
        raise NotAllowed("Only officers are asked to confirm what they do.")
    row = Challenge(
        identity=officer,
        session=session,
        purpose=purpose,
        act=act,
        digest=digest,
        nonce=secrets.token_bytes(acts.NONCE_BYTES),
    )
    row.save(force_insert=True)
    audit.record(
        Event.CHALLENGED, row, actor=actor, now=now, after={"purpose": purpose, "act": act, "digest": digest}
    )
    return row


@action(Event.ACCEPTED)
def answer_challenge(
    *,
    challenge_id: UUID,
    given: Given,
    purpose: str,
    digest: bytes,
    session: str,
    admits: frozenset[Kind],
    actor: Actor,
    now: datetime,
) -> Outcome:
    """Use the question up, and say whether the answer holds. Two who answer at once: one of them is heard.

    It raises nothing and so rolls nothing back: a wrong answer must cost the question, and a wrong code must
    count. Nobody gains by a question to another person, in another session, too old, or about another act.
    """
    row, fault = _claim(challenge_id, purpose=purpose, session=session, actor=actor)
    outcome = Outcome(fault)
    if row is not None and not fault:
        outcome = _judged(row, given, digest=digest, admits=admits, now=now)
        Challenge.objects.filter(pk=row.pk).update(outcome=outcome.fault or "accepted", factor=outcome.factor)
    audit.record(
        Event.REFUSED if outcome.fault else Event.ACCEPTED,
        row or f"factors.challenge/{challenge_id}",
        actor=actor,
        now=now,
        after={
            "purpose": purpose,
            "act": row.act if row else "",
            "digest": digest,
            "factor": outcome.factor,
            "code": outcome.fault,
            **(_proof(row, given) if row is not None and not outcome.fault else {}),
        },
        reason=outcome.sentence if outcome.fault else "",
    )
    return outcome


def _proof(row: Challenge, given: Given) -> dict[str, object]:
    """The assertion whole, where one was given: whoever has the passkey's public key can look again, with the
    log alone, whether this act was confirmed. A web process that makes an outcome up cannot make this up.
    """
    if not isinstance(given, Touched):
        return {}
    said = given.assertion
    return {
        "nonce": bytes(row.nonce).hex(),
        "credential": given.credential_id,
        "authenticator_data": encodings.base64url(said.authenticator_data),
        "client_data": encodings.base64url(said.client_data),
        "signature": encodings.base64url(said.signature),
    }


def claim(challenge_id: UUID, *, purpose: str, session: str, actor: Actor) -> Challenge | None:
    """Use a question up inside another action, which judges its answer; None where it was not open."""
    row, fault = _claim(challenge_id, purpose=purpose, session=session, actor=actor)
    return None if fault else row


def _claim(challenge_id: UUID, *, purpose: str, session: str, actor: Actor) -> tuple[Challenge | None, str]:
    """One conditional UPDATE decides; what is read afterwards only says why it did not hold."""
    if actor.identity is None:
        return None, "challenge.unknown"
    mine = Challenge.objects.filter(
        pk=challenge_id, identity_id=actor.identity, session=session, purpose=purpose
    )
    used = mine.filter(used_at=None, expires_at__gt=DatabaseClock()).update(used_at=DatabaseClock())
    row = mine.first()
    if row is None:
        return None, "challenge.unknown"
    if used:
        return row, ""
    return row, "challenge.used" if row.used_at else "challenge.expired"


def _judged(
    row: Challenge, given: Given, *, digest: bytes, admits: frozenset[Kind], now: datetime
) -> Outcome:
    if bytes(row.digest) != digest:
        return Outcome("challenge.other_act")
    touched = Kind.SEALED if row.purpose == Needs.SEALED else Kind.PASSKEY
    kind = touched if isinstance(given, Touched) else Kind.CODE
    if kind not in admits:
        return Outcome("challenge.too_weak")
    try:
        factor = judging.judge(row, given, now=now)
    except judging.Wrong as wrong:
        return Outcome(str(wrong))
    return Outcome("", factor.pk, kind)
