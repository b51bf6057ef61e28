"""Bundles: what a refill's cold signers are given as a file, and the files that come back from them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from core import approvals, audit, freezes
from core.action import action
from core.actor import Actor
from core.refusals import Refused
from custody import locks, queries
from custody.actions import announcing, entitled, refills, signatures
from custody.domain.refills import State
from custody.events import Event
from custody.models import Payment, Refill
from custody.permissions import Permission
from kernel import canonical, intent
from kernel.intent import Intent


class NotExportable(Refused):
    """The refill is not at the point where a bundle exists, or its approval has ended."""

    code = "refill.not_exportable"


@action(Event.PAYMENT_EXPORTED)
def export_bundle(*, refill_id: UUID, actor: Actor, now: datetime) -> bytes:
    """The bundle file for the cold signers: the sign request and its digest. Exporting again gives the same
    bytes.

    From the first export on, signatures may exist that nobody has brought back yet. So what the hot wallet
    does not need any more does not leave the house, nor what no cold signer would sign: its coins would stay
    claimed for nothing.
    """
    target = f"custody.refill/{refill_id}"
    entitled.officer_or_machine(actor, Permission.TRANSFER_BUNDLE, now=now, target=target)
    row = locks.refill(refill_id)
    payment = queries.payment_of(row)
    if payment is None or row.state not in (State.BUILT, State.EXPORTED):
        raise NotExportable(f"Nothing was exported: the refill is {row.state}.", target=target)
    freezes.check(*queries.stops(row))
    _check_approval(row, now=now)
    before = row.state
    if row.state == State.BUILT:
        refills.check_need(
            row,
            "Nothing was exported: the wallets hold something else than when this was asked for. Give it up; "
            "another is proposed where one is due.",
            claimed=row.units + payment.fee_units + payment.change_units,
        )
        row.move_to(State.EXPORTED)
        Payment.objects.filter(pk=payment.pk).update(asked_at=now)
    data = bundle(queries.sign_request(queries.payment(payment.pk)))
    audit.record(
        Event.PAYMENT_EXPORTED,
        payment,
        actor=actor,
        now=now,
        before={"state": before},
        after={"state": row.state, "sha256": canonical.digest(data)},
    )
    announcing.moved(row, now=now)
    return data


@action(Event.PAYMENT_SIGNATURE_STORED)
def import_signatures(*, refill_id: UUID, data: bytes, actor: Actor, now: datetime) -> Payment:
    """One cold signer's answer file, brought back by hand: stored if it signs exactly this refill's
    transaction.
    """
    target = f"custody.refill/{refill_id}"
    entitled.officer_or_machine(actor, Permission.TRANSFER_BUNDLE, now=now, target=target)
    row = locks.refill(refill_id)
    payment = queries.payment_of(row)
    if payment is None or row.state != State.EXPORTED:
        raise NotExportable(f"Nothing was imported: the refill is {row.state}.", target=target)
    try:
        answer = canonical.decode_object(data.removesuffix(b"\n"))
    except canonical.NotCanonical as error:
        raise signatures.BadSignatures(f"Nothing was imported: {error}.", target=target) from error
    given = answer.get("signatures")
    if answer.get("type") != "signed" or answer.get("txid") != payment.txid or not isinstance(given, list):
        raise signatures.BadSignatures(
            "Nothing was imported: the file is no signer's answer about this transaction.", target=target
        )
    return signatures.store_signature(
        payment_id=payment.pk,
        token=str(answer.get("token", "")),
        signatures=[dict(item) for item in given if isinstance(item, Mapping)],
        actor=actor,
        now=now,
    )


def bundle(request: dict[str, Any]) -> bytes:
    """The bytes of a bundle file; `sha256` is what both sides read aloud."""
    return canonical.encode(
        {
            "v": 1,
            "type": "bundle",
            "request": request,
            "sha256": canonical.digest(canonical.encode(request)).hex(),
        }
    )


def _check_approval(row: Refill, *, now: datetime) -> None:
    """Nothing, while cold signers would still sign what was approved, and everybody whose word it is counts:
    it may have waited for days after its approval was used up.
    """
    request, target = queries.request_of(row), f"custody.refill/{row.pk}"
    approved = Intent.parse(bytes(request.payload))
    if approved.expires <= now:
        ended = f"{approved.expires:%Y-%m-%d %H:%M} UTC"
        raise NotExportable(
            f"Nothing was exported: its approval ended at {ended}, and no signer signs it.", target=target
        )
    if approved.policy != queries.policy(intent.REFILL).version:
        raise NotExportable(
            "Nothing was exported: it was approved under another policy of the registry.", target=target
        )
    approvals.check_standing(request, now=now)
