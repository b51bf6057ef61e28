"""Reads for comparing a wallet's coins with the books, and of how the last comparison came out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from django.db import connection, transaction
from django.db.models import F, Sum

from core.ledger import AccountKind
from core.ledger.kinds import side
from core.ledger.models import Account
from custody.domain import deposits
from custody.domain.payments import Step
from custody.domain.reconciliations import LATE, Books
from custody.models import Deposit, Lane, Payment, Reconciliation, SignerHealth, Utxo, Wallet
from custody.queries.deposits import tip
from kernel.lane import DEPTH, SPENT_MAX


def books_of(name: str) -> Books | None:
    """What the books say about a wallet, all read at one moment; None before the first block.

    Only what is on its ordinary way explains a difference between ledger and chain: a deposit that was
    credited and left the chain, a payment that confirmed after it was given up, a coin that somebody else
    spent, are breaks.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        if not connection.savepoint_ids:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        at = tip()
        if at is None:
            return None
        wallet = Wallet.objects.get(name=name)
        kind = AccountKind.HOT_WALLET if wallet.tier == "hot" else AccountKind.COLD_WALLET
        account = Account.objects.filter(kind=kind, asset=wallet.asset, owner=None).first()
        seen = Deposit.objects.filter(address__wallet=wallet, state=deposits.State.SEEN)
        confirmed = Payment.objects.filter(height__isnull=False)
        filled = confirmed.filter(refill__target=wallet, refill__state=Step.CONFIRMED)
        paid = confirmed.filter(wallet=wallet)
        gone = paid.filter(withdrawal__state=Step.CONFIRMED).aggregate(
            total=Sum(F("withdrawal__units") + F("fee_units"))
        )["total"]
        moved = paid.filter(refill__state=Step.CONFIRMED).aggregate(
            total=Sum(F("refill__units") + F("fee_units"))
        )["total"]
        arriving = seen.aggregate(total=Sum("units"))["total"] or 0
        arriving += filled.aggregate(total=Sum("refill__units"))["total"] or 0
        return Books(
            height=at.height,
            tip=at.hash,
            posted=side(kind) * int(account.units) if account is not None else 0,
            arriving=int(arriving),
            leaving=int(gone or 0) + int(moved or 0),
        )


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
    """Whether the comparison is too old for the signers."""
    return (now - row.looked_at).total_seconds() > lane.attestation_age_s_max
