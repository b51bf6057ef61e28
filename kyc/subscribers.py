"""Answers to the app's own messages: the work that needs a provider, done by a worker after the commit."""

from __future__ import annotations

from datetime import datetime

from core import outbox
from kyc import tasks
from kyc.events import AccessWanted, CaptureFinished, DeliveryReceived, ErasureMoved, ReadWanted


@outbox.subscriber(DeliveryReceived, name="kyc.classify")
def classify(message: DeliveryReceived, *, now: datetime) -> None:
    """Find out what a stored delivery asks for."""
    tasks.classify(message.delivery, now=now)


@outbox.subscriber(AccessWanted, name="kyc.prepare")
def prepare(message: AccessWanted, *, now: datetime) -> None:
    """Make the provider ready for a customer who wants to begin."""
    tasks.prepare(message.applicant, message.level, now=now)


@outbox.subscriber(CaptureFinished, name="kyc.check")
def check(message: CaptureFinished, *, now: datetime) -> None:
    """Have the provider check what was handed in."""
    tasks.request_check(message.applicant, message.level, now=now)


@outbox.subscriber(ReadWanted, name="kyc.read")
def read(message: ReadWanted, *, now: datetime) -> None:
    """Read what the provider says now."""
    tasks.synchronise(message.applicant, now=now)


@outbox.subscriber(ErasureMoved, name="kyc.erase")
def erase(message: ErasureMoved, *, now: datetime) -> None:
    """Destroy what officers approved to destroy."""
    tasks.erase(message.erasure, now=now)
