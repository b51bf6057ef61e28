"""Officers' orders to the signers: drafted, signed, carried over, answered."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from django.conf import settings

from core import approvals, audit, outbox
from core.action import action
from core.actor import Actor
from core.approvals import locks as approval_locks
from core.approvals.assertions import verified
from core.approvals.models import ApprovalRequest
from core.approvals.signed import Signed
from core.refusals import NotAllowed, Refused
from custody import locks, queries
from custody.actions import entitled
from custody.actions.ordering import UnknownSubject, name_of, reachable, recorded, stored, to_sign
from custody.domain import orders
from custody.domain.orders import EVERYTHING, STOPS, Kind, State
from custody.events import Event, SignerOrderMoved
from custody.models import OrderAnswer, SignerHealth, SignerOrder
from custody.permissions import Permission
from kernel import canonical
from kernel.approval import SignedApproval, Verb
from kernel.policy import Fact
from kernel.registry import Registry


class NotYours(NotAllowed):
    """Only the officer who drafted a stop signs it."""

    code = "custody.order_not_yours"


class NoSuccessor(Refused):
    """Signers would not take this file up after the registry that is loaded here."""

    code = "custody.no_successor"
    status = 422


@action(Event.ORDER_DRAFTED)
def draft_freeze(*, wallet: str, reason: str, actor: Actor, now: datetime) -> SignerOrder:
    """A freeze of one wallet's signers, or of every signer (`*`), for the drafting officer to sign alone."""
    target = f"custody.wallet/{wallet[:48]}"
    return _draft(
        Kind.FREEZE,
        wallet,
        {"wallet": wallet},
        reachable(wallet),
        reason,
        target=target,
        actor=actor,
        now=now,
    )


@action(Event.ORDER_DRAFTED)
def draft_veto(*, registry_digest: str, reason: str, actor: Actor, now: datetime) -> SignerOrder:
    """A veto of a registry that was announced to the signers, by us or past us, for the drafting officer to
    sign alone.
    """
    target = f"custody.registry/{registry_digest[:64]}"
    if not queries.was_announced(registry_digest):
        raise UnknownSubject("Nothing was drafted: no registry of that digest was announced.", target=target)
    return _draft(
        Kind.VETO,
        registry_digest,
        {"digest": registry_digest},
        reachable(EVERYTHING),
        reason,
        target=target,
        actor=actor,
        now=now,
    )


@action(Event.ORDER_SIGNED)
def sign_order(*, order_id: UUID, signed: Signed, actor: Actor, now: datetime) -> SignerOrder:
    """Take the one signature that a stop needs, by the passkey of the officer who drafted it.

    The passkey is claimed before the order, as by whoever answers a request; whose order it is, and of what
    kind, never changes.
    """
    drafted = queries.signer_order(order_id)
    officer = entitled.officer(actor, Permission.STOP_SIGNERS, now=now, target=name_of(drafted))
    if drafted.maker_id != officer.pk or Kind(drafted.kind) not in STOPS:
        raise NotYours("Only the officer who drafted this order signs it.", target=name_of(drafted))
    approval_locks.passkey(signed.credential_id, of=officer)
    row = locks.signer_order(order_id)
    statement = to_sign(row, Verb.APPROVE, now=now)
    verified(statement, officer=officer, signed=signed, target=name_of(row))
    approval = SignedApproval(str(officer.pk), Verb.APPROVE, bytes(row.nonce), signed.assertion)
    row.move_to(State.SIGNED, assertion=approval.as_json())
    recorded(Event.ORDER_SIGNED, row, before=State.SIGNING, actor=actor, now=now)
    return row


@action(Event.ORDER_ASKED)
def ask_release_of_signers(*, wallet: str, reason: str, actor: Actor, now: datetime) -> SignerOrder:
    """A request, to a quorum, that the signers of a wallet (or `*`) may sign again."""
    target = f"custody.wallet/{wallet[:48]}"
    return _ask(
        Kind.RELEASE,
        wallet,
        {"wallet": wallet},
        reachable(wallet),
        reason,
        facts={"wallet": wallet},
        target=target,
        actor=actor,
        now=now,
    )


@action(Event.ORDER_ASKED)
def ask_reopening(*, token: str, reason: str, actor: Actor, now: datetime) -> SignerOrder:
    """A request that a signer which lost its memory, or was given an old one, may begin a new one.

    It names the standing that the signer itself last reported, so that it reopens that very find once; and
    every officer who is suspended here or at any signer, since lost lines may have held it.
    """
    target = f"custody.signer/{token[:64]}"
    health = SignerHealth.objects.filter(token=token).first()
    if health is None or not health.standing:
        raise UnknownSubject(
            "Nothing was asked: that signer has not said what it found. See that it runs.", target=target
        )
    held: list[canonical.Value] = [*queries.suspended_officers()]
    about: dict[str, canonical.Value] = {"token": token, "standing": health.standing, "suspended": held}
    return _ask(
        Kind.REOPEN,
        token,
        about,
        [token],
        reason,
        facts={"signer": token},
        target=target,
        actor=actor,
        now=now,
    )


@action(Event.ORDER_ASKED)
def ask_registry(*, new: Registry, reason: str, actor: Actor, now: datetime) -> SignerOrder:
    """A request that the signers may take up exactly this registry, after the old one's delay.

    An announcement names the file by its digest alone, so signers read it only when that delay is over: what
    they would refuse then is refused here, as far as it can be told from what is loaded.
    """
    target = f"custody.registry/{new.version}"
    entitled.officer(actor, Permission.ORDER_SIGNERS, now=now, target=target)
    if (new.deployment, new.network) != (settings.DEPLOYMENT, settings.NETWORK):
        raise NoSuccessor(
            f"Nothing was asked: the file is for {new.deployment} on {new.network}, this is "
            f"{settings.DEPLOYMENT} on {settings.NETWORK}. Draft it from the registry in force.",
            target=target,
        )
    loaded = queries.loaded_registry()
    if new.version <= loaded:
        raise NoSuccessor(
            f"Nothing was asked: version {new.version} does not follow version {loaded}, which is loaded "
            "here. Draft it from the registry in force.",
            target=target,
        )
    return _ask(
        Kind.REGISTRY,
        new.digest.hex(),
        orders.about_registry(new),
        reachable(EVERYTHING),
        reason,
        facts={"registry_version": new.version},
        target=target,
        actor=actor,
        now=now,
    )


@action(Event.ORDER_SIGNED)
def give_order(*, request: ApprovalRequest, actor: Actor, now: datetime) -> SignerOrder:
    """Send what a quorum released on its way, in the transaction of the deciding signature."""
    row = _of(request)
    approvals.consume(request, now=now)
    row.move_to(State.SIGNED)
    recorded(Event.ORDER_SIGNED, row, before=State.SIGNING, actor=actor, now=now)
    return row


def close_with_request(
    request: ApprovalRequest, state: State, *, event: Event, actor: Actor, now: datetime
) -> SignerOrder:
    """Carry the quorum's no, or its silence, into the order."""
    row = _of(request)
    row.move_to(state)
    recorded(event, row, before=State.SIGNING, actor=actor, now=now)
    return row


@action(Event.ORDER_ANSWERED)
def report_answer(
    *, order_id: UUID, token: str, obeyed: bool, code: str, detail: str, actor: Actor, now: datetime
) -> SignerOrder:
    """Store a signer's answer, once; the last one decides what became of the order."""
    row = locks.signer_order(order_id)
    made = OrderAnswer.objects.get_or_create(
        order=row,
        token=token,
        defaults={"obeyed": obeyed, "code": code[:64], "detail": detail[:400], "answered_at": now},
    )[1]
    before = State(row.state)
    answers = {answer.token: answer.obeyed for answer in row.answers.all()}
    after = orders.outcome(answers, asked=frozenset(row.tokens))
    if made and before is State.SIGNED and after is not before:
        row.move_to(after)
        outbox.publish(SignerOrderMoved(order=row.pk, state=str(after)), now=now)
    audit.record(
        Event.ORDER_ANSWERED,
        row,
        actor=actor,
        now=now,
        before={"state": before},
        after={"state": row.state, "token": token, "obeyed": obeyed, "code": code},
    )
    return row


@action(Event.ORDER_EXPIRED)
def expire_order(*, order_id: UUID, actor: Actor, now: datetime) -> SignerOrder:
    """Close an order that nobody signed, or that a signer did not answer, within its day."""
    row = locks.signer_order(order_id)
    if row.expires_at > now:
        raise Refused("The order is not over yet.", target=name_of(row))
    before = State(row.state)
    row.move_to(State.EXPIRED)
    recorded(Event.ORDER_EXPIRED, row, before=before, actor=actor, now=now)
    return row


def _draft(
    kind: Kind,
    subject: str,
    about: Mapping[str, canonical.Value],
    tokens: list[str],
    reason: str,
    *,
    target: str,
    actor: Actor,
    now: datetime,
) -> SignerOrder:
    """A stop. It is brought to each signer until that one has heard it, as long as signers take it."""
    maker = entitled.officer(actor, Permission.STOP_SIGNERS, now=now, target=target)
    said, good_for = entitled.said(reason, target=target), orders.stop_good_for(queries.order_life())
    row = stored(kind, subject, about, tokens, maker, said, now=now, good_for=good_for)
    recorded(Event.ORDER_DRAFTED, row, before=None, actor=actor, now=now)
    return row


def _ask(
    kind: Kind,
    subject: str,
    about: Mapping[str, canonical.Value],
    tokens: list[str],
    reason: str,
    *,
    facts: Mapping[str, Fact],
    target: str,
    actor: Actor,
    now: datetime,
) -> SignerOrder:
    maker = entitled.officer(actor, Permission.ORDER_SIGNERS, now=now, target=target)
    row = stored(kind, subject, about, tokens, maker, entitled.said(reason, target=target), now=now)
    row.request = approvals.open(
        kind.value,
        canonical.decode_object(bytes(row.payload)),
        maker=maker,
        teams=queries.teams_of_order(kind),
        subject=f"custody.signer/{kind}/{subject}",
        actor=actor,
        now=now,
        nonce=bytes(row.nonce),
        facts=facts,
    )
    row.save(update_fields=["request"])
    recorded(Event.ORDER_ASKED, row, before=None, actor=actor, now=now)
    return row


def _of(request: ApprovalRequest) -> SignerOrder:
    return locks.signer_order(SignerOrder.objects.values_list("pk", flat=True).get(request=request))
