"""Reads of the versions of a payment whose fee was raised: what signers and nodes are still to be given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db.models import F, Q

from core.freezes import queries as freezes
from core.refusals import NotFound
from custody.domain import coins, deposits, payments, raising
from custody.domain.payments import Step
from custody.domain.raising import Caps, Version
from custody.models import Block, Payment, PaymentVersion, Refill, UtxoLock, Withdrawal
from custody.queries.deposits import tip_height
from custody.queries.payments import Collected, lane_request, payload_of, raisable, sign_request, txids_of
from custody.queries.stops import stops, why_waits
from custody.queries.treasury import change_script
from kernel import script
from kernel.intent import Intent
from kernel.psbt import Psbt
from kernel.transaction import Output, Transaction

RAISED_AT_ONCE: Final = 100
"""So many payments are looked at after one block, whether their fee should be raised."""


@dataclass(frozen=True, slots=True)
class Raising:
    """What can be said of raising a fee: until when signers sign a higher one, from which rate on it replaces
    what is there, up to which rate it may go, and why no further version can be built at all.
    """

    until: datetime
    least: int
    highest: int
    why_not: str


def version(version_id: UUID) -> PaymentVersion:
    """The version with its payment; NotFound."""
    row = (
        PaymentVersion.objects.select_related(
            "payment__wallet",
            *("payment__withdrawal__request", "payment__withdrawal__waiver"),
            *("payment__sweep__request", "payment__sweep__source", "payment__sweep__target"),
        )
        .filter(pk=version_id)
        .first()
    )
    if row is None:
        raise NotFound("There is no such version.", target=f"custody.payment_version/{version_id}")
    return row


def versions_of(row: Payment) -> list[PaymentVersion]:
    """All of them, the first before the others; none where the fee was never raised."""
    return list(row.versions.select_related("payment__wallet").order_by("number"))


def laid_over(row: Payment) -> list[Version]:
    """What nodes may have, which a further version must replace: every version that was signed."""
    signed: list[Payment | PaymentVersion] = [*row.versions.exclude(raw="")] or [row]
    return [
        Version(one.change_units, one.fee_units, Transaction.parse(bytes.fromhex(one.raw)).vsize)
        for one in signed
    ]


def version_psbt(row: PaymentVersion) -> Psbt:
    """The transaction, unsigned."""
    return raising.build(Psbt.parse_base64(row.payment.psbt), row.change_units)


def signed_version(row: PaymentVersion) -> Psbt:
    """The same with every signature that was stored; they were checked then and are checked again here."""
    return version_psbt(row).with_signatures(
        (item["input"], bytes.fromhex(item["public_key"]), bytes.fromhex(item["signature"]))
        for signatures in row.signatures.order_by("received_at", "pk").values_list("signatures", flat=True)
        for item in signatures
    )


def collected_version(row: PaymentVersion) -> Collected:
    """Who has signed it, and who has refused it since it was last asked for."""
    refused = row.refusals.filter(refused_at__gte=row.asked_at).order_by("refused_at")
    return Collected(
        threshold=row.payment.wallet.threshold,
        tokens=tuple(row.payment.wallet.tokens),
        signed=tuple(row.signatures.order_by("received_at").values_list("token", flat=True)),
        refusals=tuple(refused.values_list("token", "code")),
    )


def is_version_hopeless(row: PaymentVersion) -> bool:
    """Whether too few signers are left that could still sign it."""
    found = collected_version(row)
    refused = [token for token, _ in found.refusals]
    return payments.is_hopeless(
        refused=refused, signed=found.signed, threshold=found.threshold, tokens=len(found.tokens)
    )


def version_request(row: PaymentVersion) -> dict[str, Any]:
    """What signers are asked: the version, with the same intent and the same approvals as the first, or with
    nobody's where the lane paid the first.
    """
    owner = row.payment.owner
    asked = lane_request if isinstance(owner, Withdrawal) and owner.request is None else sign_request
    return {**asked(row.payment), "psbt": version_psbt(row).base64()}


def signable_until(row: Payment) -> datetime:
    """When its intent ends: from then on no signer signs anything that pays it."""
    return Intent.parse(payload_of(row)).expires


def why_version_waits(row: Payment, *, now: datetime) -> str:
    """Why no version of it is put before signers, or given to a node for the first time; empty where it may
    be. A freeze counts here also where a node has an earlier version.
    """
    if found := freezes.covering(*stops(row.owner)):
        return str(found[0])
    return why_waits(row.owner, now=now) if isinstance(row.owner, Withdrawal) else ""


def claimed_version(row: Payment) -> str:
    """The version whose change another payment of ours claims: it must be the one that is confirmed, or that
    other payment never can be. Empty where there is none.
    """
    claims = UtxoLock.objects.filter(released_at=None, utxo__txid__in=txids_of(row))
    return claims.values_list("utxo__txid", flat=True).first() or ""


def is_version_sendable(row: PaymentVersion, *, now: datetime) -> bool:
    """Whether a node is given it in the place of what it has: it is signed, the dearest of those, and no
    block, freeze, hold or claim on another version's change is in its way.
    """
    paid = row.payment
    if not row.raw or row.sent_at is not None or paid.owner.state not in payments.LATE:
        return False
    if paid.versions.exclude(raw="").filter(fee_units__gt=row.fee_units).exists():
        return False
    return claimed_version(paid) in ("", row.txid) and not why_version_waits(paid, now=now)


def is_version_askable(row: PaymentVersion, *, now: datetime) -> bool:
    """Whether signers are asked for it: a block may still take it, and they may still sign it."""
    paid = row.payment
    waits = not row.raw and paid.owner.state in payments.LATE and signable_until(paid) > now
    return waits and claimed_version(paid) in ("", row.txid)


def to_raise(row: Payment, *, now: datetime) -> Raising | None:
    """How its fee can be raised; None where no fee is raised any more, or not yet."""
    if isinstance(row.owner, Refill) or row.owner.state not in payments.LATE or not row.raw:
        return None
    until, why, lowest, highest = signable_until(row), "", 0, 0
    try:
        first = Psbt.parse_base64(row.psbt)
        lowest, highest = raising.least(first, laid_over(row)), raising.highest(first, _caps(row))
        reckoned(row, feerate=lowest)
    except raising.NotRaisable as error:
        why = str(error)
    if until <= now:
        why = "its approval has ended, and signers sign nothing for it any more"
    elif claimed_version(row):
        why = "another payment of ours spends its change"
    elif held := why_version_waits(row, now=now):
        why = f"the {held} keeps it where it is"
    return Raising(until, lowest, highest, why)


def reckoned(row: Payment, *, feerate: int, evicted: int = 0) -> Version:
    """The further version at this rate, which pays exactly what was approved and the rest to ourselves;
    raising.NotRaisable.
    """
    owner, first = row.owner, Psbt.parse_base64(row.psbt)
    found = raising.raised(first, feerate=feerate, over=laid_over(row), evicted=evicted, caps=_caps(row))
    pays = Output(owner.units, script.script_of(owner.destination, settings.NETWORK))
    try:
        coins.check(
            raising.build(first, found.change),
            pays=pays,
            change=change_script(row.wallet),
            fee_cap=owner.fee_cap_units,
        )
    except coins.NotOurPayment as error:
        raise raising.NotRaisable(str(error)) from error
    if raising.parts(first)[0] != pays:
        raise raising.NotRaisable("its transaction has another form than ours have")
    return found


def _caps(row: Payment) -> Caps:
    cap, wallet = row.owner.fee_cap_units, row.wallet
    return Caps(min(cap, wallet.fee_units_max or cap), wallet.feerate_max)


def open_versions() -> list[UUID]:
    """Versions of payments that no block has, which are not signed yet, or signed and with no node."""
    late = raisable(abandoned_at=None, versions__sent_at=None)
    dearer = Q(fee_units__gt=F("payment__fee_units"))
    rows = PaymentVersion.objects.filter(dearer, payment__in=late, sent_at=None)
    return list(rows.order_by("built_at", "pk").values_list("pk", flat=True)[:500])


def slow_payments(*, blocks: int) -> list[UUID]:
    """Payments whose fee can be raised that were signed so many blocks ago, and that none of those took."""
    last = list(Block.objects.order_by("-height").values_list("read_at", flat=True)[:blocks])
    if len(last) < blocks:
        return []
    late = raisable(abandoned_at=None, signed_at__lt=last[-1])
    rows = late.exclude(versions__built_at__gte=last[-1])
    return list(rows.order_by("signed_at", "pk").values_list("pk", flat=True)[:RAISED_AT_ONCE])


def misbooked(*, network: str) -> list[UUID]:
    """Settled payments of which a reorganisation confirmed another version, deep enough by now."""
    deep = tip_height() - deposits.depth_needed(network) + 1
    settled = Q(payment__withdrawal__state=Step.SETTLED) | Q(payment__sweep__state=Step.SETTLED)
    rows = PaymentVersion.objects.filter(settled, booked_at__isnull=False, payment__height__lte=deep)
    return list(rows.exclude(txid=F("payment__txid")).values_list("payment", flat=True)[:100])


def states_of(
    rows: Sequence[PaymentVersion], paid: Payment, *, now: datetime
) -> list[tuple[PaymentVersion, str]]:
    """Each version with where it stands, in words."""
    return [(one, _standing(one, paid, now=now)) for one in rows]


def _standing(row: PaymentVersion, paid: Payment, *, now: datetime) -> str:
    if row.txid == paid.txid:
        return "in a block" if paid.height is not None else "sent" if row.sent_at else "signed"
    if paid.height is not None:
        return "void: another version is in a block"
    if row.sent_at is not None:
        return "replaced"
    if row.raw:
        return "given to a node, which has not taken it" if row.handed_at else "signed, and no node has it"
    if is_version_hopeless(row):
        return "refused by signers"
    return "never signed" if signable_until(paid) <= now else "before the signers"
