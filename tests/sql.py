"""Raw SQL as whoever owns the console's process would send it, and how the database refuses it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from uuid import uuid4

import pytest
from django.db import DatabaseError, connection, transaction

from core.approvals.models import ApprovalRequest
from tests.officers import Officer
from tests.roles import as_role

DENIED = "permission denied"


def as_the_console() -> AbstractContextManager[None]:
    """Everything within runs with the rights of the console's database role."""
    return as_role("cs_console")


def refused(sql: str, *values: object, match: str) -> None:
    with pytest.raises(DatabaseError, match=match), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql, values)


def as_owner(sql: str, *values: object, match: str) -> None:
    """The same, with the rights of the tables' owner: here the trigger is all that stands."""
    with connection.cursor() as cursor:
        cursor.execute("RESET ROLE")
        refused(sql, *values, match=match)
        cursor.execute("SET ROLE cs_console")


def signature_sql(officer: Officer, row: ApprovalRequest, **changes: object) -> tuple[str, list[object]]:
    credential = officer.identity.credentials.get()
    values = {
        "id": uuid4(),
        "request_id": row.pk,
        "maker_id": row.maker_id,
        "digest": bytes(row.digest),
        "officer_id": officer.identity.pk,
        "credential_id": credential.pk,
        "verb": "approve",
        "reason": "",
        "teams": ["treasury"],
        "authenticator_data": b"a",
        "client_data": uuid4().bytes,
        "signature": b"s",
        "confirmation": b"",
        **changes,
    }
    places = ", ".join(["%s"] * len(values))
    return f"INSERT INTO approvals_signature ({', '.join(values)}) VALUES ({places})", list(values.values())
