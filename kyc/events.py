"""What the kyc app writes into the audit log and announces."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

from core import outbox


class Event(StrEnum):
    """The app's audit events."""

    ENDPOINT_DECLARED = "kyc.endpoint.declared"
    DELIVERY_RECEIVED = "kyc.delivery.received"
    DELIVERY_REPEATED = "kyc.delivery.repeated"
    DELIVERY_UNVERIFIED = "kyc.delivery.unverified"
    DELIVERY_CLASSIFIED = "kyc.delivery.classified"
    DELIVERY_READ = "kyc.delivery.read"
    VERIFICATION_STARTED = "kyc.verification.started"
    APPLICANT_CREATED = "kyc.applicant.created"
    TOKEN_ISSUED = "kyc.token.issued"  # noqa: S105 - an event's name
    CHECK_WANTED = "kyc.check.wanted"
    PROVIDER_TROUBLE = "kyc.provider.trouble"
    READ_WANTED = "kyc.read.wanted"
    SNAPSHOT_APPLIED = "kyc.snapshot.applied"
    VERIFICATION_LOWERED = "kyc.verification.lowered"
    VERIFICATION_EXPIRED = "kyc.verification.expired"
    CASE_OPENED = "kyc.case.opened"
    CASE_TAKEN = "kyc.case.taken"
    CASE_CLOSED = "kyc.case.closed"
    TIER_PROPOSED = "kyc.tier.proposed"
    TIER_APPROVED = "kyc.tier.approved"
    TIER_NOT_APPROVED = "kyc.tier.not_approved"
    ERASURE_REQUESTED = "kyc.erasure.requested"
    ERASURE_APPROVED = "kyc.erasure.approved"
    ERASURE_REJECTED = "kyc.erasure.rejected"
    ERASURE_EXPIRED = "kyc.erasure.expired"
    ERASURE_CARRIED_OUT = "kyc.erasure.carried_out"
    PERSON_READ = "kyc.person.read"
    CASE_READ = "kyc.case.read"


@outbox.message("kyc.delivery_received")
class DeliveryReceived:
    """A verified delivery was stored and waits to be understood."""

    delivery: UUID


@outbox.message("kyc.access_wanted")
class AccessWanted:
    """A customer wants to begin: the provider must know the applicant, and give a token for its SDK."""

    applicant: UUID
    level: str


@outbox.message("kyc.capture_finished")
class CaptureFinished:
    """The customer says that everything is handed in; a provider without its own flow is asked to check."""

    applicant: UUID
    level: str


@outbox.message("kyc.read_wanted")
class ReadWanted:
    """What we hold about the applicant may be out of date: read it from the provider."""

    applicant: UUID


@outbox.message("kyc.erasure_moved")
class ErasureMoved:
    """An erasure was approved: a worker carries it out, since no other process can."""

    erasure: UUID
    state: str
