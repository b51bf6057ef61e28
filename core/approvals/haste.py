"""Answers that came too close upon each other for two people to have read what they signed."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Final

from core.approvals.models import ApprovalRequest, ApprovalSignature
from kernel.approval import Verb

HASTE: Final = timedelta(seconds=3)
"""ASVS 5.0.0, 2.4.2: business acts that need realistic human timing. Flagged for people, never refused."""


def in_haste(request: ApprovalRequest, answer: ApprovalSignature) -> bool:
    """Whether another officer answered within three seconds of this, by the database's clock."""
    answer.refresh_from_db(fields=["signed_at"])
    if answer.signed_at is None:
        return False
    nearby = request.signatures.filter(
        signed_at__gte=answer.signed_at - HASTE, signed_at__lte=answer.signed_at + HASTE
    )
    return nearby.exclude(pk=answer.pk).exclude(verb=Verb.ASK).exists()


def any_in_haste(answers: list[ApprovalSignature]) -> bool:
    """Whether any two of a request's answers, in the order of their signing, came in haste."""
    moments = [
        answer.signed_at for answer in answers if answer.signed_at is not None and answer.verb != Verb.ASK
    ]
    return any(later - earlier <= HASTE for earlier, later in pairwise(moments))
