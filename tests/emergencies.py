"""Somebody at the safe: the ceremony with a sealed key, as tests need it."""

from __future__ import annotations

from django.conf import settings

from core import clock
from core.factors.actions import answer_challenge, issue_challenge
from core.factors.domain import acts
from core.factors.domain.strength import STRONG_ENOUGH, Needs
from core.factors.given import Touched
from tests.officers import SAFES, Officer, sealed_key

SESSION = "e" * 64
DIGEST = b"\x0e" * 32


def at_the_safe(officer: Officer, safe: str = SAFES[0]) -> str:
    """Confirm something with the key of that safe; the proof as the actor carries it."""
    now, key = clock.now(), sealed_key(safe)
    row = issue_challenge(
        purpose=Needs.SEALED, act="glass", digest=DIGEST, session=SESSION, actor=officer.actor, now=now
    )
    challenge = acts.challenge(bytes(row.nonce), DIGEST)
    outcome = answer_challenge(
        challenge_id=row.pk,
        given=Touched(
            key.credential_id,
            key.assertion(challenge, origin=settings.CONSOLE_ORIGIN, rp_id="console.localhost"),
        ),
        purpose=Needs.SEALED,
        digest=DIGEST,
        session=SESSION,
        admits=STRONG_ENOUGH[Needs.SEALED],
        actor=officer.actor,
        now=now,
    )
    assert outcome.fault == "", outcome
    return f"factors.challenge/{row.pk}"
