"""Reads of transactions of ours: what has to be signed, sent or watched."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db.models import Exists, F, Min, OuterRef, QuerySet, TextField, Value
from django.db.models.functions import Cast, Coalesce, Concat

from core import approvals
from core.access import rights
from core.access.models import Identity
from core.approvals.expiry import DUE
from core.approvals.models import ApprovalRequest
from core.ledger.models import Hold
from core.refusals import NotFound
from custody.domain import deposits, payments, refills, sweeps
from custody.domain.withdrawals import CLOCKS_DIFFER_MAX, UNPAID, State
from custody.models import Deposit, Owner, Payment, PaymentVersion, Refill, Sweep, UtxoLock, Withdrawal
from custody.permissions import Permission
from custody.queries.approvers import bereft
from custody.queries.deposits import tip_height
from kernel import encodings, intent
from kernel.intent import Intent
from kernel.psbt import Psbt

AGAIN_MAX: Final = 500
"""So many payments that a node has taken are handed over again after one block."""


@dataclass(frozen=True, slots=True)
class Collected:
    """How far the signing of a payment has come: `threshold` of `tokens` are needed."""

    threshold: int
    tokens: tuple[str, ...]
    signed: tuple[str, ...]
    refusals: tuple[tuple[str, str], ...]


def payment(payment_id: UUID) -> Payment:
    """The payment with its owner and wallet; NotFound."""
    row = (
        Payment.objects.select_related(
            "wallet",
            *("withdrawal__request", "withdrawal__waiver"),
            *("refill__request", "refill__source", "refill__target"),
            *("sweep__request", "sweep__source", "sweep__target"),
        )
        .filter(pk=payment_id)
        .first()
    )
    if row is None:
        raise NotFound("There is no such payment.", target=f"custody.payment/{payment_id}")
    return row


def payment_for(payment_id: UUID, *, identity: Identity | None, now: datetime) -> Payment:
    """The payment, for an officer who may see the treasury or withdrawals; NotFound for everybody else."""
    held = rights.powers(identity, now)
    if held.isdisjoint({str(Permission.SEE_TREASURY), str(Permission.SEE_WITHDRAWALS)}):
        raise NotFound("There is no such payment.", target=f"custody.payment/{payment_id}")
    return payment(payment_id)


def payment_of(owner: Owner) -> Payment | None:
    """The transaction of a withdrawal, refill or sweep, once it is built."""
    column = str(owner._meta.model_name)
    return Payment.objects.select_related("wallet").filter(**{column: owner}).first()


def txids_of(row: Payment) -> set[str]:
    """Every transaction that pays this payment, its versions included: at most one is ever confirmed."""
    return {row.txid, *row.versions.values_list("txid", flat=True)}


def collected(row: Payment) -> Collected:
    """Who has signed and who has refused."""
    return Collected(
        threshold=row.wallet.threshold,
        tokens=tuple(row.wallet.tokens),
        signed=tuple(row.signatures.order_by("received_at").values_list("token", flat=True)),
        refusals=tuple(row.refusals.order_by("refused_at").values_list("token", "code")),
    )


def is_complete(row: Payment) -> bool:
    """Whether enough signatures are stored for it to be put together."""
    return row.signatures.count() >= row.wallet.threshold


def is_hopeless(row: Payment, *, since: datetime) -> bool:
    """Whether too few signers are left who have not refused it since then, or have signed it nevertheless."""
    return payments.is_hopeless(
        refused=row.refusals.filter(refused_at__gte=since).values_list("token", flat=True),
        signed=row.signatures.values_list("token", flat=True),
        threshold=row.wallet.threshold,
        tokens=len(row.wallet.tokens),
    )


def void_at(row: Payment) -> datetime | None:
    """From when on no signer takes the message that the lane was asked with; None where it never was.

    The message says itself when it is void, and each signer goes by that and its own clock.
    """
    if row.offered_at is None or row.withdrawal is None or row.withdrawal.waiver is None:
        return None
    said = Intent.parse(bytes(row.withdrawal.waiver.payload))
    return said.expires + CLOCKS_DIFFER_MAX


def is_payable_by_lane(row: Payment, *, now: datetime) -> bool:
    """Whether the lane may still complete it, without officers: a refusal is not for ever before that."""
    void = void_at(row)
    return row.abandoned_at is None and row.asked_at is None and void is not None and now < void


def is_kept(owner: Withdrawal, row: Payment) -> bool:
    """Whether an ended withdrawal still holds its customer's funds, for a transaction that the lane saw."""
    holds = Hold.objects.filter(reference=owner.hold_reference, state="pending")
    return row.offered_at is not None and owner.state in UNPAID and holds.exists()


def kept_withdrawals() -> list[UUID]:
    """Withdrawals that are over, and still hold funds and coins because of the lane's old message."""
    pending = Hold.objects.filter(state="pending", reference=OuterRef("hold"))
    rows = Withdrawal.objects.filter(
        state__in=[str(state) for state in UNPAID], payment__offered_at__isnull=False
    ).annotate(hold=Concat(Value("custody.withdrawal/"), Cast("pk", TextField())))
    return list(rows.filter(Exists(pending), payment__height=None).values_list("pk", flat=True)[:100])


def lane_request(row: Payment) -> dict[str, Any]:
    """What the signers' lane is asked: the unsigned transaction and its intent, with nobody's approval."""
    return {
        "v": 1,
        "type": "sign_unattended",
        "wallet": row.wallet.name,
        "psbt": row.psbt,
        "intents": [encodings.base64url(payload_of(row))],
    }


def sign_request(row: Payment) -> dict[str, Any]:
    """What signers are asked: the unsigned transaction, and the approved intent with its approvals."""
    request = request_of(row.owner)
    return {
        "v": 1,
        "type": "sign",
        "wallet": row.wallet.name,
        "psbt": row.psbt,
        "intents": [
            {
                "payload": encodings.base64url(bytes(request.payload)),
                "approvals": approvals.signatures(request),
            }
        ],
    }


def source_of(owner: Owner) -> str:
    """The wallet that the intent takes the coins from; NotFound where there is none yet."""
    return Intent.parse(_payload(owner)).source


def request_of(owner: Owner) -> ApprovalRequest:
    """The approval request of what is paid; NotFound where there is none."""
    if owner.request is None:
        raise NotFound("Nobody approved this.", target=f"{owner._meta.label_lower}/{owner.pk}")
    return owner.request


def payload_of(row: Payment) -> bytes:
    """The canonical bytes that officers approved for this payment, or that the lane was offered."""
    return _payload(row.owner)


def mark_of(owner: Owner) -> int:
    """What its transaction must carry, or no signer signs it."""
    return Intent.parse(_payload(owner)).mark


def _payload(owner: Owner) -> bytes:
    if owner.request is None and isinstance(owner, Withdrawal) and owner.waiver is not None:
        return bytes(owner.waiver.payload)
    return bytes(request_of(owner).payload)


def signed_psbt(row: Payment) -> Psbt:
    """The transaction with every signature that was stored; they were checked then and are checked again
    here.
    """
    return Psbt.parse_base64(row.psbt).with_signatures(
        (item["input"], bytes.fromhex(item["public_key"]), bytes.fromhex(item["signature"]))
        for signatures in row.signatures.order_by("received_at", "pk").values_list("signatures", flat=True)
        for item in signatures
    )


def overdue_requests() -> list[UUID]:
    """Approval requests of our kinds whose deadline has passed by the database's clock."""
    kinds = (intent.WITHDRAWAL, intent.REFILL, intent.SWEEP, "custody.adjustment")
    return list(ApprovalRequest.objects.filter(DUE, kind__in=kinds).values_list("pk", flat=True)[:100])


def locked_outpoints(row: Payment) -> list[tuple[str, int]]:
    """The coins that the payment claims."""
    return list(UtxoLock.objects.filter(payment=row).order_by("pk").values_list("utxo__txid", "utxo__vout"))


def unsent_payments() -> list[UUID]:
    """Payments whose raw transaction is stored and that no node is known to have taken, oldest first."""
    return list(_on_the_way().filter(sent_at=None).values_list("pk", flat=True))


def sent_payments(*, turn: int) -> list[UUID]:
    """Payments that a node took and no block has: so many of them, and others with each turn."""
    found = list(_on_the_way().exclude(sent_at=None).values_list("pk", flat=True))
    begin = turn % -(-len(found) // AGAIN_MAX) * AGAIN_MAX if found else 0
    return found[begin : begin + AGAIN_MAX]


def _on_the_way() -> QuerySet[Payment]:
    return _any(_standing(*payments.SENDABLE), _off_the_chain()).order_by("built_at", "pk")


def _standing(*states: str, **of: Any) -> QuerySet[Payment]:
    """Payments whose owner is in one of the states, with what else they must be."""
    rows = Payment.objects.filter(**of)
    return _any(
        rows.filter(withdrawal__state__in=states),
        rows.filter(refill__state__in=states),
        rows.filter(sweep__state__in=states),
    )


def raisable(**of: Any) -> QuerySet[Payment]:
    """Payments that wait for a block and whose fee can be raised, with what else they must be: those that hot
    keys sign.
    """
    rows, late = Payment.objects.filter(**of), [str(state) for state in payments.LATE]
    return _any(rows.filter(withdrawal__state__in=late), rows.filter(sweep__state__in=late))


def _off_the_chain() -> QuerySet[Payment]:
    """Settled payments whose block left the chain, however deep it was."""
    return _standing(payments.Step.SETTLED, height=None)


def _any(*parts: QuerySet[Payment]) -> QuerySet[Payment]:
    """Payments of any part, of which few are found at a time, each by its own index: in one statement with OR
    the server goes through all that ever were.
    """
    return Payment.objects.filter(pk__in={pk for part in parts for pk in part.values_list("pk", flat=True)})


def is_sendable(row: Payment) -> bool:
    """Whether a node is given it: it is signed, and in no block."""
    state = row.owner.state
    left = state == payments.Step.SETTLED and row.height is None
    return bool(row.raw) and (left or state in payments.SENDABLE)


def rival_of(row: Payment) -> str:
    """The transaction in a block that took a coin of this payment from it; empty where none did. A version
    of its own is none.
    """
    taken = row.locks.exclude(utxo__spent_by__in=["", *txids_of(row)])
    return taken.values_list("utxo__spent_by", flat=True).first() or ""


def payments_due(*, network: str) -> list[UUID]:
    """Confirmed payments that are deep enough to settle."""
    deep = tip_height() - deposits.depth_needed(network) + 1
    due = _standing(payments.Step.CONFIRMED, height__lte=deep)
    return list(due.values_list("pk", flat=True)[:500])


def count_stuck(*, now: datetime) -> dict[str, int]:
    """How many of each kind wait for a person, because no machine can move them on."""
    since = Coalesce(Min("versions__signed_at"), F("signed_at"))  # a raised fee begins no new day
    late = _standing(*payments.LATE).annotate(since=since).filter(since__lte=now - payments.CONFIRMED_WITHIN)
    untaken = PaymentVersion.objects.filter(
        fee_units__gt=F("payment__fee_units"),
        sent_at=None,
        payment__in=raisable(versions__sent_at=None),
        asked_at__lte=now - payments.TAKEN_WITHIN,
    )
    claims = UtxoLock.objects.filter(released_at=None, utxo__height=None, payment__abandoned_at=None)
    coinless = claims.values("payment").distinct()
    lost = Deposit.objects.filter(state=deposits.State.MISSING)
    paid = Withdrawal.objects.filter(
        state__in=[str(state) for state in UNPAID], payment__height__isnull=False
    )
    return {
        "ended withdrawals that were paid all the same": paid.count(),
        "payments whose approvers have left": len(bereft(now=now)),
        "withdrawals refused by signers": Withdrawal.objects.filter(state=State.REFUSED).count(),
        "withdrawals with a rival": Withdrawal.objects.filter(state=State.CONFLICTED).count(),
        "refills with a rival": Refill.objects.filter(state=refills.State.CONFLICTED).count(),
        "refills whose bundle never came back": Refill.objects.filter(state=refills.State.LAPSED).count(),
        "sweeps refused by signers": Sweep.objects.filter(state=sweeps.State.REFUSED).count(),
        "sweeps with a rival": Sweep.objects.filter(state=sweeps.State.CONFLICTED).count(),
        "credited deposits that left the chain": lost.count(),
        "settled payments that left the chain": _off_the_chain().count(),
        "payments whose coins left the chain": coinless.count(),
        "payments signed a day ago and in no block": late.count(),
        "raised fees that no node took within an hour": untaken.count(),
    }


def endable_refills(*, network: str, now: datetime) -> list[UUID]:
    """Refills that pay nothing any more, though nobody gave them up: built, and never exported while their
    approval was good; or with a coin that another transaction spent for good.
    """
    built = Refill.objects.filter(state=refills.State.BUILT, expires_at__lte=now)
    deep = tip_height() - deposits.depth_needed(network) + 1
    spent = UtxoLock.objects.filter(payment__refill__state=refills.State.CONFLICTED, utxo__spent_in__lte=deep)
    lost = spent.exclude(utxo__spent_by=F("payment__txid")).values_list("payment__refill", flat=True)
    return [*built.values_list("pk", flat=True), *lost.distinct()]


def lapsing_refills(*, now: datetime) -> list[UUID]:
    """Exported refills whose intent no cold signer honours any more."""
    return list(
        Refill.objects.filter(state=refills.State.EXPORTED, expires_at__lte=now).values_list("pk", flat=True)
    )
