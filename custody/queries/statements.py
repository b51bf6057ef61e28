"""Reads of what customers signed: their own, what signers are still to be told, and what the lane may use."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from core.refusals import NotFound
from custody.domain import statements
from custody.models import CustomerStatement, Lane, PaymentPolicy, StatementAnswer
from kernel import encodings
from kernel.customer import CUSTOMER_KEY, REMOVAL, Key, KeyStatement, parse
from kernel.intent import WITHDRAWAL


def statements_of(customer: UUID, *, limit: int = 100) -> list[CustomerStatement]:
    """A customer's own statements with the signers' answers, newest first."""
    rows = CustomerStatement.objects.filter(customer_id=customer).prefetch_related("answers")
    return list(rows.order_by("-received_at", "-id")[:limit])


def statement(statement_id: UUID) -> CustomerStatement:
    """One statement, for our own machines; NotFound."""
    row = CustomerStatement.objects.filter(pk=statement_id).first()
    if row is None:
        raise NotFound("There is no such statement.", target=f"custody.customerstatement/{statement_id}")
    return row


def statement_message(row: CustomerStatement) -> dict[str, Any]:
    """The statement as signers learn it."""
    return {
        "v": 1,
        "type": "learn",
        "payload": encodings.base64url(bytes(row.payload)),
        "proof": row.proof,
    }


def key_statement(customer: UUID) -> CustomerStatement | None:
    """The newest statement of the customer's key."""
    rows = CustomerStatement.objects.filter(customer_id=customer, kind=CUSTOMER_KEY)
    return rows.order_by("-received_at", "-id").first()


def key_in(row: CustomerStatement) -> Key:
    """The key that a statement of a key names."""
    said = parse(bytes(row.payload))
    assert isinstance(said, KeyStatement)  # the kind is the payload's own
    return said.key


def newest_about(customer: UUID, destination: str) -> CustomerStatement | None:
    """The customer's last word on a destination, under the key that is theirs now."""
    key = key_statement(customer)
    if key is None:
        return None
    rows = _about_destinations(key).filter(subject=destination)
    return rows.order_by("-received_at", "-id").first()


def was_removed_since(customer: UUID, destination: str, moment: datetime) -> bool:
    """Whether the customer has taken a destination back at that moment or later, under whatever key."""
    rows = CustomerStatement.objects.filter(customer_id=customer, kind=REMOVAL, subject=destination)
    return rows.filter(received_at__gte=moment).exists()


def usable_at(customer: UUID, destination: str, *, lane: Lane) -> datetime | None:
    """From when on enough signers should pay this destination unattended; None where they never will."""
    return usable_from(customer, lane=lane, destinations=[destination]).get(destination)


def usable_from(
    customer: UUID, *, lane: Lane, destinations: Collection[str] | None = None
) -> dict[str, datetime]:
    """The same for all of a customer's destinations, or for these; without those that never will be paid so.

    The answer rests on rows that whoever owns the database can write, so it opens nothing: signers go by
    their own journals.
    """
    key = key_statement(customer)
    if key is None:
        return {}
    newest = _about_destinations(key)
    if destinations is not None:
        newest = newest.filter(subject__in=destinations)
    said = newest.order_by("subject", "-received_at", "-id").distinct("subject")
    named = {row.pk: row.subject for row in said if row.kind != REMOVAL}
    learnt: dict[UUID, dict[str, datetime]] = {key.pk: {}, **{row: {} for row in named}}
    answers = StatementAnswer.objects.filter(
        statement__in=list(learnt), code="", token__in=lane.wallet.tokens
    )
    for row, token, at in answers.values_list("statement", "token", "answered_at"):
        learnt[row][token] = at
    found = {
        destination: statements.usable_at(
            learnt[key.pk],
            learnt[row],
            threshold=lane.wallet.threshold,
            cooling_off=lane.cooling_off,
        )
        for row, destination in named.items()
    }
    return {destination: at for destination, at in found.items() if at is not None}


def statements_for(token: str, *, now: datetime) -> QuerySet[CustomerStatement]:
    """What this signer is still to be told, in the order in which it was said; refused and forgotten ones now
    and then. While a customer's withdrawals are held, of theirs only removals. An answer from the future is
    none: the signer says once more when it learnt it.
    """
    has_been = Q(answered_at__lte=now + statements.CLOCKS_APART_MAX)
    settled = has_been & (Q(code="") | Q(answered_at__gt=now - statements.AGAIN_AFTER))
    told = StatementAnswer.objects.filter(settled, token=token).values("statement")
    forgotten = StatementAnswer.objects.filter(code=statements.FORGOTTEN, token=token).values("statement")
    rows = CustomerStatement.objects.filter(
        Q(received_at__gt=now - statements.BROUGHT_FOR) | Q(pk__in=forgotten)
    )
    held = ~Q(kind=REMOVAL) & Q(customer__withdrawals_held_until__gt=now)
    return rows.exclude(held).exclude(pk__in=told).order_by("received_at", "id")[:200]


def withdrawal_lane() -> Lane | None:
    """The lane of the wallet that pays withdrawals, if the registry gives it one."""
    source = PaymentPolicy.objects.filter(kind=WITHDRAWAL).values_list("source", flat=True).first()
    return None if source is None else lane_of(source)


def lane_of(wallet: str) -> Lane | None:
    """The lane of a wallet, if the registry gives it one."""
    return Lane.objects.select_related("wallet").filter(wallet__name=wallet).first()


def _about_destinations(key: CustomerStatement) -> QuerySet[CustomerStatement]:
    """What the key's customer has said about destinations since the key was theirs."""
    return CustomerStatement.objects.filter(
        customer_id=key.customer_id,
        kind__in=statements.ABOUT_DESTINATIONS,
        received_at__gte=key.received_at,
    )
