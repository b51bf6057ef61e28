"""How many deposits and payments the ledger has, and where on the chain they are said to be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import chain, islice
from typing import Any, Final

from django.db.models import QuerySet, Sum

from core.ledger import AccountKind
from core.ledger.models import Account, JournalEntry, Posting
from custody.domain import deposits
from custody.domain.booked import ASSET, Booked
from custody.domain.booked import Deposit as Said
from custody.models import Address, Deposit, Payment, PaymentVersion

DEPOSIT: Final = "custody.deposit"
PAYMENTS: Final = ("custody.withdrawal", "custody.refill", "custody.sweep")


def booked(
    *,
    since: datetime | None,
    has_deposit: Callable[[str], bool],
    has_payment: Callable[[str], bool],
    most: int,
) -> Booked:
    """In the open transaction, hence at one moment. Names what was booked from `since` on, and counts all.

    Counting reads the index of kinds and references alone, and no trade's part of it. What is named comes in
    no order: by one, a cursor that expects to be left early would walk through all rows to find the few.
    """
    fees = Account.objects.filter(kind=AccountKind.NETWORK_FEES, asset=ASSET).aggregate(total=Sum("units"))
    entries = JournalEntry.objects.order_by()
    arrived = _arrived(since, has_deposit, most + 1)
    left = list(islice((txid for txid in _left(since) if not has_payment(txid)), most + 1 - len(arrived)))
    return Booked(
        deposits=entries.filter(kind=DEPOSIT).count(),
        payments=entries.filter(kind__in=PAYMENTS).count(),
        fees=-int(fees["total"] or 0),
        arrived=tuple(arrived[:most]),
        left=tuple(left[: most - len(arrived[:most])]),
        more=len(arrived) + len(left) > most,
    )


def _arrived(since: datetime | None, has: Callable[[str], bool], most: int) -> list[Said]:
    """Those that are not known, each with what its entry credits."""
    rows = Deposit.objects.filter(state__in=deposits.BOOKED, **_from("credited_at", since))
    named = rows.values_list("pk", "txid", "vout", "units", "address").iterator()
    new = list(islice((one for one in named if not has(f"{one[1]}:{one[2]}")), most))
    owners = Address.objects.only("script", "customer").in_bulk({address for *_, address in new})
    legs = Posting.objects.filter(
        entry__kind=DEPOSIT,
        entry__reference__in=[str(key) for key, *_ in new],
        asset=ASSET,
        account__kind__in=[AccountKind.CUSTOMER_FUNDING, AccountKind.SUSPENSE],
    )
    credited: dict[str, list[tuple[str, int]]] = {}
    for reference, owner, units in legs.values_list("entry__reference", "account__owner", "units"):
        credited.setdefault(reference, []).append((str(owner or ""), int(units)))
    return [
        Said(
            txid,
            vout,
            int(units),
            script=owners[address].script,
            owner=str(owners[address].customer_id or ""),
            credited=tuple(credited.get(str(key), ())),
        )
        for key, txid, vout, units, address in new
    ]


def _left(since: datetime | None) -> Iterator[str]:
    """Each kind by itself: together the server would go through all payments that ever were."""
    settled = (
        Payment.objects.filter(
            **{f"{owner}__settled_at__isnull": False}, **_from(f"{owner}__settled_at", since)
        )
        for owner in ("withdrawal", "refill", "sweep")
    )
    raised = PaymentVersion.objects.filter(booked_at__isnull=False, **_from("booked_at", since))
    return chain(*map(_txids, settled), _txids(raised))


def _txids(rows: QuerySet[Any]) -> Iterator[str]:
    return rows.values_list("txid", flat=True).iterator()


def _from(column: str, since: datetime | None) -> dict[str, Any]:
    return {} if since is None else {f"{column}__gte": since}
