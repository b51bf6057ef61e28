"""Reads for comparing a wallet's coins with the books, and of how the last comparison came out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F
from django.db.models import Sum as Total

from core.approvals.queries import signatures
from core.ledger import AccountKind
from core.ledger.kinds import side
from core.ledger.models import JournalEntry
from custody.domain import deposits
from custody.domain.booked import Booked
from custody.domain.credits import Credit
from custody.domain.payments import Step
from custody.domain.reconciliations import LATE, Books, Whole
from custody.models import Adjustment, Deposit, Lane, Payment, Reconciliation, SignerHealth, Utxo, Wallet
from custody.queries.deposits import tip
from custody.queries.tally import Kind, Sum, of_all
from kernel.approval import SignedApproval
from kernel.lane import DEPTH, SPENT_MAX

CREDITS_MAX: Final = 1_000
"""Credits that are read for one comparison; more than that at once are no day's work of officers."""


def books_of(
    name: str,
    *,
    known: Collection[str] = (),
    booked: Callable[[], Booked] = Booked,
    sums: Callable[[], Mapping[Kind, Sum]] = of_all,
) -> Books | None:
    """What the books say about a wallet and beyond it, all read at one moment; None before the first block.

    Only what is on its ordinary way explains a difference between ledger and chain: a deposit that was
    credited and left the chain, a payment that confirmed after it was given up, a coin that somebody else
    spent, are breaks. `known` are the references of credits that need not be read again; `booked` reads,
    at the same moment, what came from the chain and left by it, and `sums` what accounts come to.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        if not connection.savepoint_ids:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        at = tip()
        if at is None:
            return None
        wallet = Wallet.objects.get(name=name)
        others = Wallet.objects.filter(asset=wallet.asset).exclude(pk=wallet.pk)
        found = sums()
        kind = _holding(wallet)
        totals = {
            of: side(of) * total for (asset, of), (total, _, _) in found.items() if asset == wallet.asset
        }
        elsewhere = _Moving.of(list(others))
        kinds = {_holding(other) for other in others} - {kind}
        moving = _Moving.of([wallet])
        return Books(
            height=at.height,
            tip=at.hash,
            posted=totals.get(kind, 0),
            arriving=moving.arriving,
            leaving=moving.leaving,
            whole=Whole(
                asset=wallet.asset,
                elsewhere=sum(totals.get(each, 0) for each in kinds) + elsewhere.arriving - elsewhere.leaving,
                credited={
                    asset: -total
                    for (asset, of), (total, _, _) in found.items()
                    if of == AccountKind.EXTERNAL
                },
                left=_left(found),
                lowest={
                    (asset, of): low if side(of) > 0 else -high
                    for (asset, of), (_, low, high) in found.items()
                    if of not in (AccountKind.HOT_WALLET, AccountKind.COLD_WALLET)
                },
                credits=tuple(_credits(known)),
                booked=booked(),
            ),
        )


def _left(sums: Mapping[Kind, Sum]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for (asset, _), (total, _, _) in sums.items():
        found[asset] += total
    return dict(found)


def _holding(wallet: Wallet) -> AccountKind:
    return AccountKind.HOT_WALLET if wallet.tier == "hot" else AccountKind.COLD_WALLET


class _Moving(NamedTuple):
    """What is in blocks and not yet in the ledger."""

    arriving: int
    leaving: int

    @classmethod
    def of(cls, wallets: Sequence[Wallet]) -> _Moving:
        seen = Deposit.objects.filter(address__wallet__in=wallets, state=deposits.State.SEEN)
        confirmed = Payment.objects.filter(height__isnull=False)
        paid = confirmed.filter(wallet__in=wallets)
        gone = paid.filter(withdrawal__state=Step.CONFIRMED).aggregate(
            total=Total(F("withdrawal__units") + F("fee_units"))
        )["total"]
        arriving, leaving = int(seen.aggregate(total=Total("units"))["total"] or 0), int(gone or 0)
        for kind in ("refill", "sweep"):
            moving = {f"{kind}__state": Step.CONFIRMED}
            filled = confirmed.filter(**moving, **{f"{kind}__target__in": wallets})
            moved = paid.filter(**moving).aggregate(total=Total(F(f"{kind}__units") + F("fee_units")))[
                "total"
            ]
            arriving += int(filled.aggregate(total=Total(f"{kind}__units"))["total"] or 0)
            leaving += int(moved or 0)
        return cls(arriving, leaving)


def _credits(known: Collection[str]) -> Iterator[Credit]:
    """Entries against the outside world, each with the request that is said to allow it."""
    entries = JournalEntry.objects.filter(postings__account__kind=AccountKind.EXTERNAL).exclude(
        reference__in=known
    )
    for entry in entries.distinct().order_by("posted_at")[:CREDITS_MAX]:
        legs = list(entry.postings.select_related("account"))
        number = _uuid(entry.reference)
        row = Adjustment.objects.select_related("request").filter(pk=number).first() if number else None
        request = row.request if row is not None else None
        yield Credit(
            kind=entry.kind,
            reference=entry.reference,
            asset=",".join(sorted({leg.asset for leg in legs})),
            units=-sum(int(leg.units) for leg in legs if leg.account.kind == AccountKind.EXTERNAL),
            customer=",".join(sorted({str(leg.account.owner) for leg in legs if leg.account.owner})),
            posted_at=entry.posted_at,
            maker=str(request.maker_id) if request else "",
            payload=bytes(request.payload) if request else b"",
            approvals=tuple(map(SignedApproval.from_json, signatures(request))) if request else (),
        )


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def awaited_coins(name: str, *, height: int) -> Mapping[str, str]:
    """For what signers of a wallet's lane hold outstanding: a coin of it, and the transaction that is said to
    have spent it deep enough. At most what one attestation names; what most signers wait for comes first, so
    that a silent one does not keep the others waiting.

    This is where to look, and no more: it may be wrong, and the node is asked about each.
    """
    wallet = Wallet.objects.get(name=name)
    awaited = [
        one["coins"]
        for signer in SignerHealth.objects.filter(token__in=wallet.tokens)
        for one in signer.outstanding.values()
        if one["wallet"] == name
    ]
    known = {coin.partition(":")[0] for coins in awaited for coin in coins}
    deep = Utxo.objects.filter(wallet=wallet, txid__in=known, spent_in__lte=height + 1 - DEPTH)
    spent = {str(coin): coin.spent_by for coin in deep}
    first = (min(found) for coins in awaited if (found := spent.keys() & coins))
    return {coin: spent[coin] for coin, _ in Counter(first).most_common(SPENT_MAX)}


def late_outstanding(*, now: datetime) -> dict[str, list[str]]:
    """Transactions that a lane signed more than `LATE` ago and that are not final, each with the signers that
    wait for it.
    """
    found: dict[str, list[str]] = {}
    for lane in Lane.objects.select_related("wallet"):
        for signer in SignerHealth.objects.filter(token__in=lane.wallet.tokens).order_by("token"):
            for txid, one in signer.outstanding.items():
                if one["wallet"] == lane.wallet.name and datetime.fromisoformat(one["at"]) < now - LATE:
                    found.setdefault(txid, []).append(signer.token)
    return found


def wallets_with_lanes() -> list[str]:
    """The wallets that pay without officers."""
    return list(Lane.objects.order_by("wallet__name").values_list("wallet__name", flat=True))


def reconciliations() -> list[tuple[Lane, Reconciliation | None]]:
    """Each lane with the last comparison of its wallet."""
    known = {row.wallet_id: row for row in Reconciliation.objects.all()}
    return [
        (lane, known.get(lane.wallet_id))
        for lane in Lane.objects.select_related("wallet").order_by("wallet__name")
    ]


def is_stale(lane: Lane, row: Reconciliation, *, now: datetime) -> bool:
    """Whether the comparison is too old for the signers, or from a clock that was far ahead."""
    return abs((now - row.looked_at).total_seconds()) > lane.attestation_age_s_max
