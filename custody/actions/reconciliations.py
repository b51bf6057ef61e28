"""What the reconciler found, mirrored; a change of its mind is an event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from core import audit
from core.action import action
from core.actor import Actor
from custody import queries
from custody.events import Event
from custody.models import Reconciliation


@action(Event.RECONCILIATION_CHANGED)
def report_reconciliation(
    *,
    wallet: str,
    height: int,
    on_chain: int,
    in_books: int,
    attested: bool,
    breaks: Sequence[str] = (),
    actor: Actor,
    now: datetime,
) -> Reconciliation:
    """Mirror one comparison. An audit event tells of each break, and of each that is mended."""
    row = queries.wallet_named(wallet)
    before = Reconciliation.objects.select_for_update(no_key=True).filter(wallet=row).first()
    values = {
        "height": height,
        "on_chain_units": on_chain,
        "in_books_units": in_books,
        "breaks": list(breaks),
        "looked_at": now,
        **({"attested_at": now} if attested else {}),
    }
    found, _ = Reconciliation.objects.update_or_create(wallet=row, defaults=values)
    if before is None or before.agrees != found.agrees:
        audit.record(
            Event.RECONCILIATION_CHANGED,
            row,
            actor=actor,
            now=now,
            before=None if before is None else {"agrees": before.agrees},
            after={
                "agrees": found.agrees,
                "height": height,
                "on_chain": str(on_chain),
                "in_books": str(in_books),
                **({"breaks": list(breaks)} if breaks else {}),
            },
        )
    return found


def report_told(*, wallet: str, told: Mapping[str, str]) -> None:
    """Mirror what signers answered to the last attestation. A mirror needs no audit event."""
    Reconciliation.objects.filter(wallet__name=wallet).update(told=dict(told))
