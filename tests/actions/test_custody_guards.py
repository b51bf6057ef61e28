"""The database itself …"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction

from custody.domain import adjustments, deposits, orders, refills, sweeps, withdrawals
from custody.models import Payment, Withdrawal
from tests.treasury import BTC, Treasury

pytestmark = pytest.mark.django_db

TABLES: dict[str, Mapping[Any, frozenset[Any]]] = {
    "custody_withdrawal": withdrawals.NEXT,
    "custody_refill": refills.NEXT,
    "custody_sweep": sweeps.NEXT,
    "custody_deposit": deposits.NEXT,
    "custody_adjustment": adjustments.NEXT,
    "custody_signer_order": orders.NEXT,
}


@pytest.mark.parametrize("table", TABLES)
def test_holds_the_same_state_table_as_the_domain(table: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname = %s", [f"{table}_moves"])
        (definition,) = cursor.fetchone()
    held = json.loads(re.search(r"custody_step\('(.*)'\)", definition, re.DOTALL).group(1))  # type: ignore[union-attr]
    assert held == {
        str(state): sorted(str(after) for after in following) for state, following in TABLES[table].items()
    }


def test_lets_nobody_cancel_what_is_on_its_way(now: datetime) -> None:
    treasury = Treasury.open(now)
    treasury.deposit(BTC)
    payment = treasury.broadcast()
    for state in ("cancelled", "rejected", "expired", "failed", "requested", "settled"):
        with pytest.raises(DatabaseError, match="cannot go from broadcast"), transaction.atomic():
            Withdrawal.objects.filter(pk=payment.owner.pk).update(state=state)


def test_keeps_the_bytes_that_are_sent_again(now: datetime) -> None:
    """Whoever writes SQL has no other transaction sent in the place of the one that was stored."""
    treasury = Treasury.open(now)
    treasury.deposit(BTC)
    payment = treasury.broadcast()
    assert Payment.objects.get(pk=payment.pk).raw
    for raw in ("00", ""):
        with pytest.raises(DatabaseError, match="keeps its transaction"), transaction.atomic():
            Payment.objects.filter(pk=payment.pk).update(raw=raw)
