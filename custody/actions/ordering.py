"""What every order of officers to the signers is made of: its row, its bytes, its statement, its event.

Primitives of the orders' and the recoveries' actions, which hold the row's lock and judge who may.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings

from core import audit, outbox
from core.access.models import Identity
from core.access.models import Kind as PersonKind
from core.actor import Actor
from core.ids import new_id
from core.refusals import Refused
from custody.domain import orders
from custody.domain.orders import EVERYTHING, OFFICER, Kind, State
from custody.events import Event, SignerOrderMoved
from custody.models import SignerOrder, Wallet
from kernel import canonical, intent
from kernel.approval import NONCE_BYTES, Statement, Verb
from kernel.canonical import digest


class UnknownSubject(Refused):
    """No wallet, signer or registry of that name."""

    code = "custody.order_subject"
    status = 422


class OrderExpired(Refused):
    """It was drafted too long ago."""

    code = "custody.order_expired"


def stored(
    kind: Kind,
    subject: str,
    about: Mapping[str, canonical.Value],
    tokens: list[str],
    maker: Identity,
    reason: str,
    *,
    now: datetime,
    recovery: Mapping[str, canonical.Value] | None = None,
    good_for: timedelta = orders.GOOD_FOR,
) -> SignerOrder:
    """Write an order down as the bytes that officers will sign."""
    members = orders.payload(
        kind,
        about,
        deployment=settings.DEPLOYMENT,
        maker=str(maker.pk),
        reason=reason,
        now=now,
        good_for=good_for,
    )
    return SignerOrder.objects.create(
        id=new_id(),
        kind=kind,
        subject=subject,
        reason=reason,
        payload=canonical.encode(members),
        nonce=secrets.token_bytes(NONCE_BYTES),
        tokens=tokens,
        recovery=recovery,
        maker=maker,
        made_at=now,
        expires_at=intent.time(str(members["expires"])),
    )


def reachable(wallet: str) -> list[str]:
    """The signers that can be reached for this wallet: those of hot wallets. Cold ones are brought a file.

    An officer is suspended at all of them.
    """
    if wallet.startswith(OFFICER) and not _is_officer(wallet.removeprefix(OFFICER)):
        raise UnknownSubject(
            "Nothing was drafted: there is no such officer.", target=f"custody.wallet/{wallet[:48]}"
        )
    whole = wallet == EVERYTHING or wallet.startswith(OFFICER)
    rows = Wallet.objects.all() if whole else Wallet.objects.filter(name=wallet)
    if not rows:
        raise UnknownSubject(
            "Nothing was drafted: there is no such wallet.", target=f"custody.wallet/{wallet[:32]}"
        )
    return sorted({token for row in rows if row.tier == "hot" for token in row.tokens})


def _is_officer(person: str) -> bool:
    try:
        return Identity.objects.filter(pk=UUID(person), kind=PersonKind.OFFICER).exists() and person == str(
            UUID(person)
        )
    except ValueError:
        return False


def to_sign(row: SignerOrder, verb: Verb, *, now: datetime) -> Statement:
    """What a passkey signs to answer this order; OrderExpired, or WrongState, where no answer counts."""
    if row.expires_at <= now:
        raise OrderExpired("Nothing was sent: the order is void by now. Draft it again.", target=name_of(row))
    row.check_step(State.SIGNED)
    return Statement.about(
        bytes(row.payload),
        verb=verb,
        kind=row.kind,
        deployment=settings.DEPLOYMENT,
        nonce=bytes(row.nonce),
    )


def recorded(
    event: Event,
    row: SignerOrder,
    *,
    before: State | None,
    actor: Actor,
    now: datetime,
    by: str = "",
    reason: str = "",
) -> None:
    """The order's one audit event and its message; `by` is a recovery officer, who has no account here."""
    audit.record(
        event,
        row,
        actor=actor,
        now=now,
        before={"state": before} if before else None,
        after={
            "state": row.state,
            "kind": row.kind,
            "subject": row.subject,
            "digest": digest(bytes(row.payload)),
            "request": row.request_id,
            **({"by": by} if by else {}),
        },
        reason=reason or row.reason,
    )
    outbox.publish(SignerOrderMoved(order=row.pk, state=str(row.state)), now=now)


def name_of(row: SignerOrder) -> str:
    """What audit events and refusals call the order."""
    return f"custody.signerorder/{row.pk}"
