"""A transaction before its signers: asked, answered, refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from core import audit, outbox
from core.action import action
from core.actor import Actor
from core.refusals import Refused
from custody import locks, queries
from custody.actions import announcing, entitled, offers
from custody.actions.payments import NotAsApproved, update
from custody.domain.withdrawals import State
from custody.events import Event, SignatureStored
from custody.models import Address, Payment, Refill, Sweep, TokenRefusal, TokenSignature
from custody.permissions import Permission
from kernel.psbt import Psbt


class BadSignatures(Refused):
    """The signatures are not this token's, or not over this transaction."""

    code = "payment.bad_signatures"
    status = 422


@action(Event.PAYMENT_ASKED)
def mark_asked(*, payment_id: UUID, actor: Actor, now: datetime) -> Payment:
    """Note that signers are about to be asked: from here on a signature may exist that we have not seen.

    Said twice, or later, it changes nothing.
    """
    row = locks.payment(payment_id)
    if row.owner.state == State.BUILT:
        ask(row, actor=actor, now=now)
    return row


@action(Event.PAYMENT_ASKED)
def ask_again(*, withdrawal_id: UUID, reason: str, actor: Actor, now: datetime) -> Payment:
    """After a refusal whose cause is gone: the same transaction before the same signers once more."""
    target = f"custody.withdrawal/{withdrawal_id}"
    entitled.officer(actor, Permission.RELEASE_WITHDRAWAL, now=now, target=target)
    found = queries.payment_of(queries.withdrawal(withdrawal_id))
    if found is None:
        raise NotAsApproved("Nothing was asked: there is no transaction yet.", target=target)
    row = locks.payment(found.pk)
    if row.owner.state != State.REFUSED:
        raise NotAsApproved(f"Nothing was asked: the withdrawal is {row.owner.state}.", target=target)
    ask(row, actor=actor, now=now, reason=entitled.said(reason, target=target))
    return row


@action(Event.PAYMENT_SIGNATURE_STORED)
def store_signature(
    *, payment_id: UUID, token: str, signatures: Sequence[Mapping[str, object]], actor: Actor, now: datetime
) -> Payment:
    """One token's signatures over all inputs, each checked against that token's own key and this transaction.

    The same token again changes nothing; later than needed is no error.
    """
    row = locks.payment(payment_id)
    if row.signatures.filter(token=token).exists():
        return row
    merged(row, Psbt.parse_base64(row.psbt), token, signatures)
    TokenSignature.objects.create(
        payment=row, token=token, signatures=[dict(item) for item in signatures], received_at=now
    )
    audit.record(
        Event.PAYMENT_SIGNATURE_STORED,
        row,
        actor=actor,
        now=now,
        after={"token": token, "signed": row.signatures.count(), "threshold": row.wallet.threshold},
    )
    outbox.publish(SignatureStored(payment=row.pk, token=token), now=now)
    return row


@action(Event.PAYMENT_REFUSED)
def report_refusal(
    *, payment_id: UUID, token: str, code: str, detail: str, actor: Actor, now: datetime
) -> Payment:
    """That a signer said no, with its own code. Once too few could still say yes, the withdrawal or sweep is
    refused; one that was only offered to the lane goes before officers instead.
    """
    row = locks.payment(payment_id)
    since = row.asked_at or row.offered_at or row.built_at
    if row.refusals.filter(token=token, code=code[:64], refused_at__gte=since).exists():
        return row
    TokenRefusal.objects.create(payment=row, token=token, code=code[:64], detail=detail[:500], refused_at=now)
    owner, before = row.owner, row.owner.state
    if not isinstance(owner, Refill) and queries.is_hopeless(row, since=since):
        if before == State.SIGNING:
            owner.move_to(State.REFUSED, reason=f"{token}: {code}"[:500])
        elif before == State.OFFERED and not isinstance(owner, Sweep):
            offers.give_back(owner, why=f"{token}: {code} {detail}", actor=actor, now=now)
    audit.record(
        Event.PAYMENT_REFUSED,
        row,
        actor=actor,
        now=now,
        before={"state": before},
        after={"state": owner.state, "token": token, "code": code},
        reason=detail,
    )
    announcing.moved(owner, now=now)
    return row


def ask(row: Payment, *, actor: Actor, now: datetime, reason: str = "") -> None:
    """Note it, for a withdrawal or a sweep; what stops its owner stops this."""
    owner = row.owner
    if isinstance(owner, Refill):
        raise NotAsApproved(
            "Nothing was asked: cold signers are asked by bundle.", target=f"custody.payment/{row.pk}"
        )
    queries.check_stops(owner, now=now)
    before = owner.state
    owner.move_to(State.SIGNING)
    update(row, asked_at=now)
    audit.record(
        Event.PAYMENT_ASKED,
        row,
        actor=actor,
        now=now,
        before={"state": before},
        after={"state": owner.state},
        reason=reason,
    )
    announcing.moved(owner, now=now)


def merged(row: Payment, base: Psbt, token: str, signatures: Sequence[Mapping[str, object]]) -> Psbt:
    """The PSBT of the payment, or of a version of it, with one token's signatures in it; BadSignatures where
    one is missing, foreign or wrong.
    """
    target = f"custody.payment/{row.pk}"
    if token not in row.wallet.tokens:
        raise BadSignatures("Nothing was stored: no such token belongs to this wallet.", target=target)
    place = row.wallet.tokens.index(token)
    own = dict(Address.objects.filter(wallet=row.wallet).values_list("witness_script", "keys"))
    expected = {index: own[spend.witness_script.hex()][place] for index, spend in enumerate(base.spends)}
    try:
        given = {
            int(str(item["input"])): (str(item["public_key"]), str(item["signature"])) for item in signatures
        }
        if len(signatures) != len(expected) or {index: key for index, (key, _) in given.items()} != expected:
            raise BadSignatures(
                "Nothing was stored: not one signature of this token per input.", target=target
            )
        return base.with_signatures(
            (index, bytes.fromhex(key), bytes.fromhex(signature)) for index, (key, signature) in given.items()
        )
    except (KeyError, ValueError) as error:
        raise BadSignatures(f"Nothing was stored: {error}.", target=target) from error
