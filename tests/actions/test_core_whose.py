"""Whose a row is …"""

from __future__ import annotations

from datetime import datetime

import pytest
from django.db import DatabaseError, connection, transaction

from core import privileges
from custody.models import Block
from engine_bridge.actions.accounts import open_account
from engine_bridge.models import EngineAccount
from kyc.models import ProviderApplicant
from tests.providers import applicant, trader
from tests.roles import as_role, own_names_only

SWAPS = [
    "UPDATE engine_account SET identity_id = '{eve}' WHERE identity_id = '{tom}'",
    "UPDATE engine_account SET id = id + 1000 WHERE identity_id = '{tom}'",
    "DELETE FROM engine_account WHERE identity_id = '{tom}'",
    "UPDATE kyc_provider_applicant SET profile_id = '{profile}' WHERE id = '{file}'",
    "UPDATE kyc_provider_applicant SET id = gen_random_uuid() WHERE id = '{file}'",
    "DELETE FROM kyc_provider_applicant WHERE id = '{file}'",
]


@pytest.mark.django_db
@pytest.mark.parametrize("role", privileges.ROLES)
@pytest.mark.parametrize("attack", SWAPS)
def test_no_role_gives_to_somebody_else(attack: str, role: str, now: datetime) -> None:
    """Orders, balances and transfers follow the number at the venue, tiers the file at the provider."""
    tom, eve = trader(), trader("eve@example.com", name="Eve")
    number = open_account(customer_id=tom.pk, now=now).pk
    file, other = applicant(tom), applicant(eve, provider="onfido")
    sql = attack.format(tom=tom.pk, eve=eve.pk, file=file.pk, profile=other.profile_id)
    with (
        as_role(role),
        pytest.raises(DatabaseError),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(sql)
    assert EngineAccount.objects.get(pk=number).identity_id == tom.pk
    assert ProviderApplicant.objects.get(pk=file.pk).profile_id == file.profile_id


def test_at_the_provider_changes_with_an_event_only(real_database: str) -> None:
    file = applicant(trader())
    with connection.cursor() as cursor:
        own_names_only(cursor)
        cursor.execute("SET ROLE cs_console")
        with pytest.raises(DatabaseError, match="unaudited: "):
            cursor.execute(
                "BEGIN; UPDATE kyc_provider_applicant SET applicant_id = 'somebody', fingerprint = ''; COMMIT"
            )
        cursor.execute("ROLLBACK; RESET ROLE")
    file.refresh_from_db()
    assert file.applicant_id != "somebody"


@pytest.mark.parametrize("role", privileges.ROLES)
def test_on_a_chain_is_brought_nowhere_by_a_block_that_nobody_read(
    real_database: str, role: str, now: datetime
) -> None:
    """A higher tip would credit a deposit too early, and a lower one have it read once more."""
    Block.objects.create(height=1, hash="a" * 64, previous="0" * 64, read_at=now)
    higher = f"INSERT INTO custody_block VALUES (2, '{'b' * 64}', '{'a' * 64}', now())"
    with connection.cursor() as cursor:
        own_names_only(cursor)
        for deed in (higher, "UPDATE custody_block SET height = 9", "DELETE FROM custody_block"):
            cursor.execute(f"SET ROLE {role}")
            with pytest.raises(DatabaseError, match=r"unaudited: |permission denied"):
                cursor.execute(f"BEGIN; {deed}; COMMIT")
            cursor.execute("ROLLBACK; RESET ROLE")
    assert Block.objects.get().height == 1
