"""The recovery officers' order: drafted by any officer who is left, signed by those whom the registry names.

Nothing here asks the staff's own approvals, because their quorum is what was lost; and nothing that staff
sign counts. A recovery officer has no account: the passkey that signed says who it was.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from django.conf import settings

from core.action import action
from core.actor import Actor
from core.approvals.signed import Signed
from core.refusals import NotAllowed, Refused
from custody import locks, queries
from custody.actions import entitled
from custody.actions.ordering import name_of, reachable, recorded, stored, to_sign
from custody.domain.orders import EVERYTHING, Kind, State, about_registry
from custody.domain.recoveries import BadRecovery, Terms
from custody.events import Event
from custody.models import SignerOrder
from custody.permissions import Permission
from kernel.approval import SignedApproval, Verb
from kernel.registry import Registry

ANSWERS: Final = frozenset({Verb.RELEASE, Verb.REJECT})


class NoRecovery(Refused):
    """The two files lead to no recovery that signers would take."""

    code = "custody.no_recovery"
    status = 422


class NotForRecovery(NotAllowed):
    """The signature is of no passkey that the registry names for a recovery, or of another verb."""

    code = "custody.not_for_recovery"


class SignedAlready(Refused):
    """One person, one answer."""

    code = "custody.recovery_signed_already"


@action(Event.ORDER_DRAFTED)
def draft_recovery(*, old: Registry, new: Registry, reason: str, actor: Actor, now: datetime) -> SignerOrder:
    """An order, to be signed by recovery officers, that the signers may take up the officers of `new`.

    `old` is the registry in force: it names the recovery officers, their quorum and the delay.
    """
    target = f"custody.registry/{new.version}"
    maker = entitled.officer(actor, Permission.ORDER_SIGNERS, now=now, target=target)
    said = entitled.said(reason, target=target)
    loaded = queries.loaded_registry()
    if old.version < loaded:
        raise NoRecovery(
            f"Nothing was drafted: version {loaded} is loaded here, and the older file is version "
            f"{old.version}. Choose the registry in force.",
            target=target,
        )
    try:
        terms = Terms.between(old, new, deployment=settings.DEPLOYMENT, network=settings.NETWORK)
    except BadRecovery as error:
        raise NoRecovery(f"Nothing was drafted: {error}.", target=target) from error
    if str(maker.pk) in terms.officers:
        raise NoRecovery(
            "Nothing was drafted: you are named for the recovery yourself, and nobody signs what they made.",
            target=target,
        )
    row = stored(
        Kind.RECOVERY,
        new.digest.hex(),
        about_registry(new),
        reachable(EVERYTHING),
        maker,
        said,
        now=now,
        recovery=terms.as_json(),
    )
    recorded(Event.ORDER_DRAFTED, row, before=None, actor=actor, now=now)
    return row


@action(Event.ORDER_SIGNED)
def sign_recovery(*, order_id: UUID, signed: Signed, actor: Actor, now: datetime) -> SignerOrder:
    """Keep one recovery officer's answer, brought by whoever sits at the console.

    The quorum's last release sends the order on its way; one rejection ends it.
    """
    row = locks.signer_order(order_id)
    target = name_of(row)
    entitled.officer(actor, Permission.ORDER_SIGNERS, now=now, target=target)
    if row.kind != Kind.RECOVERY or row.recovery is None or signed.verb not in ANSWERS:
        raise NotForRecovery("Nothing was recorded: this is no answer to a recovery.", target=target)
    said = to_sign(row, signed.verb, now=now)
    terms, given = Terms.of(row.recovery), list(row.assertion or [])
    by = terms.signer(said, signed.assertion, origin=settings.APPROVER_ORIGIN, rp_id=settings.APPROVER_RP_ID)
    if by is None:
        raise NotForRecovery(
            "Nothing was recorded: no passkey that the registry names for a recovery signed this.",
            target=target,
        )
    if any(one["officer"] == by for one in given):
        raise SignedAlready(f"{terms.officers[by][0]} has signed already; others must.", target=target)
    if signed.verb is Verb.REJECT:
        why = entitled.said(signed.reason, target=target)
        row.move_to(State.REJECTED)
        recorded(Event.ORDER_REJECTED, row, before=State.SIGNING, actor=actor, now=now, by=by, reason=why)
        return row
    given.append(SignedApproval(by, signed.verb, bytes(row.nonce), signed.assertion).as_json())
    if len(given) >= terms.quorum:
        row.move_to(State.SIGNED, assertion=given)
    else:
        row.assertion = given
        row.save(update_fields=["assertion"])
    recorded(Event.ORDER_SIGNED, row, before=State.SIGNING, actor=actor, now=now, by=by)
    return row
