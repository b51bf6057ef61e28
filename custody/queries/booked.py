"""How many deposits and payments the ledger has, and where on the chain they are said to be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import chain, islice
from typing import Any, Final
from uuid import UUID

from django.db.models import QuerySet, Sum

from core.ledger import AccountKind
from core.ledger.models import Account, JournalEntry, Posting
from custody.domain import deposits
from custody.domain.booked import ASSET, FIRST, TABLES, Booked, Bookings, Place
from custody.domain.booked import Deposit as Said
from custody.models import Address, Deposit, Payment, PaymentVersion

DEPOSIT: Final = "custody.deposit"
PAYMENTS: Final = ("custody.withdrawal", "custody.refill", "custody.sweep")
OWNERS: Final = ("withdrawal", "refill", "sweep")


def booked(
    *,
    since: datetime,
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


def bookings_after(
    place: Place, *, has_deposit: Callable[[str], bool], has_payment: Callable[[str], bool], most: int
) -> Bookings:
    """The next so many rows of a round through all, by their ids: those that are booked and not known."""
    after = {"pk__gt": place.after}
    if place.table == 0:
        rows = Deposit.objects.filter(**after).order_by("pk")
        named = list(rows.values_list("pk", "txid", "vout", "units", "address", "state")[:most])
        new = [
            one[:5] for one in named if one[5] in deposits.BOOKED and not has_deposit(f"{one[1]}:{one[2]}")
        ]
        return Bookings(_next(place, [one[0] for one in named]), len(named), _credited(new), ())
    paid: QuerySet[Any, Any]
    if place.table == 1:
        at = tuple(f"{owner}__settled_at" for owner in OWNERS)
        paid = Payment.objects.filter(**after).values_list("pk", "txid", *at)
    else:
        paid = PaymentVersion.objects.filter(**after).values_list("pk", "txid", "booked_at")
    listed = list(paid.order_by("pk")[:most])
    left = tuple(txid for _, txid, *at in listed if any(at) and not has_payment(txid))
    return Bookings(_next(place, [key for key, *_ in listed]), len(listed), (), left)


def _next(place: Place, keys: list[UUID]) -> Place | None:
    if keys:
        return Place(place.table, keys[-1])
    return Place(place.table + 1, FIRST) if place.table < TABLES - 1 else None


def _arrived(since: datetime, has: Callable[[str], bool], most: int) -> list[Said]:
    """Those that are not known, each with what its entry credits."""
    rows = Deposit.objects.filter(state__in=deposits.BOOKED, credited_at__gte=since)
    named = rows.values_list("pk", "txid", "vout", "units", "address").iterator()
    return list(_credited(list(islice((one for one in named if not has(f"{one[1]}:{one[2]}")), most))))


def _credited(new: list[Any]) -> tuple[Said, ...]:
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
    return tuple(
        Said(
            txid,
            vout,
            int(units),
            script=owners[address].script,
            owner=str(owners[address].customer_id or ""),
            credited=tuple(credited.get(str(key), ())),
        )
        for key, txid, vout, units, address in new
    )


def _left(since: datetime) -> Iterator[str]:
    """Each kind by itself: together the server would go through all payments that ever were."""
    settled = (
        Payment.objects.filter(**{f"{owner}__settled_at__isnull": False, f"{owner}__settled_at__gte": since})
        for owner in OWNERS
    )
    raised = PaymentVersion.objects.filter(booked_at__isnull=False, booked_at__gte=since)
    return chain(*map(_txids, settled), _txids(raised))


def _txids(rows: QuerySet[Any]) -> Iterator[str]:
    return rows.values_list("txid", flat=True).iterator()
