"""Reads of what customers signed: their own, what signers are still to be told, and what the lane may use."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from core.refusals import NotFound
from custody.domain import statements
from custody.models import CustomerStatement, Lane, StatementAnswer
from kernel import encodings
from kernel.customer import CUSTOMER_KEY, REMOVAL, Key, KeyStatement, parse


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
    rows = CustomerStatement.objects.filter(
        customer_id=customer,
        kind__in=statements.ABOUT_DESTINATIONS,
        subject=destination,
        received_at__gte=key.received_at,
    )
    return rows.order_by("-received_at", "-id").first()


def usable_at(customer: UUID, destination: str, *, lane: Lane) -> datetime | None:
    """From when on enough signers should pay this destination unattended; None where they never will.

    The answer rests on rows that whoever owns the database can write, so it opens nothing: signers go by
    their own journals.
    """
    key, said = key_statement(customer), newest_about(customer, destination)
    if key is None or said is None or said.kind == REMOVAL:
        return None
    return statements.usable_at(
        learnt_by(key, lane),
        learnt_by(said, lane),
        threshold=lane.wallet.threshold,
        cooling_off=lane.cooling_off,
    )


def learnt_by(row: CustomerStatement, lane: Lane) -> Mapping[str, datetime]:
    """Which of the wallet's signers have learnt it, each since when."""
    answers = StatementAnswer.objects.filter(statement=row, code="", token__in=lane.wallet.tokens)
    return dict(answers.values_list("token", "answered_at"))


def statements_for(token: str, *, now: datetime) -> QuerySet[CustomerStatement]:
    """What this signer is still to be told, in the order in which it was said; refused and forgotten ones now
    and then.
    """
    settled = Q(code="") | Q(answered_at__gt=now - statements.AGAIN_AFTER)
    told = StatementAnswer.objects.filter(settled, token=token).values("statement")
    forgotten = StatementAnswer.objects.filter(code=statements.FORGOTTEN, token=token).values("statement")
    rows = CustomerStatement.objects.filter(
        Q(received_at__gt=now - statements.BROUGHT_FOR) | Q(pk__in=forgotten)
    )
    return rows.exclude(pk__in=told).order_by("received_at", "id")[:200]


def lane_of(wallet: str) -> Lane | None:
    """The lane of a wallet, if the registry gives it one."""
    return Lane.objects.select_related("wallet").filter(wallet__name=wallet).first()
